"""The picture at the head of the README: `PYTHONPATH=tests python -m benchmarks.suites_picture docs/suites.png`."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.types import Profile
from sora_eval.video import write_png

SHOWN = ("orbit", "pass_behind", "count", "free_fall_bounce", "collision", "bite", "shatter", "hands")
_SIDE, _FRAMES, _GAP, _TEXT = 160, 5, 4, 58


def gallery(names: tuple[str, ...] = SHOWN, seed: int = 2) -> Image.Image:
    """Return a sheet, two probes a row, each with its prompt and five frames of the world's own answer."""
    cells = [_cell(name, seed) for name in names]
    width, height = cells[0].size
    sheet = Image.new("RGB", (2 * width + 24, (height + 16) * ((len(cells) + 1) // 2)), "white")
    for i, cell in enumerate(cells):
        sheet.paste(cell, ((i % 2) * (width + 24), (i // 2) * (height + 16)))
    return sheet


def _cell(name: str, seed: int) -> Image.Image:
    probe = registry.probe(name)
    case = probe.cases(1, Profile("picture", _SIDE, _SIDE, 33, 16, 5), "t2v", seed)[0]
    frames = true_video(case).frames[np.linspace(0, 32, _FRAMES).round().astype(int)]
    cell = Image.new("RGB", (_FRAMES * (_SIDE + _GAP) - _GAP, _TEXT + _SIDE), "white")
    draw = ImageDraw.Draw(cell)
    draw.text((0, 0), f"{probe.suite} / {name}", "black", ImageFont.load_default(17))
    words = textwrap.wrap(case.prompt, 118)
    text = "\n".join([words[0], words[1] + (" ..." if len(words) > 2 else "")] if len(words) > 1 else words)
    draw.text((0, 22), text, "#444444", ImageFont.load_default(14))
    for k, frame in enumerate(frames):
        cell.paste(Image.fromarray(frame), (k * (_SIDE + _GAP), _TEXT))
    return cell


if __name__ == "__main__":
    write_png(Path(sys.argv[1]), np.asarray(gallery()))
