"""A sweep that is killed again and again ends with the scores of one that was not (tests/soak.py has the rest)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soak


@pytest.mark.slow
def test_kill_9_at_random_moments_changes_no_byte(tmp_path: Path) -> None:
    # One process, a few cases: starting more is what takes long. The soak has two, and six cases.
    few = {"workers=2": "workers=1", "suite.count=6": "suite.count=2"}
    words = [few.get(w, w) for w in soak.SWEEP]
    assert len(set(words) - set(soak.SWEEP)) == len(few)
    seconds = soak.undisturbed(tmp_path / "whole", words)
    soak.disturbed(tmp_path / "killed", 2, seconds, seed=1, words=words)
    whole, killed = soak.scores(tmp_path / "whole"), soak.scores(tmp_path / "killed")
    assert len(whole) == 2 and whole == killed
    for data in killed.values():
        rows = [json.loads(line) for line in data.decode().splitlines()]
        cases = [(r["generator"], r["case"]) for r in rows]
        # None lost, none twice: two generators, two probes, two cases.
        assert len(cases) == len(set(cases)) == 2 * 2 * 2
    assert not list((tmp_path / "killed").rglob(".*.part"))
