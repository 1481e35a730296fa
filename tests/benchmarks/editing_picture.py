"""The sheet of editing: `PYTHONPATH=tests python -m benchmarks.editing_picture docs/editing.jpg`."""

from __future__ import annotations

import sys
from collections.abc import Collection

import numpy as np
from PIL import Image, ImageDraw

from sora_eval import registry
from sora_eval.generator.simulator import Violation, true_video
from sora_eval.types import Case, Frames, Mode, Profile
from sora_eval.world import conditioning

_PROFILE = Profile("sheet", 128, 128, 17, 8, 5)
_SHOWN = range(0, 17, 2)
_GAP = 4
_FAULTS = {
    "extension": ["holds_and_cuts"],
    "transition": ["cross_fades"],
    "endless_loop": ["stays_open"],
    "recolour": ["redraws_all"],
    "change_background": ["changes_in_part"],
}
_HALF = ("changes_in_part",)
"""Violations that are shown at half of their severity: at the full one they are the source clip."""
_CASES = {"change_background": 3}
"""Cases that are shown of a probe, one of a pair of twins each; else the first."""


def sheet(seed: int = 7) -> Image.Image:
    """Return a row per case of each probe and mode, the true clip with its given frames framed, then a violation of each probe."""
    rows: list[Image.Image] = []
    for name, faults in _FAULTS.items():
        probe = registry.probe(name)
        for mode in probe.modes:
            for case in _cases(name, mode, seed):
                source = conditioning(case) if mode == "edit" else None
                rows += [] if source is None else [_row(source, case.given_at)]
                rows.append(_row(true_video(case).frames, case.keeps))
        rows += [
            _row(next(Violation(f, 0.5 if f in _HALF else 1.0).generate([case])).frames, case.keeps) for f in faults
        ]
    picture = Image.new("RGB", (rows[0].width, len(rows) * (rows[0].height + _GAP) - _GAP), "white")
    for k, row in enumerate(rows):
        picture.paste(row, (0, k * (row.height + _GAP)))
    return picture


def _cases(name: str, mode: Mode, seed: int) -> list[Case]:
    return registry.probe(name).cases(2 * _CASES.get(name, 1), _PROFILE, mode, seed)[::2]


def _row(frames: Frames, given: Collection[int]) -> Image.Image:
    height, width = frames.shape[1:3]
    row = Image.new("RGB", (len(_SHOWN) * (width + _GAP) - _GAP, height), "white")
    for i, k in enumerate(_SHOWN):
        frame = Image.fromarray(np.ascontiguousarray(frames[k]))
        if k in given:
            ImageDraw.Draw(frame).rectangle((0, 0, width - 1, height - 1), outline="black", width=4)
        row.paste(frame, (i * (width + _GAP), 0))
    return row


if __name__ == "__main__":
    sheet().save(sys.argv[1], quality=88)
