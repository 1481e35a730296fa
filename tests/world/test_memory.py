"""Pictures do not depend on what memory happens to hold."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.types import Case, Frames, Profile
from sora_eval.validity.nuisances import looks_of
from sora_eval.world import clip, scene_of

CASE = registry.probe("company").cases(1, Profile("small", 64, 64, 17, 8, 5), "t2v", 0)[0]
LOOKS = {f"{name} {severity:g}": case for name, severity, case in looks_of(CASE)}


def _frames(case: Case) -> Frames:
    return clip(scene_of(case.scene, 2.0), (64, 64), 8, 5).video.frames


def _leave_behind(value: float) -> None:
    """Fill memory of every size up to 16 KiB with a value, and give it back."""
    blocks = [np.full(n, value) for n in range(8, 2048, 8) for _ in range(8)]
    del blocks


@pytest.mark.parametrize("look", ["plain", *LOOKS])
def test_pictures_do_not_depend_on_what_memory_holds(look: str) -> None:
    case = LOOKS.get(look, CASE)
    _leave_behind(0.0)
    first = _frames(case)
    for value in (np.nan, np.inf, -1e300):
        _leave_behind(value)
        np.testing.assert_array_equal(_frames(case), first)
