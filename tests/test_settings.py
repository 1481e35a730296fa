"""Values of settings are checked against type and range."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from sora_eval.errors import ConfigError
from sora_eval.settings import Constraint, Settings, option


@dataclass(frozen=True)
class Example(Settings):
    GROUP: ClassVar[str] = "example"

    share: float = option(0.5, above=0, below=1)
    drops: Mapping[str, float] = option({}, least=0, most=2)


@pytest.mark.parametrize(
    ("limits", "text", "inside", "outside"),
    [
        ({}, "", [-1e9, 1e9], []),
        ({"least": 1}, " of at least 1", [1], [0.5]),
        ({"most": 100_000}, " of at most 100000", [100_000], [100_001]),
        ({"above": 0}, " above 0", [0.1], [0]),
        ({"above": 0, "most": 2}, " above 0 and at most 2", [2], [0, 2.1]),
        ({"least": 0, "most": 1}, " from 0 to 1", [0, 1], [-0.1, 1.1]),
        ({"least": 0, "below": 2}, " from 0 to below 2", [0, 1.9], [2]),
        ({"above": 0, "below": 1}, " between 0 and 1", [0.5], [0, 1]),
    ],
)
def test_a_range_holds_what_its_words_say(limits, text, inside, outside):
    constraint = Constraint(**limits)
    assert str(constraint) == text
    assert all(constraint.holds(value) for value in inside)
    assert not any(constraint.holds(value) for value in outside)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"share": 1}, "example.share must be a number between 0 and 1, got 1"),
        ({"share": True}, "example.share must be a number between 0 and 1, got True"),
        ({"drops": {"orbit": 3}}, "example.drops.orbit must be a number from 0 to 2, got 3"),
        ({"drops": 1}, "example.drops must be a group of options {NAME: VALUE}, got 1"),
        ({"shar": 1}, "unknown option 'example.shar': did you mean example.share or example.drops?"),
    ],
)
def test_wrong_values_are_named(values, line):
    with pytest.raises(ConfigError) as error:
        Example.of(values)
    assert str(error.value) == line
