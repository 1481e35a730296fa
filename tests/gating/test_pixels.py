"""Pixel differences of the clips of two runs: known answers, and what can't be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands.gate_runs import with_clips

from sora_eval.gating.pixels import clips_of, pixel_differences
from sora_eval.runs.baseline import read_scored


def test_pixel_differences_of_two_runs(tmp_path: Path) -> None:
    grey = np.full((3, 64, 64, 3), 60, np.uint8)
    sides = {
        "a": {0: grey, 1: grey, 2: grey, 3: grey},
        # The same, 51 levels brighter (20 log10 5 dB), of another size, and none.
        "b": {0: grey, 1: grey + np.uint8(51), 2: np.full((3, 48, 64, 3), 60, np.uint8)},
    }
    found = {name: read_scored(with_clips(tmp_path / name, clips)) for name, clips in sides.items()}
    a, b = (clips_of(side.run.folder, side.rows) for side in found.values())
    assert (len(a), len(b)) == (4, 3)
    differences = pixel_differences(a, b)
    assert differences is not None
    assert (differences.clips, differences.identical, differences.compared, differences.skipped) == (3, 1, 2, 1)
    assert differences.psnr == pytest.approx((100 + 20 * np.log10(5)) / 2)
    assert 0 < differences.ssim < 1 and differences.distance > 0
    assert "1 of 3 clips are the same bytes" in str(differences) and "1 could not be compared" in str(differences)
    assert pixel_differences(a, {}) is None
    few = pixel_differences(a, b, most=1)
    assert few is not None and (few.clips, few.compared) == (3, 1)
