"""How long each stage of a run takes per clip, and scoring with one and two processes: Markdown tables for `make bench`."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.leaderboard import made_up_cases, made_up_run

from sora_eval import registry
from sora_eval.evaluation import evaluate
from sora_eval.generator.simulator import Oracle
from sora_eval.probes.base import Probe
from sora_eval.reporting.report.write import write_report
from sora_eval.tracking.world import track
from sora_eval.types import Case
from sora_eval.video import read_video, write_ffv1

STAGES = ("generate (oracle)", "store", "decode", "track", "score", "report")
PER_PROBE = 2


def stage_table(per_probe: int = PER_PROBE) -> str:
    """Return milliseconds of each stage per clip, over `per_probe` cases of every probe, and hours of suite=standard, extrapolated.

    One process, one thread; the oracle generates, since only its time is ours. Report: of a made-up run of about as many clips.
    """
    probes, cases = _cases(per_probe)
    spent = _stages(probes, cases)
    each = {stage: seconds / len(cases) for stage, seconds in spent.items()}
    each["report"] = _report_seconds()
    of = _standard(probes)
    lines = ["| stage | ms per clip | share |", "|---|---:|---:|"]
    total = sum(each.values())
    lines += [f"| {stage} | {1e3 * each[stage]:.1f} | {each[stage] / total:.0%} |" for stage in STAGES]
    lines.append(f"| **all** | **{1e3 * total:.1f}** | |")
    minutes = total * of / 60
    lines += [
        "",
        f"suite=standard asks {of:,} clips of one generator: {minutes:.1f} minutes in one process, extrapolated from {len(cases)} clips, "
        f"{per_probe} of each of {len(probes)} probes in mode t2v.",
    ]
    return "\n".join(lines)


def speed_up_table(per_probe: int = 12, repeats: int = 1) -> str:
    """Return seconds of scoring an oracle's clips with one process and with two, start-up included, the least of `repeats`.

    As many clips as take minutes: two processes take some five seconds of cores to start. The time that a process had on a core is
    shown beside: on a machine that others use, wall time measures them as well.
    """
    probes, cases = _cases(per_probe)
    found = {workers: min(_scored(probes, cases, workers) for _ in range(repeats)) for workers in (1, 2)}
    lines = [f"| processes | seconds for {len(cases)} clips | core seconds | times as fast |", "|---:|---:|---:|---:|"]
    for workers, (seconds, core) in found.items():
        lines.append(f"| {workers} | {seconds:.1f} | {core:.1f} | {found[1][0] / seconds:.2f} |")
    return "\n".join(lines)


def _cases(per_probe: int) -> tuple[dict[str, Probe], list[Case]]:
    profile = registry.profile("small")
    probes = {name: registry.probe(name) for name in registry.probe_names()}
    return probes, [c for p in probes.values() for c in p.cases(per_probe, profile, "t2v")]


def _stages(probes: dict[str, Probe], cases: Sequence[Case]) -> dict[str, float]:
    spent = dict.fromkeys(STAGES, 0.0)

    def timed(stage: str, work: Callable[[], object]) -> object:
        begun = time.perf_counter()
        made = work()
        spent[stage] += time.perf_counter() - begun
        return made

    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            path, probe = Path(folder) / f"{case.id}.mkv", probes[case.probe]
            video = next(Oracle().generate([case]))
            made = timed("generate (oracle)", lambda c=case: next(Oracle().generate([_fresh(c)])))  # type: ignore[misc]
            del made
            timed("store", lambda p=path, v=video: write_ffv1(p, v))  # type: ignore[misc]
            timed("decode", lambda p=path: read_video(p))  # type: ignore[misc]
            tracks = timed("track", lambda v=video: track(v))  # type: ignore[misc]
            timed("score", lambda p=probe, c=case, v=video, t=tracks: p.score(c, v, t))  # type: ignore[misc]
    return spent


def _fresh(case: Case) -> Case:
    """Return the case with a scene that no cache knows yet: one more unused parameter would be refused, another length is not."""
    from dataclasses import replace

    return replace(case, fps=case.fps * (1 + 1e-9))


def _report_seconds() -> float:
    """Return the seconds that a report takes per clip."""
    with tempfile.TemporaryDirectory() as folder:
        run = made_up_run(Path(folder) / "run", "model", 0.5, made_up_cases(4), clips=True)
        begun = time.perf_counter()
        write_report(run)
        return (time.perf_counter() - begun) / (4 * len(made_up_cases(1)))


def _standard(probes: dict[str, Probe]) -> int:
    return sum(32 * len(p.modes) for p in probes.values())


def _scored(probes: dict[str, Probe], cases: Sequence[Case], workers: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        begun, before = time.perf_counter(), _core_seconds()
        evaluate(cases, probes, [Oracle()], Path(folder), workers, progress=False)
        return time.perf_counter() - begun, _core_seconds() - before


def _core_seconds() -> float:
    """Return the time on cores of this process and of its ended children."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


if __name__ == "__main__":
    print(stage_table())
    print()
    print(speed_up_table())
