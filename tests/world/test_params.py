"""Typed parameters of scene families: JSON form, checks, mirror image; faults and the scenes that they apply to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.types import Profile
from sora_eval.world import scene_of
from sora_eval.world.families import FAMILIES, Family, Params, family
from sora_eval.world.families.params import REVERSED, Across, Colour, Record, Side, Style
from sora_eval.world.faults import FAULTS

BITE = {
    "cookie": "red",
    "biter": "blue",
    "side": "left",
    "depth": 0.5,
    "chips": 3,
    "style": {"floor": "grey", "backdrop": "white", "light": "left"},
}


@pytest.mark.parametrize("kind", FAMILIES.values(), ids=FAMILIES)
def test_parameters_survive_json_with_the_style_last(kind: Family[Any]) -> None:
    params = kind.sample(np.random.default_rng(2))
    values = json.loads(json.dumps(params.to_json()))
    assert kind.read(values) == params
    assert list(values)[-1] == "style"
    assert kind.name in FAMILIES
    assert type(kind).__doc__


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"side": "up"}, "bite params.side must be one of left, right, got 'up'"),
        ({"depth": "0.5"}, "bite params.depth must be of type float, got '0.5'"),
        ({"chips": True}, "bite params.chips must be of type int, got True"),
        ({"cookie": "gren"}, "bite params.cookie must be one of red,"),
        ({"style": {"floor": "grey"}}, "bite params.style has no backdrop, light"),
        ({"style": "grey"}, "bite params.style must be a JSON object, got 'grey'"),
        ({"deph": 0.5}, "unknown key in bite params 'deph': did you mean depth"),
    ],
)
def test_wrong_parameters_of_a_case_are_named(change: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        scene_of({"family": "bite", "params": {**BITE, **change}}, 2.0)


def test_missing_parameters_and_unknown_families_are_named() -> None:
    with pytest.raises(ConfigError, match="bite params has no depth"):
        family("bite").read({k: v for k, v in BITE.items() if k != "depth"})
    with pytest.raises(ConfigError, match="unknown scene family 'bit': did you mean bite"):
        scene_of({"family": "bit", "params": BITE}, 2.0)


@dataclass(frozen=True)
class Part(Record):
    x: Across
    colour: Colour


@dataclass(frozen=True)
class AllParams(Params):
    to: Side
    parts: tuple[Part, ...]
    row: Annotated[tuple[str, ...], REVERSED]
    height: float


def test_a_mirror_changes_each_field_by_its_type() -> None:
    one = AllParams(
        "left", (Part(1.5, "red"), Part(-2.0, "blue")), ("a", "b", "c"), 4.0, style=Style("grey", "white", "right")
    )
    two = AllParams(
        "right", (Part(-1.5, "red"), Part(2.0, "blue")), ("c", "b", "a"), 4.0, style=Style("grey", "white", "left")
    )
    assert one.mirrored() == two
    assert two.mirrored() == one


@pytest.mark.parametrize("name", registry.probe_names())
def test_the_violations_of_a_probe_apply_to_its_scenes(name: str) -> None:
    probe = registry.probe(name)
    scene = scene_of(probe.cases(1, Profile("tiny", 32, 32, 5, 8, 1), "t2v")[0].scene, 2.0)
    for violation in probe.violations:
        fault = FAULTS[violation]
        assert set(fault.needs) <= set(scene.facts)
        assert fault(scene, 0.5).scene.bodies
        assert fault.doc


def test_a_fault_refuses_scenes_that_it_does_not_apply_to() -> None:
    scene = scene_of({"family": "bite", "params": BITE}, 2.0)
    with pytest.raises(ValueError, match="its facts have no stops"):
        FAULTS["hovering"](scene, 1.0)
