"""Options of the commands bundle, verify and explain."""

from __future__ import annotations

from dataclasses import dataclass

from sora_eval.recipe.verify import TOLERANCE
from sora_eval.settings import Settings, option


@dataclass(frozen=True)
class BundleOptions(Settings):
    """Options of sora-eval bundle."""

    out: str | None = None
    """Archive to write; null: the run folder's path with .zip."""


@dataclass(frozen=True)
class VerifyOptions(Settings):
    """Options of sora-eval verify."""

    share: float = option(0.1, above=0, most=1)
    """Share of the clips that are scored again, at least one clip."""
    seed: int | None = option(None, least=0)
    """Seed of the choice; null for one that nobody can foresee, which is printed."""
    tolerance: float = option(TOLERANCE, least=0, most=1)
    """Largest difference of a score that passes for the same."""
    workers: int | None = option(None, least=1)
    """Processes; null for one per core."""
    trust: bool = False
    """Whether to import a tracker that the bundle names and that is not sora-eval's own."""


@dataclass(frozen=True)
class ExplainOptions(Settings):
    """Options of sora-eval explain."""

    out: str | None = None
    """JSON file to write, null for none."""
    rescore: int = option(200, least=0, most=1_000_000)
    """Most cases whose clips of both runs are scored again, a random choice of those with a clip on both sides; 0 for none."""
    seed: int = option(0, least=0)
    """Seed of the choice."""
    first: str | None = None
    """Generator of the first run, where it holds several models."""
    second: str | None = None
    """Generator of the second, likewise."""
    workers: int | None = option(None, least=1)
    """Processes; null for one per core."""
    trust: bool = False
    """Whether to import a tracker that a run names and that is not sora-eval's own."""
