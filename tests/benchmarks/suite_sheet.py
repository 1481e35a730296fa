"""The sheet of a suite's cases: `PYTHONPATH=tests python -m benchmarks.suite_sheet camera_control docs/camera_moves.jpg`."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.types import Case, Profile

_PROFILE = Profile("sheet", 128, 128, 17, 8, 5)
_GAP, _TEXT, _MOMENTS, _SEED = 4, 20, 6, 7


def sheet(suite: str, columns: int = 2) -> Image.Image:
    """Return the true clip of the first case of each of a suite's probes, moment by moment, with the probe's name."""
    names = [name for name, (of, _) in registry.probe_names(optional=True).items() if of == suite]
    strips = [_strip(name, registry.probe(name).cases(1, _PROFILE, "t2v", _SEED)[0]) for name in names]
    width, height = (max(s.size[k] for s in strips) + _GAP * (4 - 3 * k) for k in (0, 1))
    picture = Image.new("RGB", (columns * width, -(-len(strips) // columns) * height), "white")
    for i, strip in enumerate(strips):
        picture.paste(strip, (i % columns * width, i // columns * height))
    return picture


def _strip(name: str, case: Case) -> Image.Image:
    """Return moments of a case's true clip from the first to the last frame, below the name."""
    frames = true_video(case).frames
    shown = frames[np.linspace(0, len(frames) - 1, min(_MOMENTS, len(frames))).round().astype(int)]
    height, width = shown.shape[1:3]
    strip = Image.new("RGB", (len(shown) * (width + _GAP) - _GAP, height + _TEXT), "white")
    ImageDraw.Draw(strip).text((0, 2), name, "black", ImageFont.load_default(14))
    for k, frame in enumerate(shown):
        strip.paste(Image.fromarray(frame), (k * (width + _GAP), _TEXT))
    return strip


if __name__ == "__main__":
    sheet(sys.argv[1]).save(sys.argv[2], quality=85)
