"""`sora-eval plan`: cases, clips, disk, memory and time of a run before it starts, from rates that are measured on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sora_eval import registry
from sora_eval.config import Call, PlanConfig, with_cases
from sora_eval.cost.estimates import Estimate, estimate, gib, shortages
from sora_eval.cost.rates import Rates, clips_by_stage, cpu_minutes, measure
from sora_eval.cost.references import DEFAULT, is_large
from sora_eval.errors import ConfigError
from sora_eval.evaluation import Loop
from sora_eval.generator.simulator import reference
from sora_eval.stats.samples import asked_of
from sora_eval.types import Case

_REFERENCES = ("oracle", "control", "violation")
"""Entries of conf/generator that are no model."""


def main(config: PlanConfig, call: Call) -> int:
    """Print the plan of a run and return the exit code."""
    config, asked = with_cases(config)
    probes, cases = asked.probes, asked.cases
    for line in asked.left_out:
        print(line)
    left_out = config.references is None and call.generator not in _REFERENCES and is_large(config.profile)
    names = config.references if config.references is not None else () if left_out else DEFAULT
    of_references = _count(names, cases)
    prompts = asked_of("oracle", cases)
    spread = prompts[:: max(1, len(prompts) // config.measured)][: config.measured]
    if not spread:
        raise ConfigError(
            "plan measures true clips, which prompts of a file have none of: plan a suite of as many cases at the same profile, "
            f"such as suite.count={sum(not c.sample for c in cases)} 'suite.probes=[relation]' 'suite.modes=[t2v]'"
        )
    with TemporaryDirectory() as folder:
        rates = measure(spread, Loop(Path(folder), probes, registry.tracker(config.tracker), config.video), config)
    workers = config.workers or call.cores
    print(
        f"{len(prompts)} cases of {len(probes)} probes, {len(cases)} clips of the model, {of_references} of references"
    )
    clips, frames = len(cases) + of_references, config.profile.frames
    print(f"{clips * frames:,} frames of {config.profile.width} x {config.profile.height}")
    needed = estimate(config.profile, config.video, len(cases), of_references, call.generator == "folder", workers)
    print(_disk_line(needed, rates, call.generator == "folder", len(cases), of_references))
    print(f"memory: up to {gib(needed.memory)} with {workers} processes, without the model's own weights")
    for line in shortages(needed, config.profile, Path(), workers):
        print(line)
    print()
    minutes = _print_stages(rates, clips_by_stage(config, len(prompts), len(cases), of_references))
    print()
    print(f"about {minutes / workers:.1f} minutes with {workers} processes, without the model's own time")
    if config.model_seconds is not None:
        print(f"the model: {config.model_seconds * len(cases) / 60:.1f} minutes at {config.model_seconds:g} s per clip")
    if left_out:
        added = _count(DEFAULT, cases)
        more = cpu_minutes(rates, clips_by_stage(config, len(prompts), len(cases), added)) - minutes
        print(
            f"references are left out at this size where they are not cached; 'references=[{','.join(DEFAULT)}]' makes {added} clips more, "
            f"{more:.1f} CPU minutes, once for all models"
        )
    elif names:
        print("clips, tracks and scores of references are made once, and shared by all runs of these cases")
    return 0


def _count(names: Sequence[str], cases: Sequence[Case]) -> int:
    """Return how many clips references make of cases."""
    return sum(len(asked_of(reference(name).kind, cases)) for name in names)


def _disk_line(needed: Estimate, rates: Rates, files: bool, model: int, references: int) -> str:
    if files:
        own = "the model's stay in their folder"
        return f"disk: {references * rates.stored / 1e9:.2f} GB of stored clips; {own}"
    clean = (model + references) * rates.stored
    return f"disk: {clean / 1e9:.2f} GB of stored clips, up to {max(clean, needed.noisy_disk) / 1e9:.2f} GB if the model's are noisy"


def _print_stages(rates: Rates, counts: dict[str, int]) -> float:
    """Print a line per stage and return the CPU minutes of all."""
    print(f"{'stage':18} {'s per clip':>10} {'clips':>7} {'CPU minutes':>12}")
    for stage, count in counts.items():
        print(f"{stage:18} {rates.seconds[stage]:10.2f} {count:7} {rates.seconds[stage] * count / 60:12.1f}")
    minutes = cpu_minutes(rates, counts)
    print(f"{'together':18} {'':10} {'':7} {minutes:12.1f}")
    return minutes
