"""The sheet of a suite's cases: `PYTHONPATH=tests python -m benchmarks.suite_sheet camera_control docs/camera_moves.jpg`.

With --violations also the violations of its first probe; --draws 2: two draws of each case whose outcome is left to chance.
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sora_eval import registry
from sora_eval.generator.simulator import Violation, true_video
from sora_eval.probes.selection import select_cases
from sora_eval.types import Frames, Profile

_PROFILE = Profile("sheet", 128, 128, 17, 8, 5)
_GAP, _TEXT, _MOMENTS, _SEED = 4, 20, 6, 7


def sheet(suite: str, violations: bool = False, draws: int = 1, columns: int = 2) -> Image.Image:
    """Return the true clip of the first case of each of a suite's probes, moment by moment, with the probe's name."""
    names = [name for name, (of, _) in registry.probe_names(optional=True).items() if of == suite]
    probes = {name: registry.probe(name) for name in names}
    cases = select_cases(probes, _PROFILE, ["t2v"], 1, _SEED, draws)
    strips = [_strip(case.probe, true_video(case).frames) for case in cases]
    for violation in probes[names[0]].violations if violations else ():
        strips.append(_strip(f"{names[0]}: {violation}", next(Violation(violation).generate(cases[:1])).frames))
    width, height = (max(s.size[k] for s in strips) + _GAP * (4 - 3 * k) for k in (0, 1))
    picture = Image.new("RGB", (columns * width, -(-len(strips) // columns) * height), "white")
    for i, strip in enumerate(strips):
        picture.paste(strip, (i % columns * width, i // columns * height))
    return picture


def _strip(name: str, frames: Frames) -> Image.Image:
    """Return moments of a clip from the first to the last frame, below the name."""
    shown = frames[np.linspace(0, len(frames) - 1, min(_MOMENTS, len(frames))).round().astype(int)]
    height, width = shown.shape[1:3]
    strip = Image.new("RGB", (len(shown) * (width + _GAP) - _GAP, height + _TEXT), "white")
    ImageDraw.Draw(strip).text((0, 2), name, "black", ImageFont.load_default(14))
    for k, frame in enumerate(shown):
        strip.paste(Image.fromarray(frame), (k * (width + _GAP), _TEXT))
    return strip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite")
    parser.add_argument("file")
    parser.add_argument("--violations", action="store_true")
    parser.add_argument("--draws", type=int, default=1)
    args = parser.parse_args()
    sheet(args.suite, args.violations, args.draws).save(args.file, quality=85)
