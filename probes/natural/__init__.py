"""Judging of prompts in plain words, a user's or the bundled sets': no scene stands behind them, and things are found by label."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sora_eval.probes.natural.judging import NaturalProbe
    from sora_eval.probes.natural.words import Expectation


@cache
def natural_probes() -> dict[str, type[NaturalProbe]]:
    """Return the probes of prompts in plain words by name; no suite holds them, for they have no cases of their own."""
    from sora_eval.probes.natural import judging, judging_events, judging_hidden, judging_takes, judging_views

    modules = (judging, judging_views, judging_hidden, judging_events, judging_takes)
    members = [c for module in modules for c in vars(module).values()]
    classes = [c for c in members if isinstance(c, type) and issubclass(c, judging.NaturalProbe)]
    return {c.name: c for c in classes if "name" in vars(c)}


def probe_for(expectation: Expectation) -> str:
    """Return the name of the probe that judges an expectation: the most specific one."""
    return [name for name, probe in natural_probes().items() if probe.judges(expectation)][-1]
