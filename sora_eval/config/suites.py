"""Options of a suite: which probes, how many cases, which modes, lengths and aspect ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sora_eval.errors import ConfigError
from sora_eval.probes.base import Probe
from sora_eval.probes.framing import ratio_of
from sora_eval.probes.selection import select_cases, select_probes
from sora_eval.settings import Settings, option
from sora_eval.types import ALL_MODES, Case, Mode, Profile
from sora_eval.world.looks import PLAIN_WORLD, LookOptions

MAX_COUNT = 100_000
"""Most cases per probe and mode; more would be listed for hours before the first is generated."""
LENGTHS_S = (4, 600)
"""Shortest and longest clip of long_range in seconds: below, nothing can be away and come back."""


@dataclass(frozen=True)
class SuiteConfig(Settings):
    """Which cases a run consists of."""

    GROUP: ClassVar[str] = "suite"

    name: str = option()
    """Name of the suite, part of the run folder's name."""
    count: int = option(least=1, most=MAX_COUNT)
    """Cases per probe and mode."""
    modes: tuple[Mode, ...] = option(choices=ALL_MODES, example="t2v")
    """Conditioning: t2v (prompt only), i2v (first frame given), v2v (first frames given); of editing also extend_back, loop, connect,
    interpolate and edit."""
    suites: tuple[str, ...] | None = option(None, example="left_right")
    """Suites, such as [left_right]; null for all but those that are chosen by name alone: [camera_control], [editing], [framing],
    [long_range], [outcomes]."""
    probes: tuple[str, ...] | None = option(None, example="relation")
    """Probes, such as [relation, bite]; null for all of the suites."""
    lengths_s: tuple[int, ...] | None = option(None, example="5,10")
    """Lengths of the clips of long_range in seconds, by turns, at the rate of the profile, such as [5, 10, 30, 60]; null for [5, 10]."""
    aspects: tuple[str, ...] | None = option(None, example="16:9")
    """Aspect ratios of the clips of framing, width:height, by turns, each beside a square twin, such as ['16:9', '9:16']; null for
    16:9, 9:16, 4:3, 21:9, 3:4 and 11:7. A clip has about as many pixels as one of the profile."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value can't be used.
        """
        super().__post_init__()
        if not self.modes:
            raise ConfigError(f"suite.modes is empty: choose from {', '.join(ALL_MODES)}")
        for name in ("suites", "probes"):
            if getattr(self, name) == ():
                raise ConfigError(f"suite.{name} is empty: name {name}, or set suite.{name}=null for all of them")
        if self.aspects == ():
            raise ConfigError("suite.aspects is empty: write suite.aspects=['16:9','9:16'], or set suite.aspects=null")
        for aspect in self.aspects or ():
            ratio_of(aspect)
        if self.lengths_s == ():
            raise ConfigError("suite.lengths_s is empty: write suite.lengths_s=[5,10], or set suite.lengths_s=null")
        for length in self.lengths_s or ():
            if not LENGTHS_S[0] <= length <= LENGTHS_S[1]:
                raise ConfigError(
                    f"suite.lengths_s must be from {LENGTHS_S[0]} to {LENGTHS_S[1]} seconds, got {length}"
                )

    def select(
        self, profile: Profile, seed: int, samples: int, look: LookOptions = PLAIN_WORLD
    ) -> tuple[dict[str, Probe], list[Case]]:
        """Return the probes of the suite by name, and its cases in a look.

        Raises:
            ConfigError: a name is unknown, or nothing is left.
        """
        probes = select_probes(self.suites, self.probes)
        lengths, aspects = self.lengths_s or (), self.aspects or ()
        return probes, select_cases(probes, profile, self.modes, self.count, seed, samples, look, lengths, aspects)
