"""The table of scores by aspect ratio."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reporting.case_rows import row_of

from sora_eval import registry
from sora_eval.reporting.report.aspects import aspect_table, by_aspect
from sora_eval.types import Case, Profile, ScoreRow

SMALL = Profile("small", 64, 64, 17, 8, 5)


def _row(case: Case, value: float | None) -> ScoreRow:
    parts = {} if value is None else {"whole_share": value, "head_room": 0.25}
    return row_of(case, value, **parts)


def test_each_aspect_stands_against_its_own_square_twins() -> None:
    cases = registry.probe("framed_middle").cases(8, SMALL, "t2v", 0, aspects=("16:9", "9:16"))
    values = [0.5, 1.0, None, 1.0, 0.75, 0.75, 0.5, 0.5]
    found = by_aspect([_row(c, v) for c, v in zip(cases, values, strict=True)], cases, ["m"])
    by = {a.aspect: a for a in found}
    assert list(by) == ["16:9", "9:16", "1:1"]
    assert (by["16:9"].score.mean, by["9:16"].score.mean) == (0.625, 0.25)
    assert by["16:9"].minus_square is not None
    assert by["9:16"].minus_square is not None
    assert by["16:9"].minus_square[0] == pytest.approx(-0.25)
    # Not judged counts as 0 here too.
    assert by["9:16"].minus_square[0] == pytest.approx(-0.5)
    assert by["16:9"].minus_square[1] < -0.25 < by["16:9"].minus_square[2]
    assert by["1:1"].minus_square is None
    assert by["9:16"].measures["whole_share"] == 0.5
    table = aspect_table(found)
    assert [c.text for c in table.rows[0].cells[:4]] == ["16:9", "2", "0.62", "−0.25"]


def test_samples_have_twins_of_their_own() -> None:
    cases = registry.probe("framed_middle").cases(2, SMALL, "t2v", 0, aspects=("2:1",))
    second = [replace(c, id=f"{c.id}.s1", twin=f"{c.twin}.s1", sample=1) for c in cases]
    rows = [_row(c, v) for c, v in zip([*cases, *second], (0.0, 0.5, 0.5, 1.0), strict=True)]
    rows = [replace(r, sample=int(r.case.endswith(".s1"))) for r in rows]
    found = by_aspect(rows, [*cases, *second], ["m"])
    assert found[0].minus_square is not None
    assert found[0].minus_square[0] == pytest.approx(-0.5)


def test_one_aspect_makes_no_table() -> None:
    cases = registry.probe("relation").cases(2, SMALL, "t2v", 0)
    assert by_aspect([_row(c, 1.0) for c in cases], cases, ["m"]) == []
