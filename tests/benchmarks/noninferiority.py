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
from benchmarks.gate_power import Kind, Setting, _counted, simulate
from numpy.typing import NDArray

from sora_eval.gating.sides import both, matched
from sora_eval.reporting.components.text import pipe
from sora_eval.runs.baseline import read_scored
from sora_eval.stats.gate import PASSED, REGRESSION, TOO_LITTLE
from sora_eval.stats.intervals import wilson
from sora_eval.stats.multiplicity import adjust_e_values, alpha_shares
from sora_eval.stats.noninferiority import STAKES, NoninferiorityPlan
from sora_eval.stats.paired import Pairs, pair
from sora_eval.types import Floats

MARGIN = 0.05
MARGINS = (0.03, 0.1, 0.2)
SIZES = {"smoke": ((1,) * 25, 6), "gate": ((12,) * 25, 2), "standard": ((16,) * 25, 6)}
"""Scenes of each probe and cases of a scene."""
SAME = (1.0, 0.95, 0.8, 0.4, 0.0)
"""Shares of clips with the same score; the others are drawn again."""
ALL_OR_NOTHING = Kind("always right", 0.0, 1.0, lambda rng, hard: np.ones(hard.shape))
REPETITIONS = 2000
_AT_ONCE = 500


@dataclass(frozen=True)
class Rates:
    """How often a verdict came about, and the mean share of cases after which it was certain, 1 where it never was."""

    n: int
    passed: float
    inferior: float
    used: float


def scene_drops(setting: Setting, n: int, rng: np.random.Generator) -> Floats:
    """Return the drops [n, probes, scenes] of n simulated comparisons, of probes with equally many scenes."""
    drops = []
    for p, scenes in enumerate(setting.scenes):
        kind = setting.kinds[p % len(setting.kinds)]
        hard = np.repeat(rng.beta(0.5, 0.5, n * scenes), setting.twins)
        a, b = (_counted(kind, rng, hard) for _ in range(2))
        b = np.where(rng.random(len(b)) < setting.same, a, b)
        b = np.where(rng.random(len(b)) < setting.lost, 0.0, b)
        drops.append((a - b).reshape(n, scenes, setting.twins).mean(axis=2))
    return np.stack(drops, axis=1)


def largest_drops(setting: Setting) -> Floats:
    """Return the largest drop [probes] that there can be."""
    return np.array([1 / (1 - setting.kinds[p % len(setting.kinds)].chance) for p in range(len(setting.scenes))])


def verdicts(drops: Floats, largest: Floats, margin: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return exit codes [n] and rounds [n] after which they are certain: `NoninferiorityTest` of all comparisons at once.

    drops: [n, probes, scenes], a scene of each probe a round; largest: [probes]. A test compares both.
    """
    plan = NoninferiorityPlan(margin=margin)
    n, probes, rounds = drops.shape
    below = _wealth((margin - drops) / (largest - margin).max(), over=1)
    above = _wealth((drops - margin) / (largest + margin).max(), over=1)
    single = _wealth((drops - margin) / (largest + margin)[:, None], over=None)
    evidence = np.concatenate([above[:, None], single], axis=1)
    shares = alpha_shares(probes + 1, plan.share)
    passed, stopped = (below >= 1 / plan.alpha), np.zeros((n, rounds), dtype=bool)
    for i, at in np.argwhere(evidence.max(axis=1) >= 1 / plan.alpha):
        stopped[i, at] = (adjust_e_values(evidence[i, :, at], shares) >= 1 / plan.alpha).any()
    first = np.stack([np.where(x.any(axis=1), x.argmax(axis=1), rounds) for x in (passed, stopped)])
    codes = np.where(first.min(axis=0) == rounds, TOO_LITTLE, np.where(first[1] <= first[0], REGRESSION, PASSED))
    return codes, np.minimum(first.min(axis=0) + 1, rounds)


def _wealth(gain: Floats, over: int | None) -> Floats:
    """Return the wealth after each round (last axis) of bets with a gain; over: the axis of those that are bet on at once."""
    logs = np.stack([np.log1p(stake * gain) for stake in STAKES])
    logs = logs if over is None else logs.sum(axis=over + 1)
    return np.asarray(np.exp(np.minimum(logs.cumsum(axis=-1), 200.0)).mean(axis=0))


def rates(setting: Setting, margin: float, n: int, seed: int) -> Rates:
    """Return how often a candidate passes and how often it is stopped."""
    rng = np.random.default_rng([seed, len(setting.scenes), sum(setting.scenes), round(1000 * margin)])
    largest, codes, used = largest_drops(setting), [], []
    for k in range(0, n, _AT_ONCE):
        found, rounds = verdicts(scene_drops(setting, min(_AT_ONCE, n - k), rng), largest, margin)
        codes.append(found)
        used.append(rounds / setting.scenes[0])
    code = np.concatenate(codes)
    return Rates(
        n, float((code == PASSED).mean()), float((code == REGRESSION).mean()), float(np.concatenate(used).mean())
    )


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
