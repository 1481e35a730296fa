"""The sheet of interaction: `PYTHONPATH=tests python -m benchmarks.interaction_picture docs/interaction.jpg`."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from sora_eval import registry
from sora_eval.generator.simulator import Violation, true_video
from sora_eval.types import Frames, Profile

_PROFILE = Profile("sheet", 144, 144, 17, 8, 5)
_MOMENTS = (0, 4, 6, 8, 10, 12, 16)
_GAP = 4


def sheet(seed: int = 7) -> Image.Image:
    """Return a row per probe, seven moments of its first case, and a row per violation of the first probe's."""
    names = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "interaction"]
    rows = [_row(true_video(registry.probe(n).cases(1, _PROFILE, "t2v", seed)[0]).frames) for n in names]
    probe = registry.probe(names[0])
    case = probe.cases(1, _PROFILE, "t2v", seed)[0]
    rows += [_row(next(Violation(v).generate([case])).frames) for v in probe.violations]
    height = sum(len(r) + _GAP for r in rows) - _GAP
    picture = np.full((height, rows[0].shape[1], 3), 255, np.uint8)
    top = 0
    for row in rows:
        picture[top : top + len(row)] = row
        top += len(row) + _GAP
    return Image.fromarray(picture)


def _row(frames: Frames) -> Frames:
    gap = np.full((frames.shape[1], _GAP, 3), 255, np.uint8)
    parts = [part for k in _MOMENTS for part in (frames[k], gap)][:-1]
    return np.concatenate(parts, axis=1)


if __name__ == "__main__":
    sheet().save(sys.argv[1], quality=88)
