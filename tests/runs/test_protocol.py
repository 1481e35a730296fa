"""Runs of one protocol are compared; of two, every difference is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sora_eval.errors import ConfigError
from sora_eval.runs.measures import write_measures
from sora_eval.runs.protocol import Protocol, common, differing, protocol_hash, protocol_of, refuse_versions
from sora_eval.runs.reader import Run
from sora_eval.types import Case, Measure, ScoreRow


def _case(number: int, probe: str = "relation", **changed: Any) -> Case:
    ids = f"left_right.{probe}.t2v.{number:04d}"
    case = Case(ids, "left_right", probe, "t2v", "a ball", (64, 64), 8, 17, 0, number, {}, {}, f"{probe}.{number // 2}")
    return replace(case, **changed)


def _run(folder: Path, cases: list[Case], probes: dict[str, int], **versions: str) -> Run:
    rows = [
        ScoreRow(
            c.id, c.suite, c.probe, c.mode, "m", "model", 1.0, "", {}, 0.5, c.prompt, c.cluster, "", c.seed, "", ""
        )
        for c in cases
    ]
    manifest = {"hashes": {"probes": probes}, "versions": {"tracker": "3", "world": "5", **versions}}
    return Run(folder, manifest, tuple(cases), tuple(rows), ())


def _fidelity(folder: Path, encoder: str) -> None:
    write_measures(
        folder, {"": {"m": [Measure("frechet", 1.0, None, None, (4, 4), f"frechet {encoder} frames=16 ddof=1", False)]}}
    )


def test_a_protocol_tells_cases_versions_and_facts(tmp_path: Path) -> None:
    cases = [_case(0), _case(1)]
    _fidelity(tmp_path, "world-video@0123abcd")
    found = protocol_of(_run(tmp_path, cases, {"relation": 2, "unused": 9}))
    assert found.cases == {c.id: c.hash_without_twin for c in cases}
    assert found.probes == {"relation": 2}
    assert found.facts == {
        "size": "64x64",
        "fps": "8",
        "frames": "17",
        "tracker": "3",
        "world": "5",
        "alignment": "1",
        "video": "lossless",
        "samples per prompt": "1",
        "encoder world-video": "0123abcd",
    }


def test_equal_runs_do_not_differ_and_one_without_fidelity_agrees(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    _fidelity(tmp_path / "a", "world-video@0123abcd")
    both = {n: protocol_of(_run(tmp_path / n, [_case(0)], {"relation": 1})) for n in ("a", "b")}
    assert differing(both) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda c, p, v: (c, {"relation": 2}, v), "version of probe relation: 1 in a; 2 in b"),
        (lambda c, p, v: ([replace(x, size=(128, 64)) for x in c], p, v), "size: 64x64 in a; 128x64 in b"),
        (lambda c, p, v: ([replace(x, fps=12.0) for x in c], p, v), "fps: 8 in a; 12 in b"),
        (lambda c, p, v: ([replace(x, frames=33) for x in c], p, v), "frames: 17 in a; 33 in b"),
        (lambda c, p, v: (c, p, {"tracker": "4"}), "tracker: world 3 in a; world 4 in b"),
        (lambda c, p, v: (c, p, {"world": "6"}), "world: 5 in a; 6 in b"),
        (lambda c, p, v: (c, p, {"alignment": "2"}), "alignment: 1 in a; 2 in b"),
        (lambda c, p, v: (c[:1], p, v), "cases: b lacks 1 of 2, such as left_right.relation.t2v.0001"),
        (
            lambda c, p, v: ([c[0], replace(c[1], prompt="a cube")], p, v),
            "cases: 1 of 2 have the same id and ask for something else, such as left_right.relation.t2v.0001; "
            "another seed gives other cases, another version of sora-eval may word them otherwise",
        ),
    ],
)
def test_every_difference_is_one_line(change: Callable[..., Any], line: str) -> None:
    cases, probes = [_case(0), _case(1)], {"relation": 1}
    a = _run(Path("a"), cases, probes)
    cases_b, probes_b, versions = change(cases, probes, {})
    b = _run(Path("b"), cases_b, probes_b, **versions)
    assert differing({"a": protocol_of(a), "b": protocol_of(b)}) == [line]


def test_runs_that_record_the_first_alignment_are_those_of_before_it_was_recorded() -> None:
    old, same, new = (
        protocol_of(_run(Path("a"), [_case(0)], {}, **v)) for v in ({}, {"alignment": "1"}, {"alignment": "2"})
    )
    assert differing({"a": old, "b": same}) == [] and protocol_hash(old) == protocol_hash(same) != protocol_hash(new)
    refuse_versions({"a": old, "b": same})
    with pytest.raises(ConfigError, match="alignment: 1 in a; 2 in b; run them again with one alignment"):
        refuse_versions({"a": old, "b": new})


def _of_file(run: Run, case_set: str) -> Protocol:
    return protocol_of(
        replace(run, manifest={**run.manifest, "hashes": {**run.manifest["hashes"], "case_set": case_set}})
    )


def test_where_the_cases_come_from_matters_only_where_they_differ() -> None:
    suite, other = (_run(Path(n), [_case(0), _case(1, prompt=n)], {"relation": 1}) for n in "ab")
    plain, filed = protocol_of(suite), _of_file(suite, "0123456789abcdef00")
    assert differing({"a": plain, "b": filed, "c": _of_file(suite, "ff")}) == []
    assert protocol_hash(plain) == protocol_hash(filed)
    # Published hashes of suite runs stay the same.
    assert protocol_hash(plain) == "d5b93646fa7ca95c"
    lines = differing({"a": plain, "b": _of_file(other, "0123456789abcdef00")})
    assert lines[0] == "set of cases: those of a suite in a; 0123456789abcdef in b"
    assert len(lines) == 2 and protocol_hash(plain) != protocol_hash(_of_file(other, "ff"))


def _facts(**encoders: str) -> Protocol:
    return Protocol({}, {}, {f"encoder {k}": v for k, v in encoders.items()})


def test_encoders_differ_by_hash_or_by_name() -> None:
    assert differing({"a": _facts(i3d="00aa"), "b": _facts(i3d="00bb")}) == ["encoder i3d: 00aa in a; 00bb in b"]
    assert differing({"a": _facts(i3d="00aa"), "b": _facts(world="00bb")}) == ["encoders: i3d in a; world in b"]
    assert differing({"a": _facts(i3d="00aa", clip="1"), "b": _facts(i3d="00aa")}) == []


def test_common_keeps_equal_cases_of_equal_probes() -> None:
    a = _run(
        Path("a"), [_case(0), _case(1), _case(0, "bite"), _case(0, "hands")], {"relation": 1, "bite": 1, "hands": 1}
    )
    b = _run(
        Path("b"),
        [_case(1), _case(0, prompt="other"), _case(0, "bite"), _case(0, "hands")],
        {"relation": 1, "bite": 2, "hands": 1},
    )
    kept = common([a, b])
    wanted = {"left_right.relation.t2v.0001", "left_right.hands.t2v.0000"}
    for run in kept:
        assert {c.id for c in run.cases} == {r.case for r in run.rows} == wanted
    assert differing({run.folder.name: protocol_of(run) for run in kept}) == []


def test_common_of_nothing_says_what_differs() -> None:
    a = _run(Path("a"), [_case(0)], {"relation": 1})
    with pytest.raises(ConfigError, match=r"share nothing .*size: 64x64 in a; 32x32 in b"):
        common([a, _run(Path("b"), [_case(0, size=(32, 32))], {"relation": 1})])
    with pytest.raises(ConfigError, match=r"tracker: world 3 in a; world 4 in b"):
        common([a, _run(Path("b"), [_case(0)], {"relation": 1}, tracker="4")])


def test_a_manifest_without_versions_is_named(tmp_path: Path) -> None:
    run = replace(_run(tmp_path, [_case(0)], {}), manifest=json.loads("{}"))
    with pytest.raises(ConfigError, match=r"manifest\.json: hashes\.probes"):
        protocol_of(run)
