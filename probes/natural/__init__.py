"""Judging of prompts in plain words, a user's or the bundled sets': no scene stands behind them, and things are found by label."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sora_eval.probes.natural.judging import NaturalProbe


@cache
def natural_probes() -> dict[str, type[NaturalProbe]]:
    """Return the probes of prompts in plain words by name; no suite holds them, for they have no cases of their own."""
    from sora_eval.probes.natural import judging

    classes = [c for c in vars(judging).values() if isinstance(c, type) and issubclass(c, judging.NaturalProbe)]
    return {c.name: c for c in classes if "name" in vars(c)}
