"""What must come true in the clip of a prompt in plain words: phrases such as "dog left of cat", read and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Self

from sora_eval.errors import ConfigError, unknown
from sora_eval.probes.natural.events import Bounce, Change, Fall, Push, Rest, Throw, Topple
from sora_eval.probes.natural.takes import LongTake
from sora_eval.probes.natural.views import Camera, Revisit, Shot
from sora_eval.probes.natural.words import (
    MOST,
    NUMBERS,
    THING,
    TO_SIDE,
    Expectation,
    number,
    opposite,
    singular,
    thing,
    to_side,
)


@dataclass(frozen=True)
class Relation(Expectation):
    """One thing stands beside, above or below another."""

    FORM: ClassVar[str] = "THING left of THING (right of, above, below)"
    PATTERN: ClassVar[str] = rf"({THING}) (?:is )?(?:(?:to|on) the )?(left of|right of|above|below) ({THING})"
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

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.a} {self.side}{' of' if self.side in ('left', 'right') else ''} {self.b}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.a, self.b)

    def mirrored(self) -> Relation:
        """Return the expectation of the twin: the opposite side."""
        return Relation(self.a, opposite(self.side), self.b)


@dataclass(frozen=True)
class Motion(Expectation):
    """A thing moves to one side of what stands still."""

    FORM: ClassVar[str] = "THING to the left (right, up, down)"
    PATTERN: ClassVar[str] = rf"({THING}) (?:moves )?(?:(?:to|towards) the )?(left|right|up|down)"
    thing: str
    """What moves."""
    to: str
    """left, right, up or down."""

    @classmethod
    def read(cls, moving: str, to: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(moving), to)

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} moves{to_side(self.to)}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing,)

    def mirrored(self) -> Motion:
        """Return the expectation of the twin: the opposite direction."""
        return Motion(self.thing, opposite(self.to))


@dataclass(frozen=True)
class Hands(Expectation):
    """Somebody uses the left or the right hand, their own."""

    FORM: ClassVar[str] = "left (right) hand of THING"
    PATTERN: ClassVar[str] = rf"(left|right) hand of ({THING})"
    hand: str
    """left or right, of the one whose hand it is."""
    thing: str
    """Whose hand."""

    @classmethod
    def read(cls, hand: str, whose: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(hand, thing(whose))

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.hand} hand of {self.thing}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing,)

    def mirrored(self) -> Hands:
        """Return the expectation of the twin: the other hand."""
        return Hands(opposite(self.hand), self.thing)


@dataclass(frozen=True)
class Count(Expectation):
    """A number of things of one kind is seen."""

    FORM: ClassVar[str] = f"NUMBER THING, from 1 to {MOST}"
    PATTERN: ClassVar[str] = rf"(\d+|{'|'.join(NUMBERS[1:])}) ({THING})"
    number: int
    """How many."""
    thing: str
    """Of what, in the singular."""

    @classmethod
    def read(cls, of: str, things: str) -> Self:
        """Return the expectation of the parts of a phrase.

        Raises:
            ConfigError: the number can't be counted.
        """
        return cls(number(of), singular(thing(things)))

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.number} {self.thing}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing,)

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return f"{self.number} × {self.thing}"

    def mirrored(self) -> Count:
        """Return the expectation of the twin: one more, or one fewer where that is more than can be counted."""
        return Count(self.number + 1 if self.number < MOST else self.number - 1, self.thing)

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        return f"{components.get('counted', self.number):.0f} × {self.thing}"


@dataclass(frozen=True)
class PassBehind(Expectation):
    """A thing passes behind another and comes out on its other side."""

    FORM: ClassVar[str] = "THING behind THING, with to the left or to the right after it where the prompt says so"
    PATTERN: ClassVar[str] = rf"({THING}) (?:passes )?behind ({THING}){TO_SIDE}"
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

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} passes behind {self.behind}{to_side(self.to)}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing, self.behind)

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return self.seen({"returns": 1.0})

    def mirrored(self) -> PassBehind:
        """Return the expectation of the twin: the opposite direction."""
        return PassBehind(self.thing, self.behind, opposite(self.to))

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        out = "comes out on the other side" if components.get("returns") else "never comes out"
        return f"{self.phrase} and {out}"


@dataclass(frozen=True)
class Cover(Expectation):
    """A thing that stands is hidden by another that moves past it, and is there again."""

    FORM: ClassVar[str] = "THING by THING, with to the left or to the right after it where the prompt says so"
    PATTERN: ClassVar[str] = rf"({THING}) (?:(?:is )?(?:hidden|covered) )?by ({THING}){TO_SIDE}"
    thing: str
    """What is hidden."""
    by: str
    """What hides it for a while."""
    to: str = ""
    """left or right, where that one moves, or "" where the prompt leaves it open."""

    @classmethod
    def read(cls, hidden: str, by: str, to: str | None = None) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(hidden), thing(by), to or "")

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} hidden by {self.by}{to_side(self.to)}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing, self.by)

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return self.seen({"returns": 1.0})

    def mirrored(self) -> Cover:
        """Return the expectation of the twin: the opposite direction."""
        return Cover(self.thing, self.by, opposite(self.to))

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        return f"{self.phrase} and {'seen' if components.get('returns') else 'not seen'} again"


@dataclass(frozen=True)
class LeaveAndReturn(Expectation):
    """A thing leaves the picture and comes back into it."""

    FORM: ClassVar[str] = "THING, with to the left or to the right after it where the prompt says so"
    PATTERN: ClassVar[str] = rf"({THING}){TO_SIDE}"
    thing: str
    """What leaves."""
    to: str = ""
    """left or right, where it leaves, or "" where the prompt leaves it open."""

    @classmethod
    def read(cls, leaving: str, to: str | None = None) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(leaving), to or "")

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing}{to_side(self.to)}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing,)

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return self.seen({"returns": 1.0})

    def mirrored(self) -> LeaveAndReturn:
        """Return the expectation of the twin: the opposite direction."""
        return LeaveAndReturn(self.thing, opposite(self.to))

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        back = "comes back" if components.get("returns") else "never comes back"
        return f"{self.thing} leaves the picture{to_side(self.to)} and {back}"


KINDS: dict[str, type[Expectation]] = {
    "relation": Relation,
    "motion": Motion,
    "hands": Hands,
    "camera": Camera,
    "revisit": Revisit,
    "shot": Shot,
    "count": Count,
    "pass_behind": PassBehind,
    "cover": Cover,
    "leave_and_return": LeaveAndReturn,
    "fall": Fall,
    "rest": Rest,
    "bounce": Bounce,
    "throw": Throw,
    "push": Push,
    "topple": Topple,
    "change": Change,
    "long_take": LongTake,
}
"""The kinds of expectations by the name that a file of prompts gives them."""


def read(kind: str, phrase: object) -> Expectation:
    """Return the expectation that a phrase describes.

    >>> read("relation", "the dog to the left of the cat")
    Relation(a='dog', side='left', b='cat')

    Raises:
        ConfigError: the kind is unknown, or the phrase is none of its form.
    """
    if kind not in KINDS:
        raise unknown("expectation", kind, KINDS)
    of = KINDS[kind]
    text = " ".join(phrase.lower().split()).rstrip(".") if isinstance(phrase, str) else ""
    found = re.fullmatch(of.PATTERN, text)
    if not found:
        raise ConfigError(f"expect.{kind} must read {of.FORM}, got {phrase!r}")
    return of.read(*found.groups())


def from_json(values: Mapping[str, Any]) -> Expectation:
    """Return the expectation that `to_json` wrote.

    Raises:
        ConfigError: it is none of this version.
    """
    kind = values.get("kind")
    of = KINDS.get(kind) if isinstance(kind, str) else None
    own = {k: v for k, v in values.items() if k != "kind"}
    known = {f.name: f for f in fields(of)} if of else {}  # type: ignore[arg-type]
    # Earlier versions wrote fewer fields of some kinds.
    needed = {name for name, f in known.items() if f.default is MISSING}
    if of is None or not needed <= set(own) <= set(known):
        raise ConfigError(f"its expectation {dict(values)} is none of this version")
    for name, value in own.items():
        if not isinstance(value, int if known[name].type == "int" else str):
            raise ConfigError(f"its expectation {dict(values)} is none of this version")
    make: Callable[..., Expectation] = of
    return make(**own)


def to_json(expectation: Expectation) -> dict[str, Any]:
    """Return an expectation as JSON values, with its kind."""
    kind = next(name for name, of in KINDS.items() if isinstance(expectation, of))
    return {"kind": kind, **asdict(expectation)}  # type: ignore[call-overload]
