"""`sora-eval run`: prints what a run gives."""

from __future__ import annotations

import sys

from sora_eval.config import Call, RunConfig
from sora_eval.run import plan_run, run
from sora_eval.runs.plan import Plan, RunResult
from sora_eval.stats.failures import technical

_PRINTED = 10


def main(config: RunConfig, call: Call) -> int:
    """Carry out a run, print its table and return the exit code."""
    plan = plan_run(config, call)
    result = run(plan)
    _print(plan, result)
    return result.code


def _print(plan: Plan, result: RunResult) -> None:
    from sora_eval.reporting.components.text import table

    folder = plan.folder
    if not result.written:
        print(f"nothing to do: all {len(result.rows)} clips are scored")
    if result.rows:
        print(table(result.rows))
    for problem in result.problems[:_PRINTED]:
        print(f"problem: {problem}", file=sys.stderr)
    if len(result.problems) > _PRINTED:
        more = len(result.problems) - _PRINTED
        print(f"problem: {more} more, listed in {folder / 'manifest.json'}", file=sys.stderr)
    own = [r for r in result.rows if r.generator == plan.model.name]
    unjudged = sum(r.value is None for r in own)
    if unjudged:
        print(
            f"{unjudged} of {len(own)} clips of {plan.model.name} could not be judged and count as failed; the report lists the reasons"
        )
    if broken := technical(own):
        print(
            f"{broken} of them failed technically, which is no evidence about the model; the same command retries them"
        )
    if plan.shard is not None:
        print(f"shard {plan.shard[0]}/{plan.shard[1]}: {len(own)} of {len(plan.cases)} cases are scored")
    if result.missing and plan.shard is not None:
        left = ", ".join(f"{i}/{plan.shard[1]}" for i in result.missing)
        print(f"not yet in {folder}: shard {left}; the last one writes the report, or sora-eval merge does")
    else:
        print(f"report: {folder / 'report.html'}")
