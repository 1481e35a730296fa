"""What must come true of what happens to a thing: it falls, rests, bounces, is thrown, pushed or tipped over, or changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from sora_eval.probes.natural.words import THING, TO_SIDE, Expectation, opposite, right_side, thing, to_side

HIGHER = 1.2
"""What a bounce must not rise to, in heights of the fall."""


@dataclass(frozen=True)
class _Event(Expectation):
    """An event of one thing."""

    thing: str
    """What it happens to."""

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing,)


@dataclass(frozen=True)
class Fall(_Event):
    """A thing falls: down, and faster and faster."""

    FORM: ClassVar[str] = "THING"
    PATTERN: ClassVar[str] = rf"({THING})(?: falls)?"

    @classmethod
    def read(cls, falling: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(falling))

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} falls"

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        return f"{self.thing} goes down, {'faster and faster' if components.get('faster') else 'slower and slower'}"


@dataclass(frozen=True)
class Rest(_Event):
    """A thing stays where it is."""

    FORM: ClassVar[str] = "THING"
    PATTERN: ClassVar[str] = rf"({THING})(?: stays)?"

    @classmethod
    def read(cls, resting: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(resting))

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} stays"

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        return f"{self.thing} {'stays' if components.get('still') else 'moves'}"


@dataclass(frozen=True)
class Bounce(_Event):
    """A thing falls and bounces."""

    FORM: ClassVar[str] = "THING, with to the left or to the right after it where the prompt says so"
    PATTERN: ClassVar[str] = rf"({THING})(?: bounces)?{TO_SIDE}"
    to: str = ""
    """left, right, or "" where the prompt leaves it open."""

    @classmethod
    def read(cls, bouncing: str, to: str | None = None) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(bouncing), to or "")

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} bounces{to_side(self.to)}"

    def mirrored(self) -> Bounce | None:
        """Return the expectation of the twin: the opposite direction."""
        return Bounce(self.thing, opposite(self.to)) if self.to else None

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        if not components.get("bounces"):
            return f"{self.thing} lands and stays down"
        if components.get("rise", 0.0) > HIGHER and "side" not in components:
            return f"{self.thing} bounces higher than it fell"
        return f"{self.thing} bounces{to_side(self.to if right_side(components) else opposite(self.to))}"


@dataclass(frozen=True)
class Throw(_Event):
    """A thing flies to one side, in an arc."""

    FORM: ClassVar[str] = "THING to the left (right)"
    PATTERN: ClassVar[str] = rf"({THING})(?: flies)? to the (left|right)"
    to: str
    """left or right."""

    @classmethod
    def read(cls, thrown: str, to: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(thrown), to)

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} flies{to_side(self.to)}"

    def mirrored(self) -> Throw:
        """Return the expectation of the twin: the opposite direction."""
        return Throw(self.thing, opposite(self.to))


@dataclass(frozen=True)
class Push(_Event):
    """A thing is pushed to one side by another behind it."""

    FORM: ClassVar[str] = "THING by THING to the left (right)"
    PATTERN: ClassVar[str] = rf"({THING})(?: pushed)? by ({THING}) to the (left|right)"
    by: str
    """Who or what pushes."""
    to: str
    """left or right."""

    @classmethod
    def read(cls, pushed: str, by: str, to: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(pushed), thing(by), to)

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} pushed by {self.by}{to_side(self.to)}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing, self.by)

    def mirrored(self) -> Push:
        """Return the expectation of the twin: the opposite direction."""
        return Push(self.thing, self.by, opposite(self.to))

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        return self.phrase if right_side(components) else f"{self.thing} moves{to_side(opposite(self.to))}"


@dataclass(frozen=True)
class Topple(_Event):
    """A thing that stands tips over to one side."""

    FORM: ClassVar[str] = "THING to the left (right)"
    PATTERN: ClassVar[str] = rf"({THING})(?: tips over)? to the (left|right)"
    to: str
    """left or right."""

    @classmethod
    def read(cls, falling: str, to: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(falling), to)

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} tips over{to_side(self.to)}"

    def mirrored(self) -> Topple:
        """Return the expectation of the twin: the opposite direction."""
        return Topple(self.thing, opposite(self.to))


@dataclass(frozen=True)
class Change(_Event):
    """A thing changes its state: a candle burns down, a glass breaks, an apple is bitten."""

    FORM: ClassVar[str] = "THING from STATE to STATE"
    PATTERN: ClassVar[str] = rf"({THING}) from ([a-z][a-z -]*?) to ([a-z][a-z -]*)"
    before: str
    """Its state at first, in words."""
    after: str
    """Its state at last, in words."""

    @classmethod
    def read(cls, changing: str, before: str, after: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(thing(changing), before, after)

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.thing} from {self.before} to {self.after}"

    def mirrored(self) -> Change:
        """Return the expectation of the matched twin: the change back."""
        return Change(self.thing, self.after, self.before)
