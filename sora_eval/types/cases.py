"""Questions to a generator, and the size and length of the clips that answer them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from sora_eval.errors import ConfigError
from sora_eval.settings import Settings, option
from sora_eval.types.values import check_name, digest

Mode: TypeAlias = Literal["t2v", "i2v", "v2v", "extend_back", "loop", "connect", "interpolate", "edit"]
MODES: tuple[Mode, ...] = ("t2v", "i2v", "v2v")
"""The modes that suites and generators have unless others are named."""
ALL_MODES: tuple[Mode, ...] = get_args(Mode)
"""All modes, in the order of reports."""
_MOST_PIXELS, _MOST_FRAMES = 1 << 14, 1 << 20
"""Of one side and of one clip: what is beyond is no question to a generator but a fault of the file it stands in."""


@dataclass(frozen=True)
class Case:
    """One question to a generator whose right answer is known."""

    id: str
    """Unique, file-name safe, for example `physics.two_drops.t2v.0003`."""
    suite: str
    """Suite of the probe."""
    probe: str
    """Short name of the probe (`two_drops`)."""
    mode: Mode
    """t2v (prompt only), i2v (first frame given), v2v and loop (first frames given), extend_back (last frames), interpolate (first and last
    frame), connect (as many first as last frames), or edit (a source clip, which the prompt is to change)."""
    prompt: str
    """Text that the generator gets."""
    size: tuple[int, int]
    """(height, width) in pixels."""
    fps: float
    """Frames per second."""
    frames: int
    """Frame count of the clip."""
    given: int
    """Number of conditioning frames; where they belong in the clip is `given_at`."""
    seed: int
    """The generator's seed."""
    scene: Mapping[str, Any]
    """{"family": name, "params": {...}}: scene that the world renders as the true answer; JSON values only. In mode edit also "source", the
    params of the scene that the source clip shows."""
    expect: Mapping[str, Any]
    """Expected outcome, in the probe's own terms; JSON values only."""
    cluster: str
    """Cases of one cluster share a scene and are resampled together."""
    twin: str = ""
    """Id of the mirrored or matched case, "" when there is none."""
    sample: int = 0
    """0 to K - 1 where a generator makes K clips of one prompt, with other seeds: further samples are cases of their
    own, with the scene of sample 0, and their ids end in `.s1`, `.s2`, ... (`samples.py`)."""

    def __post_init__(self) -> None:
        """Refuse a sample whose id is not one."""
        first_sample(self.id, self.sample)

    def to_json(self) -> dict[str, Any]:
        """Return the case as JSON values; scene and expectation are the case's own, not copies."""
        # Not asdict, which copies them through and through: of 100,000 cases that takes a minute.
        values = {f.name: getattr(self, f.name) for f in fields(self)} | {"size": list(self.size)}
        # Left out where it is 0: clips and scores from before there were several samples are still the right ones.
        return values if self.sample else {k: v for k, v in values.items() if k != "sample"}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Case:
        """Return the case that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, unknown, or out of its range.
        """
        height, width = row["size"]
        case = Case(**{**row, "size": (height, width)})
        case._check()
        return case

    def _check(self) -> None:
        for what in ("id", "suite", "probe", *(["twin"] if self.twin != "" else [])):
            check_name(what, getattr(self, what))
        if self.mode not in ALL_MODES:
            raise ValueError(f"mode must be one of {', '.join(ALL_MODES)}, got {self.mode!r}")
        for what in ("prompt", "cluster"):
            if not isinstance(getattr(self, what), str):
                raise ValueError(f"{what} must be text, got {getattr(self, what)!r}")
        for what in ("scene", "expect"):
            if not isinstance(getattr(self, what), Mapping):
                raise ValueError(f"{what} must be a JSON object, got {getattr(self, what)!r}")
        if self.mode == "edit" and not isinstance(self.scene.get("source"), Mapping):
            raise ValueError("a case of mode edit has the params of its source clip as scene.source")
        sides = [("height", self.size[0], 1, _MOST_PIXELS), ("width", self.size[1], 1, _MOST_PIXELS)]
        numbers = [("frames", self.frames, 1, _MOST_FRAMES), ("given", self.given, 0, _MOST_FRAMES)]
        for what, value, least, most in [*sides, *numbers, ("seed", self.seed, 0, 2**64)]:
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"{what} must be a whole number from {least} to {most}, got {value!r}")
        fps = self.fps
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps must be a number above 0, got {fps!r}")

    @cached_property
    def hash(self) -> str:
        """Hash of everything a generator's answer and its score depend on."""
        return digest(self.to_json())

    @property
    def given_at(self) -> tuple[int, ...]:
        """The moments of the conditioning frames, as frames of the case's clip, in order; of the source clip in mode edit."""
        frames = range(self.frames)
        match self.mode:
            case "extend_back":
                return tuple(frames[max(0, self.frames - self.given) :])
            case "connect" | "interpolate":
                first = (self.given + 1) // 2
                return (*frames[:first], *frames[self.frames - (self.given - first) :])
            case _:
                return tuple(frames[: self.given])

    @property
    def keeps(self) -> tuple[int, ...]:
        """The frames of its clip that must be the given ones: `given_at`, but none in mode edit."""
        return () if self.mode == "edit" else self.given_at

    @property
    def hash_without_twin(self) -> str:
        """Hash of the case but for its twin: with more cases the last one may get one, which changes neither its clip nor its score."""
        return replace(self, twin="").hash

    @property
    def prompt_id(self) -> str:
        """Id of sample 0, which all samples of one prompt share."""
        return first_sample(self.id, self.sample)


def first_sample(case: str, sample: int) -> str:
    """Return the id of sample 0 of the prompt that `case` is sample number `sample` of.

    Raises:
        ValueError: it is no number of a sample, or the id is not that of such a sample. To go on would count it as a prompt of its own.
    """
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 0:
        raise ValueError(f"sample must be a whole number of at least 0, got {sample!r}")
    if not sample:
        return case
    if not case.endswith(ending := f".s{sample}"):
        raise ValueError(f"case {case} is sample {sample}, its id must end in {ending}")
    return case.removesuffix(ending)


@dataclass(frozen=True)
class Profile(Settings):
    """Size and length of the clips that a generator is to make."""

    GROUP: ClassVar[str] = "profile"

    name: str = option()
    """Name of the profile, part of the run folder's name."""
    height: int = option(least=8, most=8192)
    """Pixels."""
    width: int = option(least=8, most=8192)
    """Pixels."""
    frames: int = option(least=2, most=100_000)
    """Frames of a clip."""
    fps: float = option(least=0.1, most=1000)
    """Frames per second."""
    given: int = option(least=1, most=100_000)
    """Frames given in mode v2v."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is out of range.
        """
        super().__post_init__()
        if self.given > self.frames:
            raise ConfigError(f"profile.given must be at most profile.frames={self.frames}, got {self.given}")

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame."""
        return (self.frames - 1) / self.fps
