"""What must come true in the clip of a prompt in plain words: phrases such as "dog left of cat", read and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self, TypeAlias

from sora_eval.errors import ConfigError, unknown

LEFT_RIGHT = ("left", "right")
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above", "up": "down", "down": "up"}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MOST = 10
"""The largest number of things that is counted."""
_PLURALS = {"people": "person", "children": "child", "men": "man", "women": "woman", "geese": "goose", "mice": "mouse"}
_PLURALS |= {
    "knives": "knife",
    "sheep": "sheep",
    "scissors": "scissors",
    "skis": "skis",
    "buses": "bus",
    "tomatoes": "tomato",
}
_ARTICLE = re.compile(r"^(?:an?|the)\s+")
_THING = r"[a-z][a-z -]*?"


@dataclass(frozen=True)
class Relation:
    """One thing stands beside, above or below another."""

    FORM: ClassVar[str] = "THING left of THING (right of, above, below)"
    PATTERN: ClassVar[str] = rf"({_THING}) (?:is )?(?:(?:to|on) the )?(left of|right of|above|below) ({_THING})"
    a: str
    """The thing whose side is given."""
    side: str
    """left, right, above or below."""
    b: str
    """The thing that it is beside."""

    @classmethod
    def read(cls, a: str, side: str, b: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(a), side.removesuffix(" of"), thing(b))

    def mirrored(self) -> Self:
        """Return the expectation of the twin: the opposite side."""
        return type(self)(self.a, OPPOSITE[self.side], self.b)

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.a, self.b)


@dataclass(frozen=True)
class Motion:
    """A thing moves to one side of what stands still."""

    FORM: ClassVar[str] = "THING to the left (right, up, down)"
    PATTERN: ClassVar[str] = rf"({_THING}) (?:moves )?(?:(?:to|towards) the )?(left|right|up|down)"
    thing: str
    """What moves."""
    to: str
    """left, right, up or down."""

    @classmethod
    def read(cls, moving: str, to: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(moving), to)

    def mirrored(self) -> Self:
        """Return the expectation of the twin: the opposite direction."""
        return type(self)(self.thing, OPPOSITE[self.to])

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing,)


@dataclass(frozen=True)
class Camera:
    """The camera pans or tilts."""

    FORM: ClassVar[str] = "pan left, pan right, tilt up or tilt down"
    PATTERN: ClassVar[str] = r"(pan left|pan right|tilt up|tilt down)"
    to: str
    """left, right, up or down."""

    @classmethod
    def read(cls, move: str) -> Self:
        """Return the expectation of a phrase."""
        return cls(move.split()[1])

    def mirrored(self) -> Self:
        """Return the expectation of the twin: the opposite way."""
        return type(self)(OPPOSITE[self.to])

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names: none."""
        return ()


@dataclass(frozen=True)
class Count:
    """A number of things of one kind is seen."""

    FORM: ClassVar[str] = f"NUMBER THING, from 1 to {MOST}"
    PATTERN: ClassVar[str] = rf"(\d+|{'|'.join(NUMBERS[1:])}) ({_THING})"
    number: int
    """How many."""
    thing: str
    """Of what, in the singular."""

    @classmethod
    def read(cls, number: str, things: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        value = int(number) if number.isdigit() else NUMBERS.index(number)
        if not 1 <= value <= MOST:
            raise ConfigError(f"a number from 1 to {MOST} can be counted, not {value}")
        return cls(value, singular(thing(things)))

    def mirrored(self) -> Self:
        """Return the expectation of the twin: one more, or one fewer where that is more than can be counted."""
        return type(self)(self.number + 1 if self.number < MOST else self.number - 1, self.thing)

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing,)


@dataclass(frozen=True)
class PassBehind:
    """A thing passes behind another and comes out on its other side."""

    FORM: ClassVar[str] = "THING behind THING, with to the left or to the right after it where the prompt says so"
    PATTERN: ClassVar[str] = rf"({_THING}) (?:passes )?behind ({_THING})(?: to the (left|right))?"
    thing: str
    """What passes."""
    behind: str
    """What hides it for a while."""
    to: str = ""
    """left, right, or "" where the prompt leaves it open."""

    @classmethod
    def read(cls, moving: str, behind: str, to: str | None = None) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(moving), thing(behind), to or "")

    def mirrored(self) -> Self:
        """Return the expectation of the twin: the opposite direction."""
        return type(self)(self.thing, self.behind, OPPOSITE.get(self.to, ""))

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing, self.behind)


Expectation: TypeAlias = Relation | Motion | Camera | Count | PassBehind
KINDS: dict[str, type[Expectation]] = {
    "relation": Relation,
    "motion": Motion,
    "camera": Camera,
    "count": Count,
    "pass_behind": PassBehind,
}
"""The kinds of expectations by the name that a file of prompts gives them."""
LATER = ("hands", "cover", "leave_and_return", "orbit", "dolly", "revisit")
"""What the world's probes judge and no clip in plain words is judged for yet."""


def read(kind: str, phrase: object) -> Expectation:
    """Return the expectation that a phrase describes.

    >>> read("relation", "the dog to the left of the cat")
    Relation(a='dog', side='left', b='cat')

    Raises:
        ConfigError: the kind is unknown, or the phrase is none of its form.
    """
    if kind in LATER:
        raise ConfigError(f"expect.{kind} can't be judged yet: use {', '.join(KINDS)}")
    if kind not in KINDS:
        raise unknown("expectation", kind, KINDS)
    of = KINDS[kind]
    text = " ".join(phrase.lower().split()).rstrip(".") if isinstance(phrase, str) else ""
    found = re.fullmatch(of.PATTERN, text)
    if not found:
        raise ConfigError(f"expect.{kind} must read {of.FORM}, got {phrase!r}")
    make: Callable[..., Expectation] = of.read
    return make(*found.groups())


def from_json(values: Mapping[str, Any]) -> Expectation:
    """Return the expectation that `to_json` wrote.

    Raises:
        ConfigError: it is none of this version.
    """
    kind = values.get("kind")
    of = KINDS.get(kind) if isinstance(kind, str) else None
    own = {k: v for k, v in values.items() if k != "kind"}
    if of is None or set(own) != {f.name for f in fields(of)}:
        raise ConfigError(f"its expectation {dict(values)} is none of this version")
    for f in fields(of):
        if not isinstance(own[f.name], int if f.name == "number" else str):
            raise ConfigError(f"its expectation {dict(values)} is none of this version")
    make: Callable[..., Expectation] = of
    return make(**own)


def to_json(expectation: Expectation) -> dict[str, Any]:
    """Return an expectation as JSON values, with its kind."""
    kind = next(name for name, of in KINDS.items() if isinstance(expectation, of))
    return {"kind": kind, **asdict(expectation)}


def thing(text: str) -> str:
    """Return the words of a thing without an article."""
    return _ARTICLE.sub("", text.strip())


def singular(text: str) -> str:
    """Return the words of a thing with the last one in the singular."""
    *before, last = text.split()
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last.endswith("s") and not last.endswith("ss"):
        last = (
            last[:-2]
            if re.search(r"(?:ch|sh|x|ss)es$", last)
            else f"{last[:-3]}y"
            if last.endswith("ies")
            else last[:-1]
        )
    return " ".join([*before, last])
