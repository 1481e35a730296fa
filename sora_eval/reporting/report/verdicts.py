"""Verdicts on the scores of a run, in words that their intervals support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sora_eval.reporting.components.numbers import p_value, score, signed, span
from sora_eval.stats.failures import too_many
from sora_eval.stats.paired import Difference, differences
from sora_eval.stats.summary import Cell, Summary
from sora_eval.types import ScoreRow

ALPHA = 0.05
LEAST_SCENES = 6
"""The fewest whose exact sign-flip test can reach a p-value of 0.05 (two-sided: 2 / 2^6)."""
HOW = (
    f"Better or worse than a blind guess: the whole 95% interval lies on one side of 0. Against the oracle and the best control: "
    f"paired by case, clustered by scene, p at most {ALPHA:g} after Holm's correction over the suites. No verdict on fewer than "
    f"{LEAST_SCENES} scenes."
)


@dataclass(frozen=True)
class Verdict:
    """A model's verdict on a suite."""

    model: str
    """Name of the model."""
    suite: str
    """"" for all suites."""
    text: str
    """Score with its interval, and the comparison with chance and references in words, or why there is none."""
    style: str
    """"good" where it beats chance and the best control, "bad" where neither, or ""."""


def verdicts(rows: Sequence[ScoreRow], summary: Summary) -> tuple[Verdict, ...]:
    """Return a verdict on each model overall and on each suite; of one suite, overall repeats it."""
    suites = ("", *summary.suites) if len(summary.suites) > 1 else summary.suites
    by = {g: [r for r in rows if r.generator == g] for g in summary.generators}
    made = []
    for model in summary.of_kind("model"):
        whole = too_many(by[model])
        # Overall and suites are levels of their own, as in every table of differences.
        against = {name: _compared(by[model], by[name]) for name in summary.of_kind("oracle", "control")}
        for suite in suites:
            if not (cell := summary.get(model, suite)):
                continue
            scenes = len({r.cluster for r in by[model] if suite in ("", r.suite)})
            few = scenes < LEAST_SCENES
            style = ""
            if whole or few:
                text = whole or f"too few scenes for a verdict: {scenes}, of at least {LEAST_SCENES}"
            else:
                text, style = _words(summary, cell, {name: d.get(suite) for name, d in against.items()})
            value = "" if cell.failed else f"{score(cell.score)} {span(cell.low, cell.high)}: "
            made.append(
                Verdict(model, suite, f"{value}{text}.{_by_probe(summary, model) if suite == suites[0] else ''}", style)
            )
    return tuple(made)


def _compared(model: Sequence[ScoreRow], other: Sequence[ScoreRow]) -> dict[str, Difference]:
    """Return the differences overall and of suites; of cases that both answered."""
    shared = {r.prompt_id for r in model} & {r.prompt_id for r in other}
    return {d.suite: d for d in differences(model, other) if not d.probe} if shared else {}


def _by_probe(summary: Summary, model: str) -> str:
    """Return the weakest probe and how many lie above chance, where there are several."""
    cells = [c for c in summary.cells if c.generator == model and c.level == "probe" and not c.failed]
    if len(cells) < 2:
        return ""
    weakest = min(cells, key=lambda c: (c.score, c.suite, c.probe))
    above = sum(c.low > 0 for c in cells)
    return f" Weakest probe: {weakest.probe} ({score(weakest.score)}); interval above chance on {above} of {len(cells)} probes."


def _words(summary: Summary, cell: Cell, against: dict[str, Difference | None]) -> tuple[str, str]:
    """Return the verdict on a score and its style."""
    above = 1 if cell.low > 0 else -1 if cell.high < 0 else 0
    parts = [("worse than", "not distinguishable from", "better than")[above + 1] + " a blind guess"]
    beats = above
    if floor := summary.floor(cell.suite):
        sign, words = _against(against.get(floor.generator), f"the best control ({floor.generator})")
        # Nothing beats a control that scores 1, but a model can be below it.
        beats = min(beats, sign) if floor.score < 1 or sign < 0 else beats
        parts.append(words)
    if ceiling := summary.ceiling(cell.suite):
        parts.append(_against(against.get(ceiling.generator), "the oracle")[1])
    style = "good" if beats > 0 else "bad" if above <= 0 else ""
    return "; ".join(p for p in parts if p), style


def _against(d: Difference | None, other: str) -> tuple[int, str]:
    """Return 1, 0 or -1 (above, open, below) and the words for it."""
    if d is None:
        return 0, ""
    if d.adjusted > ALPHA:
        value = f"{signed(d.mean)} {span(d.low, d.high, signed)}, p {p_value(d.adjusted)}"
        return 0, f"not distinguishable from {other} after correction ({value})"
    if d.mean < 0:
        return -1, f"below {other} by {score(-d.mean)} {span(-d.high, -d.low)}"
    return 1, f"above {other} by {score(d.mean)} {span(d.low, d.high)}"
