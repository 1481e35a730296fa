"""What a prompt in plain words expects, and what was seen, as the report says it."""

from dataclasses import replace

import pytest

from sora_eval import registry
from sora_eval.probes.natural.events import Bounce, Fall
from sora_eval.probes.natural.expectations import Count, PassBehind, Relation, to_json
from sora_eval.probes.natural.views import Camera, Revisit, Shot
from sora_eval.probes.natural.words import Expectation
from sora_eval.reporting.report.reasons import expected, why
from sora_eval.types import Case, ScoreRow

WORLD = registry.probe("relation").cases(1, registry.profile("small"), "t2v")[0]


def of(expectation: Expectation) -> Case:
    return replace(WORLD, expect=to_json(expectation), scene={})


def row(value: float | None, **components: float) -> ScoreRow:
    reason = "no dog was found" if value is None else ""
    return ScoreRow(
        WORLD.id, "s", "p", "t2v", "model", "model", value, reason, components, 0.5, "a prompt", "c", "", 0, "", ""
    )


@pytest.mark.parametrize(
    ("expectation", "value", "components", "seen"),
    [
        (Relation("dog", "left", "cat"), 0.0, {"side": -1.0}, "dog right of cat"),
        (Relation("dog", "above", "cat"), 1.0, {"side": 1.0}, "dog above cat"),
        (Camera("in", "zoom"), 0.0, {"side": -1.0}, "camera: zoom out"),
        (Camera("", "still"), 0.0, {"still": 0.0}, "camera: moves"),
        (Count(3, "apple"), 0.0, {"counted": 4.0}, "4 × apple"),
        (PassBehind("dog", "car", "left"), 0.0, {"returns": 0.0}, "never comes out"),
        (Revisit("left"), 0.0, {"returns": 1.0, "side": -1.0}, "away to the right and back"),
        (Shot("one"), 0.0, {"cut": 1.0}, "a cut"),
        (Fall("apple"), 0.0, {"faster": 0.0, "halves": 0.5}, "slower and slower"),
        (Bounce("ball"), 0.0, {"bounces": 1.0, "rise": 1.5}, "higher than it fell"),
    ],
)
def test_what_was_expected_and_what_was_seen(
    expectation: Expectation, value: float, components: dict[str, float], seen: str
) -> None:
    line = expected(of(expectation), row(value, **components))
    assert line.startswith(f"Expected: {expectation.sentence}. Seen: ")
    assert seen in line.partition("Seen: ")[2]
    assert "Components" not in why(row(value, **{k: v for k, v in components.items() if k not in ("side", "returns")}))


def test_a_clip_that_is_not_judged_has_what_was_expected_alone() -> None:
    assert expected(of(Relation("dog", "left", "cat")), row(None)) == "Expected: dog left of cat."


def test_cases_of_the_world_and_of_other_versions_have_no_such_line() -> None:
    assert expected(WORLD, row(1.0)) == ""
    assert expected(replace(WORLD, expect={"kind": "jump", "thing": "dog"}), row(1.0)) == ""
