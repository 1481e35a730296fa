"""What a run folder says of itself: manifest.json, and what its report was made of."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import av

from sora_eval.errors import SoraEvalError
from sora_eval.files import read_json
from sora_eval.probes.base import Probe
from sora_eval.runs.schema import VERSION as SCHEMA_VERSION
from sora_eval.stats.samples import per_prompt
from sora_eval.tracking.world import VERSION as TRACKER_VERSION
from sora_eval.types import Case, digest
from sora_eval.version import __version__
from sora_eval.world import VERSION as WORLD_VERSION

PACKAGES = ("numpy", "scipy", "opencv-python-headless", "mujoco-core", "av", "torch", "hydra-core")
FILES = (
    *("manifest.json", "scores.jsonl", "fidelity.json", "tracking.jsonl", "tracking.json", "summary.json"),
    *("scores.csv", "report.md", "report.html"),
)
"""What a finished run's folder holds."""


def report_key(folder: Path) -> str:
    """Return what the report in a run folder was made of, "" when it isn't whole."""
    if not all((folder / name).exists() for name in FILES):
        return ""
    try:
        return str(read_json(folder / "manifest.json")["hashes"]["report"])
    except (SoraEvalError, KeyError, TypeError):
        return ""


def manifest(
    config: Mapping[str, Any],
    command: str,
    generators: Sequence[Any],
    cases: Sequence[Case],
    probes: Mapping[str, Probe],
    problems: Sequence[str],
    seconds: float,
) -> dict[str, Any]:
    """Return what manifest.json says: command, configuration, generators, hashes, versions, machine, problems."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "config": dict(config),
        "suite": config["suite"]["name"],
        "profile": config["profile"]["name"],
        "seed": config["seed"],
        "samples": per_prompt(cases),
        "generators": [_about(g, cases) for g in generators],
        "hashes": {"cases": digest([c.hash for c in cases]), "probes": {n: p.version for n, p in probes.items()}},
        "versions": {
            "python": platform.python_version(),
            **{p: _version(p) for p in PACKAGES},
            "tracker": str(TRACKER_VERSION),
            "world": str(WORLD_VERSION),
            **{name: ".".join(map(str, number)) for name, number in sorted(av.library_versions.items())},
        },
        "machine": {"system": platform.platform(terse=True), "processor": _processor(), "cores": os.cpu_count()},
        "timings": {"seconds": round(seconds, 1)},
        "problems": list(problems),
    }


def fingerprint(generator: Any, cases: Sequence[Case]) -> str:
    """Return a hash of what answered `cases`: weights and options, or the videos of a folder.

    Equal ones count once, so that one checkpoint is the same model in runs of few and of many cases.
    """
    return digest(list(dict.fromkeys(generator.fingerprint(c) for c in cases)))


def _about(generator: Any, cases: Sequence[Case]) -> dict[str, Any]:
    found = {"name": generator.name, "kind": generator.kind, "fingerprint": fingerprint(generator, cases)}
    # What a checkpoint's training took, where it is known, is the axis of a sweep's curves.
    told = {name: getattr(generator, name, None) for name in ("compute", "step")}
    return {**found, **{name: value for name, value in told.items() if value is not None}}


def _processor() -> str:
    """Return the processor's model where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.machine()}, {model}" if model else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
