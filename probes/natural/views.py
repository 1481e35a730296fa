"""What must come true of the camera: its move, a view that is seen again, one shot or two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from sora_eval.errors import ConfigError
from sora_eval.probes.natural.words import TO_SIDE, Expectation, opposite, right_side, to_side

WAYS: dict[str, tuple[str, str]] = {
    "pan": ("left", "right"),
    "truck": ("left", "right"),
    "orbit": ("left", "right"),
    "roll": ("left", "right"),
    "tilt": ("down", "up"),
    "dolly": ("out", "in"),
    "zoom": ("out", "in"),
}
"""The directions of each camera move, the negative one first."""
STILL = "still"
"""The name of the camera that does not move."""


@dataclass(frozen=True)
class Camera(Expectation):
    """The camera makes one move, or none."""

    FORM: ClassVar[str] = (
        "pan, truck, orbit or roll with left or right; tilt up or tilt down; dolly or zoom with in or out; or still"
    )
    PATTERN: ClassVar[str] = rf"({STILL})|(?:({'|'.join(WAYS)}) (left|right|up|down|in|out))"
    to: str
    """left, right, up, down, in or out; "" of a still camera."""
    move: str = "pan"
    """A key of `WAYS`, or still. (Cases of earlier versions have none, whose moves up and down are tilts.)"""

    @classmethod
    def read(cls, still: str | None, move: str = "", to: str = "") -> Self:
        """Return the expectation of the parts of a phrase.

        Raises:
            ConfigError: the move has no such direction.
        """
        if still:
            return cls("", STILL)
        if to not in WAYS[move]:
            raise ConfigError(f"expect.camera: a {move} goes {' or '.join(WAYS[move])}, not {to}")
        return cls(to, move)

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"{self.kind} {self.to}".strip()

    @property
    def kind(self) -> str:
        """The move."""
        return "tilt" if self.to in ("up", "down") else self.move

    @property
    def sign(self) -> int:
        """-1 for the negative direction, 1 for the positive one."""
        return -1 if self.to == WAYS[self.kind][0] else 1

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return f"camera: {self.phrase if self.to else 'stands still'}"

    def mirrored(self) -> Camera | None:
        """Return the expectation of the twin: the opposite direction."""
        return Camera(opposite(self.to), self.move) if self.to else None

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        if not self.to:
            return f"camera: {'stands still' if components.get('still') else 'moves'}"
        return f"camera: {self.kind} {self.to if right_side(components) else opposite(self.to)}"


@dataclass(frozen=True)
class Revisit(Expectation):
    """The camera turns away from its first view and comes back to it."""

    FORM: ClassVar[str] = "away and back, or away to the left (right) and back where the prompt says so"
    PATTERN: ClassVar[str] = rf"away{TO_SIDE} and back"
    to: str = ""
    """left or right, where the camera first turns, or "" where the prompt leaves it open."""

    @classmethod
    def read(cls, to: str | None = None) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(to or "")

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return f"away{to_side(self.to)} and back"

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return f"camera: {self.phrase}"

    def mirrored(self) -> Revisit:
        """Return the expectation of the twin: the opposite direction."""
        return Revisit(opposite(self.to))

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        if not components.get("returns"):
            return "camera: does not leave its first view and come back to it"
        return f"camera: away{to_side(self.to if right_side(components) else opposite(self.to))} and back"


@dataclass(frozen=True)
class Shot(Expectation):
    """The clip is one shot, or has a cut."""

    FORM: ClassVar[str] = "one or two"
    PATTERN: ClassVar[str] = "(one|two)"
    shots: str
    """one or two, which stands for any more."""

    @classmethod
    def read(cls, shots: str) -> Self:
        """Return the expectation of the parts of a phrase."""
        return cls(shots)

    @property
    def phrase(self) -> str:
        """The phrase that is read into it."""
        return self.shots

    @property
    def sentence(self) -> str:
        """What is expected, in words of a report."""
        return self.seen({"cut": float(self.shots == "two")})

    def mirrored(self) -> Shot:
        """Return the expectation of the matched twin."""
        return Shot("two" if self.shots == "one" else "one")

    def seen(self, components: Mapping[str, float]) -> str:
        """Return what was seen in words."""
        return "a cut" if components.get("cut") else "one shot without a cut"
