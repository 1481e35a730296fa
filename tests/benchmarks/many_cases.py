"""Time and memory of plan, shards, merge, summary and page of a run of many cases, whose scores are made up.

python tests/benchmarks/many_cases.py 100000 FOLDER prints the table; each step is a command of its own, measured with all its processes.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sora_eval.config import Call, parse
from sora_eval.run import plan_run
from sora_eval.runs import sharding
from sora_eval.runs.folder import open_run
from sora_eval.runs.manifest import manifest
from sora_eval.runs.plan import ClipCounts, Plan
from sora_eval.runs.reader import Run
from sora_eval.types import Case, ScoreRow

SHARDS = 4
# Every case of the suite "full" once; more of each of them make the number that is wanted.
WORDS = ["generator=careless", "suite=full", "profile=small", "references=[]", "fidelity=null", "tracking=false"]


def plan_of(count: int, folder: Path) -> Plan:
    """Return the plan of a run of at least `count` cases."""
    each = len(parse("run", [*WORDS, "suite.count=2"])[0].suite.select(*_select(2))[1]) / 2
    words = [*WORDS, f"suite.count={max(2, -(-count // round(each)))}", f"out={folder}"]
    return plan_run(parse("run", words)[0], Call("sora-eval run (made up)", "careless", 1))


def _select(count: int) -> tuple[object, int, int]:
    config = parse("run", [*WORDS, f"suite.count={count}"])[0]
    return config.profile, config.seed, 1


def made_up(cases: Sequence[Case], model: str) -> Iterator[ScoreRow]:
    """Yield a score of each case, some of them without a value, such as a model of moderate skill gets."""
    for case in cases:
        draw = zlib.crc32(case.id.encode()) / 2**32
        value = None if draw < 0.05 else min(1.0, 1.2 * draw)
        yield ScoreRow(
            case=case.id,
            suite=case.suite,
            probe=case.probe,
            mode=case.mode,
            generator=model,
            kind="model",
            value=value,
            reason="" if value is not None else "no object was found in the first frame",
            components={} if value is None else {"path": value, "start": draw, "end": 1 - draw},
            chance=0.0,
            prompt=case.prompt,
            cluster=case.cluster,
            twin=case.twin,
            seed=case.seed,
            video=f"videos/{model}/{case.id}.mkv",
            tracks=f"tracks/{model}/{case.id}.npz",
        )


def write_shards(count: int, folder: Path) -> int:
    """Write all shards of a run as their commands would, and return its number of cases."""
    plan = plan_of(count, folder)
    with open_run(plan):
        for i in range(1, SHARDS + 1):
            rows = tuple(made_up(sharding.part(plan.cases, (i, SHARDS)), plan.model.name))
            about = manifest(plan, [], 1.0, {plan.model.name: ClipCounts(made=len(rows))})
            sharding.write(Run(folder, about, tuple(plan.cases), rows, ()), (i, SHARDS))
    return len(plan.cases)


@dataclass(frozen=True)
class Step:
    """A measured command."""

    name: str
    """What it does."""
    seconds: float
    """Wall time."""
    cpu_s: float
    """CPU time."""
    memory: int
    """Most bytes of memory of all its processes."""


def measured(count: int, folder: Path) -> list[Step]:
    """Return what each step took.

    Raises:
        RuntimeError: a command failed.
    """
    from memory import peak_of

    here = [sys.executable, __file__]
    steps = []
    for name, command in (
        ("plan and shards", [*here, "shards", str(count), str(folder)]),
        ("merge, summary and page", [sys.executable, "-m", "sora_eval", "merge", str(folder)]),
        ("page again", [sys.executable, "-m", "sora_eval", "report", str(folder)]),
    ):
        peak = peak_of(command)
        if peak.returncode not in (0, 1):
            raise RuntimeError(f"{name}: exit code {peak.returncode}")
        steps.append(Step(name, peak.seconds, peak.cpu_s, peak.pss))
    return steps


def main(args: Sequence[str]) -> int:
    """Print the table."""
    if args[0] == "shards":
        print(f"{write_shards(int(args[1]), Path(args[2])):,} cases")
        return 0
    folder = Path(args[1])
    print("| step | seconds | CPU seconds | memory |\n| --- | --: | --: | --: |")
    for step in measured(int(args[0]), folder):
        print(f"| {step.name} | {step.seconds:.0f} | {step.cpu_s:.0f} | {step.memory / 2**20:,.0f} MiB |", flush=True)
    page = (folder / "report.html").stat().st_size
    clips = sum(g["n"] for g in json.loads((folder / "summary.json").read_text())["overall"])
    print(f"\n{clips:,} clips; report.html has {page / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
