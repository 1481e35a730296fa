"""What a manifest says of a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sora_eval import registry
from sora_eval.generator.callable import PythonCallable
from sora_eval.runs.manifest import fingerprint, manifest
from sora_eval.runs.plan import Plan
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Case, Profile
from sora_eval.video import VideoOptions


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(registry.probe("relation").cases(6, Profile("small", 64, 64, 17, 8, 5), "t2v"))


def test_a_checkpoint_is_the_same_model_in_runs_of_few_and_of_many_cases(cases: list[Case]) -> None:
    model: Any = PythonCallable("json:dumps", version="1")
    assert fingerprint(model, cases[:2]) == fingerprint(model, cases)
    other: Any = PythonCallable("json:dumps", version="2")
    assert fingerprint(other, cases) != fingerprint(model, cases)


@pytest.mark.parametrize(
    ("codec", "expected"),
    [("lossless", "lossless"), ("h264", "h264-crf10"), ("auto", "h264-crf10, lossless")],
)
def test_the_encodings_of_all_sizes_are_recorded(cases: list[Case], tmp_path: Path, codec: Any, expected: str) -> None:
    config = {"suite": {"name": "s"}, "profile": {"name": "p"}, "seed": 0, "generator": {}}
    sized = [cases[0], replace(cases[1], size=(480, 832)), cases[2]]
    model: Any = PythonCallable("json:dumps", version="1")
    plan = Plan(
        config, "", {}, sized, [model], None, tmp_path, 1, False, None, WorldTracker(), VideoOptions(codec=codec)
    )
    assert manifest(plan, [], 0.0, {})["versions"]["video"] == expected
    assert manifest(replace(plan, cases=sized[::-1]), [], 0.0, {})["versions"]["video"] == expected


def test_videos_are_told_apart_and_so_is_their_order(cases: list[Case]) -> None:
    class Videos:
        def __init__(self, *order: int) -> None:
            self.order = order

        def fingerprint(self, case: Case) -> str:
            return f"video {self.order[cases.index(case)]}"

    prints = {fingerprint(Videos(*order), cases[:3]) for order in ((0, 1, 2), (1, 0, 2), (0, 1, 3))}
    assert len(prints) == 3
