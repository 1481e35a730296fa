"""The sheet of framing: `PYTHONPATH=tests python -m benchmarks.framing_picture docs/framing.jpg`."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from sora_eval import registry
from sora_eval.generator.simulator import Violation, true_video
from sora_eval.probes.base import Probe
from sora_eval.types import Case, Frames, Profile

ASPECTS = ("16:9", "9:16", "4:3", "21:9")
_PROFILE = Profile("sheet", 160, 160, 17, 8, 5)
_GAP, _HEIGHT = 6, 150


def sheet(seed: int = 7) -> Image.Image:
    """Return a row per probe, its first case in each aspect ratio and square, and a row of the violations of the first probe's."""
    names = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "framing"]
    rows = [_row([_middle(true_video(case).frames) for case in _cases(registry.probe(n), seed)]) for n in names]
    probe = registry.probe(names[0])
    first = _cases(probe, seed)[0]
    rows.append(_row([_middle(next(Violation(v).generate([first])).frames) for v in probe.violations]))
    width = rows[0].width
    rows = [r.resize((width, round(r.height * width / r.width)), Image.Resampling.LANCZOS) for r in rows]
    tops = np.cumsum([0, *(r.height + _GAP for r in rows)])
    picture = Image.new("RGB", (width, int(tops[-1]) - _GAP), "white")
    for row, top in zip(rows, tops, strict=False):
        picture.paste(row, (0, int(top)))
    return picture


def _cases(probe: Probe, seed: int) -> list[Case]:
    """Return the first case of a probe in each aspect ratio, and its square twin."""
    pairs = [probe.cases(2, _PROFILE, "t2v", seed, aspects=(aspect,)) for aspect in ASPECTS]
    return [*(pair[0] for pair in pairs), pairs[0][1]]


def _middle(frames: Frames) -> Image.Image:
    frame = Image.fromarray(frames[len(frames) // 2])
    return frame.resize((round(frame.width * _HEIGHT / frame.height), _HEIGHT), Image.Resampling.LANCZOS)


def _row(images: list[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (sum(i.width + _GAP for i in images) - _GAP, _HEIGHT), "white")
    for image, x in zip(images, np.cumsum([0, *(i.width + _GAP for i in images)]), strict=False):
        row.paste(image, (int(x), 0))
    return row


if __name__ == "__main__":
    sheet().save(sys.argv[1], quality=88)
