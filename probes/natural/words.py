"""Words of the phrases that say what must come true, and the base class of what they are read into."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from sora_eval.errors import ConfigError

OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above", "up": "down", "down": "up"}
OPPOSITE |= {"in": "out", "out": "in"}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MOST = 10
"""The largest number of things that is counted."""
PLURALS = {"people": "person", "children": "child", "men": "man", "women": "woman", "geese": "goose", "mice": "mouse"}
PLURALS |= {
    "knives": "knife",
    "sheep": "sheep",
    "scissors": "scissors",
    "skis": "skis",
    "buses": "bus",
    "tomatoes": "tomato",
}
"""Irregular plurals with their singulars."""
_ARTICLE = re.compile(r"^(?:an?|the)\s+")
THING = r"[a-z][a-z -]*?"
"""A thing in a pattern."""
TO_SIDE = r"(?: to the (left|right))?"
"""A side that may be left out, in a pattern."""


class Expectation(ABC):
    """What must come true in a clip. Subclasses are frozen dataclasses whose fields are strings and numbers."""

    FORM: ClassVar[str]
    """The form of its phrase, for messages."""
    PATTERN: ClassVar[str]
    """The regular expression of its phrase, in lower case; its groups are the arguments of `read`."""

    @classmethod
    @abstractmethod
    def read(cls, *args: Any, **kwargs: Any) -> Self:
        """Return the expectation of the groups of `PATTERN` in a phrase; subclasses name them."""

    @property
    @abstractmethod
    def phrase(self) -> str:
        """The phrase that is read into it."""

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return self.phrase

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return ()

    @property
    def length_s(self) -> int | None:
        """The length in seconds of the clip that it asks for, None for that of the profile."""
        return None

    def mirrored(self) -> Expectation | None:
        """Return the expectation of the mirrored or matched twin, None where there is none."""
        return None

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in a clip in words.

        components: of its score: side (1 the expected one, -1 the other; the expected one where absent, for no side was measured),
        and of some kinds returns, bounces, faster, still or cut (1 yes, 0 no, no where absent), rise or counted.
        """
        mirror = self.mirrored()
        return self.phrase if mirror is None or right_side(components) else mirror.phrase


def to_side(side: str) -> str:
    """Return a side as it ends a phrase, "" for none."""
    return f" to the {side}" if side in ("left", "right") else f" {side}" if side else ""


def opposite(side: str) -> str:
    """Return the opposite side, "" for none."""
    return OPPOSITE.get(side, "")


def right_side(components: Mapping[str, float]) -> bool:
    """Return whether the components of a score have the side that was expected, or none."""
    return components.get("side", 1.0) > 0


def thing(text: str) -> str:
    """Return the words of a thing without an article."""
    return _ARTICLE.sub("", text.strip())


def number(text: str) -> int:
    """Return a number in digits or in words.

    Raises:
        ConfigError: it can't be counted.
    """
    value = int(text) if text.isdigit() else NUMBERS.index(text)
    if not 1 <= value <= MOST:
        raise ConfigError(f"a number from 1 to {MOST} can be counted, not {value}")
    return value


def singular(text: str) -> str:
    """Return the words of a thing with the last one in the singular."""
    *before, last = text.split()
    if last in PLURALS:
        last = PLURALS[last]
    elif last.endswith("s") and not last.endswith("ss"):
        last = (
            last[:-2]
            if re.search(r"(?:ch|sh|x|ss)es$", last)
            else f"{last[:-3]}y"
            if last.endswith("ies")
            else last[:-1]
        )
    return " ".join([*before, last])
