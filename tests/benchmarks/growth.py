"""How the cost of a run grows with size, length and number of cases, and what the three profiles take: tables for `make bench`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cost import rates_of, stages
from benchmarks.memory import Peak, peak_of

from sora_eval import registry
from sora_eval.config import RunConfig, parse
from sora_eval.cost.estimates import gib, memory_bytes
from sora_eval.cost.rates import Rates, measure
from sora_eval.evaluation import Loop
from sora_eval.types import Profile

PROFILES = ("small", "medium", "large")
PROBES = ("relation", "pass_behind")
SIZES = ((64, 64), (128, 128), (256, 256), (480, 832))
LENGTHS = (17, 33, 65, 129)
CASES = (1, 4, 16)
WORKERS = 2


def profile_table() -> str:
    """Return CPU seconds of one clip by stage, for the three profiles."""
    return stages({profile: rates_of(profile, 1) for profile in PROFILES})


def size_table() -> str:
    """Return the cost of a clip by frame size, against the smallest in the same run; 17 frames."""
    return _growth("size", {f"{w} x {h}": (h * w, _rates(h, w, 17)) for h, w in SIZES})


def length_table() -> str:
    """Return the cost of a clip by length, against the shortest in the same run; 64 x 64."""
    return _growth("frames", {str(n): (n, _rates(64, 64, n)) for n in LENGTHS})


def memory_table(profiles: Iterable[str] = PROFILES) -> str:
    """Return the peak of a run's whole process tree by profile, beside what `run` and `plan` say before."""
    lines = [f"| profile | peak, {WORKERS} processes | estimate | of it | CPU seconds |", "|---|--:|--:|--:|--:|"]
    for profile in profiles:
        peak = _run(profile, 1)
        said = memory_bytes(registry.profile(profile), WORKERS)
        lines.append(f"| {profile} | {gib(peak.pss)} | {gib(said)} | {peak.pss / said:.0%} | {peak.cpu_s:.0f} |")
    return "\n".join(lines)


def cases_table() -> str:
    """Return memory and CPU time of runs of the small profile by number of cases, against the smallest in the same run."""
    lines = ["| cases per probe | peak | times | CPU seconds | times |", "|--:|--:|--:|--:|--:|"]
    first: Peak | None = None
    for count in CASES:
        peak = _run("small", count)
        first = first or peak
        times = (f"{peak.pss / first.pss:.2f}", f"{peak.cpu_s / first.cpu_s:.2f}")
        lines.append(f"| {count} | {gib(peak.pss)} | {times[0]} | {peak.cpu_s:.0f} | {times[1]} |")
    return "\n".join(lines)


def _growth(what: str, found: dict[str, tuple[int, Rates]]) -> str:
    stage_names = ("render", "store", "track", "score", "tracking metrics")
    first_amount, first = next(iter(found.values()))
    lines = [
        f"| {what} | pixels or frames, times | {' | '.join(stage_names)} |",
        f"|---|--:|{'--:|' * len(stage_names)}",
    ]
    for name, (amount, rates) in found.items():
        cells = [f"{rates.seconds[s] / max(first.seconds[s], 1e-4):.1f}" for s in stage_names]
        lines.append(f"| {name} | {amount / first_amount:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rates(height: int, width: int, frames: int) -> Rates:
    config: RunConfig = parse("plan", ["fidelity=null"])[0]
    profile = Profile("bench", height, width, frames, 8, 5)
    config = replace(config, profile=profile)
    probes = {name: registry.probe(name) for name in PROBES}
    cases = [c for p in probes.values() for c in p.cases(1, profile, "t2v")[:1]]
    with TemporaryDirectory() as folder:
        return measure(cases, Loop(Path(folder), probes, registry.tracker(config.tracker), config.video), config)


def _run(profile: str, count: int) -> Peak:
    """Run a faulty model beside oracle and frozen control, without a cache, and return the peak of its processes."""
    with TemporaryDirectory() as folder:
        words = [
            "generator=careless",
            f"suite.probes=[{','.join(PROBES)}]",
            "suite.modes=[t2v]",
            f"suite.count={count}",
        ]
        words += [f"profile={profile}", f"workers={WORKERS}", "references=[oracle,frozen]", f"out={folder}/run"]
        quiet = "import os, sys; os.environ['SORA_EVAL_CACHE'] = ''; sys.stdout = sys.stderr = open(os.devnull, 'w')"
        code = f"{quiet}; from sora_eval.commands.cli import main; main(['run', *{words!r}])"
        return peak_of([sys.executable, "-c", code])


if __name__ == "__main__":
    for make in (profile_table, size_table, length_table, memory_table, cases_table):
        print(make(), end="\n\n", flush=True)
