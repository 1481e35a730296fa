"""Which probes and cases a suite consists of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sora_eval import registry
from sora_eval.errors import ConfigError, unknown
from sora_eval.probes.base import Probe
from sora_eval.stats.samples import sampled
from sora_eval.types import ALL_MODES, Case, Mode, Profile
from sora_eval.world.looks import PLAIN_WORLD, LookOptions


def select_probes(suites: Collection[str] | None = None, probes: Sequence[str] | None = None) -> dict[str, Probe]:
    """Return probes by name: those of `suites`, those named in `probes`, or those in both. None does not restrict the bundled ones, but
    `registry.OPTIONAL_SUITES` are in a selection only where it names them or a probe of theirs.

    Raises:
        ConfigError: a name is unknown, or no probe is left.
    """
    known = registry.probe_names(optional=bool(suites or probes))
    if set(suites or ()) - {suite for suite, _ in known.values()} or set(probes or ()) - set(known):
        known |= {name: (probe.suite, probe.claim) for name, probe in registry.plugin_probes().items()}
    for suite in suites or ():
        if suite not in {s for s, _ in known.values()}:
            raise unknown("suite", suite, {s for s, _ in known.values()})
    selected = {n: registry.probe(n) for n in (probes or known) if not suites or (n in known and known[n][0] in suites)}
    if not selected:
        raise ConfigError(f"no probe is in both suites={list(suites or ())} and probes={list(probes or ())}")
    return selected


def select_cases(
    probes: Mapping[str, Probe],
    profile: Profile,
    modes: Collection[Mode],
    count: int,
    seed: int,
    samples: int = 1,
    look: LookOptions = PLAIN_WORLD,
    lengths_s: Sequence[int] = (),
    aspects: Sequence[str] = (),
) -> list[Case]:
    """Return `count` cases of every probe in every mode that it supports, in the order of `ALL_MODES`, and `samples` of each.

    lengths_s: lengths of the clips in seconds, by turns, of the probes that have lengths of their own; () for these.
    aspects: aspect ratios of the clips, by turns, of the probes that have aspects of their own; () for these.

    Raises:
        ConfigError: no probe has any of the modes, or none has lengths or aspects of its own where some are given.
    """
    if lengths_s and not any(p.lengths_s for p in probes.values()):
        raise ConfigError("suite.lengths_s is for probes of long_range, and no chosen one is: set suite.lengths_s=null")
    if aspects and not any(p.aspects for p in probes.values()):
        raise ConfigError("suite.aspects is for probes of framing, and no chosen one is: set suite.aspects=null")
    ordered = [m for m in ALL_MODES if m in modes]
    cases = [
        c
        for p in probes.values()
        for m in ordered
        if m in p.modes
        for c in p.cases(count, profile, m, seed, look, **_own(p, lengths_s, aspects))
    ]
    if not cases:
        raise ConfigError(f"no chosen probe has a mode of suite.modes={ordered}")
    return [probes[c.probe].of_sample(c) if c.sample and probes[c.probe].random else c for c in sampled(cases, samples)]


def _own(probe: Probe, lengths_s: Sequence[int], aspects: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of `cases` that a probe has of its own: those of plug-ins may not know the others."""
    return {**({"lengths_s": lengths_s} if probe.lengths_s else {}), **({"aspects": aspects} if probe.aspects else {})}
