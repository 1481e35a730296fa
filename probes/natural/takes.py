"""What must come true of a long take: nothing of it changes but what moves by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from sora_eval.errors import ConfigError
from sora_eval.probes.natural.words import NUMBERS, THING, Expectation, number, singular, thing

SHORTEST_S, LONGEST_S = 5, 60
"""Lengths in seconds of the takes that can be asked for."""
_SEEN = {
    "there": "{thing} is gone before the end",
    "same_number": "the number of {thing}s changes",
    "no_cut": "a cut",
    "no_freeze": "a freeze",
    "no_loop": "a repetition of what was seen before",
    "colour": "colours drift",
    "sharp": "sharpness drifts",
}
"""What is seen where a component of the score is below 1."""


@dataclass(frozen=True)
class LongTake(Expectation):
    """One long shot: a thing is there to the end, as many of it, and the picture keeps its colours and its sharpness."""

    FORM: ClassVar[str] = (
        f"THING for N s, or NUMBER THING for N s, of {SHORTEST_S} to {LONGEST_S} seconds, such as two cows for 10 s"
    )
    PATTERN: ClassVar[str] = rf"(?:(\d+|{'|'.join(NUMBERS[1:])}) )?({THING}) for (\d+) ?s(?:econds)?"
    thing: str
    """What stays, in the singular."""
    number: int
    """How many of it there are."""
    seconds: int
    """The length of the clip in seconds."""

    @classmethod
    def read(cls, of: str | None, things: str, seconds: str) -> Self:
        """Return the expectation of the parts of a phrase.

        Raises:
            ConfigError: the number can't be counted, or the length is none that can be asked for.
        """
        if not SHORTEST_S <= (length := int(seconds)) <= LONGEST_S:
            raise ConfigError(f"expect.long_take: a take of {SHORTEST_S} to {LONGEST_S} s is judged, not of {length} s")
        return cls(singular(thing(things)) if of else thing(things), number(of) if of else 1, length)

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self._what} for {self.seconds} s"

    @property
    def _what(self) -> str:
        return self.thing if self.number == 1 else f"{self.number} {self.thing}"

    @property
    def things(self) -> tuple[str, ...]:
        """The things that it names."""
        return (self.thing,)

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return f"{self.number} × {self.thing} to the end of one shot of {self.seconds} s that does not drift"

    @property
    def length_s(self) -> int:
        """The length in seconds of the clip that it asks for."""
        return self.seconds

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        broken = [words for name, words in _SEEN.items() if components.get(name, 1.0) < 1]
        if not broken:
            return self.sentence
        at = f", from {components['breaks_at_s']:.1f} s on" if "breaks_at_s" in components else ""
        return f"{', '.join(broken).format(thing=self.thing)}{at}"
