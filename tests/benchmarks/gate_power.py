"""Power and false-alarm rate of the gate by simulation.

`PYTHONPATH=tests python -m benchmarks.gate_power --out docs/gate_power.md`

Scores are drawn as the suites give them: skewed, discrete, mostly tied, with scenes of unequal difficulty and two twins to a scene.
Baseline and candidate are two draws of one model, as with another generation seed; a damaged candidate fails more clips.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sora_eval.files import replacing
from sora_eval.reporting.components.text import pipe
from sora_eval.stats.eprocess import SequentialTest
from sora_eval.stats.gate import PASSED, REGRESSION, GatePlan, Outcome, fixed_test
from sora_eval.stats.intervals import wilson
from sora_eval.stats.paired import Pairs
from sora_eval.types import Floats, ScoreRow

TWINS = 2
FLIPS = 1999
REPETITIONS = 600
ENGINES = "## Another engine of the same model"
"""The part of the page that `benchmarks.noninferiority` makes."""


@dataclass(frozen=True)
class Kind:
    """How the scores of a probe come about.

    chance: what a blind guess reaches. mean: of the counted score. draw: (rng, difficulty [n] in 0..1) -> [n] values in 0..1 before the
    correction for chance, of which `lost` can't be judged.
    """

    name: str
    chance: float
    mean: float
    draw: Callable[[np.random.Generator, Floats], Floats]
    lost: float = 0.0


def _rare(rng: np.random.Generator, hard: Floats) -> Floats:
    return (rng.random(hard.shape) < 0.2 * hard).astype(float)


def _side(rng: np.random.Generator, hard: Floats) -> Floats:
    return (rng.random(hard.shape) < 0.5 + 0.5 * hard).astype(float)


def _graded(rng: np.random.Generator, hard: Floats) -> Floats:
    return np.asarray((rng.random(hard.shape) < 0.25 + hard) * rng.beta(2, 2, hard.shape))


def _steps(rng: np.random.Generator, hard: Floats) -> Floats:
    return np.asarray(rng.binomial(3, hard) / 3)


def _near(rng: np.random.Generator, hard: Floats) -> Floats:
    return np.asarray(1 - (rng.random(hard.shape) < 0.2 * hard) * rng.random(hard.shape))


# Difficulty is Beta(1/2, 1/2): most scenes are either easy or hard, so most pairs are tied. Its mean is 1/2.
KINDS = (
    Kind("graded, many zeros", 0.0, 0.3478, _graded),
    Kind("a side, chance 1/2, 30% unjudged", 0.5, 0.35, _side, 0.3),
    Kind("steps of a third", 0.0, 0.5, _steps),
    Kind("nearly always right", 0.0, 0.95, _near),
    Kind("rarely right", 0.0, 0.1, _rare),
)


@dataclass(frozen=True)
class Setting:
    """A simulated comparison.

    scenes: per probe. kinds: of the probes, in turn. lost: share of the candidate's clips that fail beside those that would anyway;
    where: in which probes, None for all. twins: cases of a scene. same: share of clips that come out with the same score, as of another
    engine of one model.
    """

    scenes: tuple[int, ...]
    kinds: tuple[Kind, ...] = KINDS
    lost: float = 0.0
    where: int | None = None
    twins: int = TWINS
    same: float = 0.0

    @property
    def mean(self) -> float:
        """The true overall score of the baseline, all probes in one suite."""
        return float(np.mean([self.kinds[p % len(self.kinds)].mean for p in range(len(self.scenes))]))


def simulate(setting: Setting, rng: np.random.Generator) -> Pairs:
    """Return the pairs of a baseline and a candidate, probes "p00", "p01", ... of one suite."""
    first, second, reach, probe, cluster = [], [], [], [], []
    for p, scenes in enumerate(setting.scenes):
        kind = setting.kinds[p % len(setting.kinds)]
        hard = np.repeat(rng.beta(0.5, 0.5, scenes), setting.twins)
        a, b = (_counted(kind, rng, hard) for _ in range(2))
        if setting.same:
            b = np.where(rng.random(len(b)) < setting.same, a, b)
        if setting.where is None or setting.where == p:
            b = np.where(rng.random(len(b)) < setting.lost, 0.0, b)
        first.append(a)
        second.append(b)
        reach.append(np.full(len(a), 1 / (1 - kind.chance)))
        probe += [f"p{p:02}"] * len(a)
        cluster += [f"p{p:02}.{i // setting.twins}" for i in range(len(a))]
    case = tuple(f"{c}.{i}" for i, c in enumerate(cluster))
    parts = (np.concatenate(x) for x in (first, second, reach))
    return Pairs(case, ("suite",) * len(case), tuple(probe), tuple(cluster), *parts)


def _counted(kind: Kind, rng: np.random.Generator, hard: Floats) -> Floats:
    found = (kind.draw(rng, hard) - kind.chance) / (1 - kind.chance)
    return np.where(rng.random(len(found)) < kind.lost, 0.0, found)


def rows_of(pairs: Pairs, counted: Floats) -> list[ScoreRow]:
    """Return score rows that count as given."""
    return [
        ScoreRow(
            case=pairs.case[i],
            suite=pairs.suite[i],
            probe=pairs.probe[i],
            mode="t2v",
            generator="model",
            kind="model",
            value=1 + (float(counted[i]) - 1) / float(pairs.max_difference[i]),
            reason="",
            components={},
            chance=1 - 1 / float(pairs.max_difference[i]),
            prompt="",
            cluster=pairs.cluster[i],
            twin="",
            seed=0,
            video="",
            tracks="",
        )
        for i in range(len(pairs))
    ]


def walk(pairs: Pairs, plan: GatePlan) -> Outcome:
    """Return the sequential verdict, looking after every scene."""
    test = SequentialTest(rows_of(pairs, pairs.first), plan)
    candidate = {row.case: row for row in rows_of(pairs, pairs.second)}
    for step in test.steps:
        if test.add(step, [candidate[case] for case in step.cases]):
            break
    return test.outcome()


@dataclass(frozen=True)
class Rates:
    """How often something happened among `n` repetitions.

    stopped: exit code 1; passed: exit code 0; named: the probe that was damaged is among the regressions.
    used: mean share of cases that were needed. detectable: median smallest detectable drop of the overall score and of a probe.
    """

    n: int
    stopped: float
    passed: float
    named: float
    used: float
    detectable: tuple[float, float]


def rates(
    setting: Setting, n: int, seed: int, sequential: bool, plan: GatePlan | None = None, flips: int = FLIPS
) -> Rates:
    """Return how often the gate stops and passes candidates of a setting."""
    plan = plan or GatePlan()
    rng = np.random.default_rng([seed, len(setting.scenes), sum(setting.scenes)])
    found = []
    for _ in range(n):
        pairs = simulate(setting, rng)
        outcome = walk(pairs, plan) if sequential else fixed_test(pairs, plan=plan, flips=flips)
        found.append((outcome, outcome.cases / len(pairs)))
    outcomes = [o for o, _ in found]
    damaged = "overall" if setting.where is None else f"p{setting.where:02}"
    return Rates(
        n,
        float(np.mean([o.code == REGRESSION for o in outcomes])),
        float(np.mean([o.code == PASSED for o in outcomes])),
        float(np.mean([damaged in {line.probe for line in o.regressions} for o in outcomes])),
        float(np.mean([share for _, share in found])),
        (
            float(np.median([o.lines[0].detectable for o in outcomes])),
            float(np.median([line.detectable for o in outcomes for line in o.lines[1:]])),
        ),
    )


def _share(value: float, n: int) -> str:
    bound = wilson(round(value * n), n)
    return f"{value:.3f} [{bound.low:.3f}, {bound.high:.3f}]"


def _uneven(probes: int) -> tuple[int, ...]:
    """Return 4 to 50 scenes per probe."""
    return tuple(int(x) for x in np.linspace(4, 50, probes).round())


def false_alarms(n: int) -> str:
    """Return the table of how often a candidate that is the baseline again is stopped."""
    table = []
    for name, scenes in (
        ("25 probes of 4 scenes", (4,) * 25),
        ("25 probes of 8 scenes", (8,) * 25),
        ("25 probes of 12 scenes", (12,) * 25),
        ("25 probes of 4 to 50 scenes", _uneven(25)),
        ("1 probe of 200 scenes", (200,)),
    ):
        cells = [name, str(TWINS * sum(scenes))]
        for sequential in (False, True):
            got = rates(Setting(scenes), n, 1, sequential)
            cells += [_share(got.stopped, n), f"{got.passed:.2f}"]
        table.append([*cells, f"{got.used:.2f}"])
    head = [
        "the same model again",
        "cases",
        "fixed: stopped",
        "passed",
        "sequential: stopped",
        "passed",
        "cases needed",
    ]
    return pipe(head, table)


def power(n: int) -> str:
    """Return the table of how often a damaged candidate is stopped."""
    table = []
    for name, setting in _damaged():
        cells = [name, str(TWINS * sum(setting.scenes))]
        for sequential in (False, True):
            got = rates(setting, n, 2, sequential)
            cells += [_share(got.stopped, n), f"{got.named:.2f}", f"{got.passed:.2f}"]
        table.append([*cells, f"{got.used:.2f}"])
    head = [
        "damage",
        "cases",
        "fixed: stopped",
        "named",
        "passed",
        "sequential: stopped",
        "named",
        "passed",
        "cases needed",
    ]
    return pipe(head, table)


def _damaged() -> list[tuple[str, Setting]]:
    found = []
    for kind in KINDS[:4]:
        found.append((f"0.1 in the one probe there is ({kind.name})", Setting((200,), (kind,), 0.1 / kind.mean)))
    for scenes in (8, 12, 16):
        every = Setting((scenes,) * 25)
        found.append(
            (f"0.1 of the overall score, in 25 probes of {scenes} scenes", Setting(every.scenes, lost=0.1 / every.mean))
        )
    for scenes in (8, 12, 16):
        # Probe 2 scores 0.5 on average.
        found.append((f"one of 25 probes of {scenes} scenes from 0.5 to 0", Setting((scenes,) * 25, lost=1.0, where=2)))
    return found


def sizes(n: int) -> str:
    """Return the table of what suites of several sizes can detect."""
    table = []
    for count in (2, 8, 16, 24, 32, 64, 128):
        got = rates(Setting((count // TWINS,) * 25), n, 3, False)
        overall, probe = ("none" if np.isinf(x) else f"{x:.2f}" for x in got.detectable)
        table.append([str(count), str(25 * count), overall, probe, f"{got.passed:.2f}"])
    return pipe(["cases per probe", "cases", "overall", "a single probe", "the same model passes"], table)


PAGE = """# What the gate finds

`{command}`

Simulated scores: skewed, discrete, mostly tied, scenes of unequal difficulty, twins in one scene. Shares with their 95% interval.
The default plan (`sora-eval gate --help`): alpha 0.05, tolerance 0, a drop of 0.1 of the overall score to be detected with power 0.8.

## False alarms

Baseline and candidate are two draws of one model, {n} times. At most 0.05 is promised, for all probes together, and sequentially
however often one looks.

{false_alarms}

## Power

A damaged candidate loses clips at random, so that the mean falls by what is said, {m} times. *Named*: the row that fell is among the
regressions. A drop of 0.1 of the overall score *passes* with at most 0.2, 1 - power: that is promised too. Sequentially, the gate ends
when such a drop is excluded: one probe of many that breaks is then seldom seen, unless `drops` names it. The fixed test looks at
all of them.

{power}

## How many cases

The median smallest detectable drop, fixed test. A probe of fewer than 10 scenes (20 cases) is hardly ever named: among 25 probes
the sign flips of its scenes can't give a small enough p-value. The suite `gate` therefore asks 24 cases per probe.

{sizes}
"""


def main(args: Sequence[str] | None = None) -> int:
    """Write the page and return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_power", description="Simulate the gate.")
    parser.add_argument("--out", type=Path, help="the page to write; printed where there is none")
    parser.add_argument(
        "--repetitions", type=int, default=REPETITIONS, help="of each row of false alarms, 0.4 of it for the others"
    )
    found = parser.parse_args(args)
    n = found.repetitions
    command = "PYTHONPATH=tests python -m benchmarks.gate_power --out docs/gate_power.md" + (
        f" --repetitions {n}" if n != REPETITIONS else ""
    )
    m = max(20, 2 * n // 5)
    page = PAGE.format(
        command=command, n=n, m=m, false_alarms=false_alarms(n), power=power(m), sizes=sizes(max(20, n // 20))
    )
    if found.out is None:
        print(page)
    else:
        if found.out.exists() and ENGINES in (old := found.out.read_text(encoding="utf-8")):
            # What `benchmarks.noninferiority` made.
            page += "\n" + old[old.index(ENGINES) :]
        with replacing(found.out) as part:
            part.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
