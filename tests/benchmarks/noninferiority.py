"""False passes and power of the non-inferiority test by simulation, with the spreads of pairs of real runs.

`PYTHONPATH=tests python -m benchmarks.noninferiority --out docs/gate_power.md` simulates; `--measure BASELINE RUN...` measures how far
real runs lie from a baseline, and `--quantise CHECKPOINT BITS OUT` writes a checkpoint with rounded weights to make one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from benchmarks.cost import write
from benchmarks.gate_power import Kind, Setting, rows_of, simulate

from sora_eval.gating.sides import both, matched
from sora_eval.reporting.components.text import pipe
from sora_eval.runs.baseline import read_scored
from sora_eval.stats.gate import PASSED, REGRESSION
from sora_eval.stats.intervals import wilson
from sora_eval.stats.noninferiority import NoninferiorityPlan, NoninferiorityTest
from sora_eval.stats.paired import Pairs, pair

MARGIN = 0.05
MARGINS = (0.03, 0.1, 0.2)
SIZES = {"smoke": ((1,) * 25, 6), "gate": ((12,) * 25, 2), "standard": ((16,) * 25, 6)}
"""Scenes of each probe and cases of a scene."""
SAME = (1.0, 0.95, 0.8, 0.4, 0.0)
"""Shares of clips with the same score; the others are drawn again."""
ALL_OR_NOTHING = Kind("always right", 0.0, 1.0, lambda rng, hard: np.ones(hard.shape))
REPETITIONS = 400


@dataclass(frozen=True)
class Rates:
    """How often a verdict came about, and the mean share of cases after which it was certain, 1 where it never was."""

    n: int
    passed: float
    inferior: float
    used: float


def walk(pairs: Pairs, plan: NoninferiorityPlan) -> tuple[NoninferiorityTest, float]:
    """Return the test, read after every round and stopped when it is certain, and the share of the cases that it used."""
    test = NoninferiorityTest(rows_of(pairs, pairs.first), plan)
    candidate = {row.case: row for row in rows_of(pairs, pairs.second)}
    seen = 0
    for step in test.steps:
        seen += len(step.cases)
        if test.add(step, [candidate[case] for case in step.cases]):
            break
    return test, seen / len(pairs)


def rates(setting: Setting, margin: float, n: int, seed: int) -> Rates:
    """Return how often a candidate passes and how often it is stopped."""
    rng = np.random.default_rng([seed, len(setting.scenes), sum(setting.scenes), round(1000 * margin)])
    plan = NoninferiorityPlan(margin=margin)
    found = [walk(simulate(setting, rng), plan) for _ in range(n)]
    codes = np.array([test.code for test, _ in found])
    used = float(np.mean([share for _, share in found]))
    return Rates(n, float((codes == PASSED).mean()), float((codes == REGRESSION).mean()), used)


def dropping(setting: Setting, drop: float) -> Setting:
    """Return a setting whose candidate loses so many clips that the true overall score drops by `drop`."""
    return replace(setting, lost=drop / setting.mean)


def boundary(n: int) -> str:
    """Return the table of how often candidates at a true drop of the margin, twice the margin and none pass and are stopped."""
    table = []
    for size, (scenes, twins) in SIZES.items():
        for same in SAME:
            setting = Setting(scenes, twins=twins, same=same)
            cells = [size, f"{same:g}"]
            for drop in (MARGIN, 0.0, 2 * MARGIN):
                # What does not differ is not simulated twice, and power needs fewer repetitions than an error rate does.
                count = n if drop == MARGIN else max(20, n // 4)
                got = rates(dropping(setting, drop), MARGIN, count, 1)
                cells += [
                    _share(value, count) if drop == MARGIN else f"{value:.2f}" for value in (got.passed, got.inferior)
                ]
                cells += [f"{got.used:.2f}"] if drop == 0 else []
            table.append(cells)
    scenes, twins = SIZES["gate"]
    worst = Setting(scenes, (ALL_OR_NOTHING,), MARGIN, twins=1, same=1.0)
    got = rates(worst, MARGIN, n, 2)
    table.append(["gate", "0.95, the others lost", _share(got.passed, n), _share(got.inferior, n), *[""] * 5])
    head = [
        "suite",
        "clips the same",
        "drop = margin: passed",
        "inferior",
        "no drop: passed",
        "inferior",
        "cases needed",
    ]
    return pipe([*head, "drop = 2 margins: passed", "inferior"], table)


def power(n: int) -> str:
    """Return the table of how often an engine without a drop passes, by size and margin."""
    table = []
    for size, (scenes, twins) in SIZES.items():
        for same in SAME:
            setting = Setting(scenes, twins=twins, same=same)
            table.append([size, f"{same:g}", *(f"{rates(setting, margin, n, 3).passed:.2f}" for margin in MARGINS)])
    return pipe(["suite", "clips the same", *(f"margin {margin:g}" for margin in MARGINS)], table)


def correlations(n: int = 200) -> str:
    """Return the table of the simulated engines: how their scenes differ."""
    table = []
    for same in SAME:
        rng = np.random.default_rng(4)
        pairs = [simulate(Setting((12,) * 25, same=same), rng) for _ in range(n // 10)]
        table.append([f"{same:g}", *_spread(pairs)])
    return pipe(["clips the same", *_SPREAD], table)


def measured(baseline: Path, runs: Sequence[Path]) -> str:
    """Return the table of how real runs differ from a baseline, on the cases that both have."""
    table = []
    for run in runs:
        first, second, _ = matched(read_scored(baseline), read_scored(run), True)
        first, second = both(first, second)
        pairs = pair(first.rows, second.rows)
        drop = float(pairs.weights() @ pairs.difference)
        table.append([run.name, str(len(pairs)), *_spread([pairs]), f"{drop:+.3f}"])
    return pipe(["run", "cases", *_SPREAD, "drop"], table)


_SPREAD = (
    "equal scores",
    "correlation of scores",
    "scenes without a difference",
    "standard deviation of a scene's drop",
)


def _spread(found: Sequence[Pairs]) -> list[str]:
    equal = np.concatenate([np.abs(p.difference) < 1e-9 for p in found])
    scores = np.corrcoef(np.concatenate([p.first for p in found]), np.concatenate([p.second for p in found]))[0, 1]
    drops = np.concatenate([p.sums(p.difference) / p.sums(np.ones(len(p))) for p in found])
    return [f"{equal.mean():.2f}", f"{scores:.2f}", f"{(np.abs(drops) < 1e-9).mean():.2f}", f"{drops.std():.2f}"]


def quantise(source: Path, bits: int, target: Path) -> None:
    """Write a checkpoint whose matrices are rounded to so many bits, symmetric, with a scale per output channel."""
    from safetensors.torch import save_file

    from sora_eval.training.checkpoints import hash_of, tensors

    weights, header = tensors(source)
    top = 2 ** (bits - 1) - 1
    for name, value in weights.items():
        if value.is_floating_point() and value.ndim >= 2:
            x = value.float()
            scale = (x.flatten(1).abs().amax(1).clamp_min(1e-8) / top).view(-1, *[1] * (x.ndim - 1))
            weights[name] = ((x / scale).round() * scale).to(value.dtype).contiguous()
    save_file(weights, target, {**header, "sha256": hash_of(weights)})


def _share(value: float, n: int) -> str:
    bound = wilson(round(value * n), n)
    return f"{value:.3f} [{bound.low:.3f}, {bound.high:.3f}]"


def main(args: Sequence[str] | None = None) -> int:
    """Write the parts of the page and return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.noninferiority", description="Simulate non-inferiority."
    )
    parser.add_argument("--out", type=Path, help="the page whose parts are replaced; printed where there is none")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="at the margin, a quarter of it elsewhere")
    parser.add_argument("--measure", type=Path, nargs="+", metavar="FOLDER", help="a baseline and runs, in place of it")
    parser.add_argument("--quantise", nargs=3, metavar=("CHECKPOINT", "BITS", "OUT"), help="round weights, and no more")
    found = parser.parse_args(args)
    if found.quantise:
        source, bits, target = found.quantise
        quantise(Path(source), int(bits), Path(target))
        return 0
    n = found.repetitions
    if found.measure:
        parts = {"spreads": measured(found.measure[0], found.measure[1:])}
    else:
        parts = {"engines": correlations(), "boundary": boundary(n), "margins": power(max(20, n // 4))}
    for name, text in parts.items():
        if found.out is None:
            print(text)
        else:
            write(found.out, name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
