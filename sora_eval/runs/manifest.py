"""manifest.json of a run folder: command, configuration, generators, hashes, versions, machine and problems."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import av

from sora_eval.alignment.align import VERSION as ALIGNMENT_VERSION
from sora_eval.errors import SoraEvalError
from sora_eval.files import read_json, without_secrets
from sora_eval.generator.base import Generator
from sora_eval.runs.plan import ClipCounts, Plan
from sora_eval.runs.schema import VERSION as SCHEMA_VERSION
from sora_eval.runs.store import scores_file
from sora_eval.settings import plain
from sora_eval.stats.samples import per_prompt
from sora_eval.tracking.base import described
from sora_eval.training.checkpoint_files import training_point
from sora_eval.types import Case, digest
from sora_eval.version import __version__
from sora_eval.world import VERSION as WORLD_VERSION

PACKAGES = ("numpy", "scipy", "opencv-python-headless", "mujoco-core", "av", "torch", "hydra-core")
OF_MODELS = ("diffusers", "transformers", "accelerate", "peft", "safetensors")
"""Packages that a model may be made of; those that are not installed are left out."""
_ABSENT = "absent"
FILES = (
    *("manifest.json", "fidelity.json", "tracking.jsonl", "tracking.json", "summary.json"),
    *("scores.csv", "card.json", "report.md", "report.html"),
)
"""The files of a finished run, beside that of its scores."""


def report_key(folder: Path) -> str:
    """Return the hash of all that the report in a run folder depends on, "" when a file is missing."""
    if not all((folder / name).exists() for name in FILES) or not scores_file(folder).exists():
        return ""
    try:
        return str(read_json(folder / "manifest.json")["hashes"]["report"])
    except (SoraEvalError, KeyError, TypeError):
        return ""


def manifest(plan: Plan, problems: Sequence[str], seconds: float, clips: Mapping[str, ClipCounts]) -> dict[str, Any]:
    """Return the manifest of a run.

    problems: faults of the input, a line each. seconds: wall-clock time of the evaluation. clips: clip counts by generator.
    """
    config, cases = plan.config, plan.cases
    return {
        "schema_version": SCHEMA_VERSION,
        "tool_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": plan.command,
        "config": dict(config),
        "suite": config["suite"]["name"],
        "profile": config["profile"]["name"],
        "seed": config["seed"],
        "samples": per_prompt(cases),
        "generators": [
            {**_training_point(config["generator"]), **_describe(plan.model, cases)},
            *(_describe(g, cases) for g in plan.generators[1:]),
        ],
        **({"prompts": rewriting} if (rewriting := getattr(plan.model, "rewriting", None)) else {}),
        "hashes": {
            "cases": digest([c.hash for c in cases]),
            "probes": {n: p.version for n, p in plan.probes.items()},
            **({"case_set": plan.case_set.digest} if plan.case_set.digest else {}),
        },
        "versions": {
            "python": platform.python_version(),
            **{p: _version(p) for p in PACKAGES},
            **{p: number for p in OF_MODELS if (number := _version(p)) != _ABSENT},
            "tracker": described(plan.tracker),
            "world": str(WORLD_VERSION),
            "alignment": str(ALIGNMENT_VERSION),
            "video": ", ".join(sorted({plan.video.protocol(c.size) for c in cases})),
            **{name: ".".join(map(str, number)) for name, number in sorted(av.library_versions.items())},
        },
        "machine": {
            **{"system": platform.platform(terse=True), "processor": _processor(), "cores": os.cpu_count()},
            **({"gpus": gpus} if (gpus := _gpus()) else {}),
        },
        "timings": {"seconds": round(seconds, 1)},
        "problems": list(problems),
        "clips": {name: asdict(count) for name, count in clips.items()},
    }


def fingerprint(generator: Generator, cases: Sequence[Case]) -> str:
    """Return a hash of what a generator's clips of `cases` depend on: weights and options, or the videos of a folder.

    Equal ones count once, so that one checkpoint is the same model in runs of few and of many cases.
    """
    return digest(list(dict.fromkeys(generator.fingerprint(c) for c in cases)))


def _describe(generator: Generator, cases: Sequence[Case]) -> dict[str, Any]:
    # Training compute and step, where they are known, are the axes of a sweep's curves.
    training = {name: value for name in ("compute", "step") if (value := getattr(generator, name, None)) is not None}
    about = {"name": generator.name, "kind": generator.kind, "fingerprint": fingerprint(generator, cases)}
    recipe = getattr(generator, "recipe", None)
    return {**about, **training, **({"recipe": without_secrets(plain(recipe))} if recipe else {})}


def _gpus() -> list[str]:
    """Return the names of the GPUs, where something has loaded torch: nothing else of a run uses one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [str(torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]


def _training_point(generator: Mapping[str, Any]) -> dict[str, float]:
    """Return step and time of the checkpoint that a generator's options name, where it is a file or folder."""
    checkpoint = generator.get("checkpoint")
    return training_point(checkpoint) if isinstance(checkpoint, str) and checkpoint else {}


def _processor() -> str:
    """Return the processor's model name where the system has it, else its architecture."""
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
        return _ABSENT
