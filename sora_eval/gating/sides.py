"""The two sides of a gate: the same cases of both, without the clips that failed technically."""

from __future__ import annotations

from dataclasses import replace

from sora_eval.errors import ConfigError
from sora_eval.runs.baseline import Scored
from sora_eval.runs.protocol import ENCODER, common, differing, protocol_of
from sora_eval.stats.failures import technical, too_many
from sora_eval.stats.gate import GatePlan
from sora_eval.stats.noninferiority import NoninferiorityPlan
from sora_eval.stats.samples import per_prompt, prompts


def matched(baseline: Scored, candidate: Scored, shared: bool) -> tuple[Scored, Scored, list[str]]:
    """Return the two on the same cases, and notes of what was left out.

    A candidate with more cases is compared on those of the baseline; one with fewer only with --common.

    Raises:
        ConfigError: they can't be compared, with what differs.
    """
    a, compared = protocol_of(baseline.run), candidate.run
    here = tuple(case for case in compared.cases if case.id in a.cases)
    if here and not shared:
        # Its other cases may have another size, rate or length, or more samples.
        compared = replace(compared, cases=here, rows=tuple(row for row in compared.rows if row.case in a.cases))
    b = protocol_of(compared)
    lines = [
        line
        for line in differing({"baseline": a, "candidate": b})
        if not line.startswith(ENCODER) and not line.startswith("encoders:")
    ]
    if lines and not shared:
        raise ConfigError(f"cannot be compared: {'; '.join(lines)}")
    first, second = common([baseline.run, candidate.run])
    notes = [f"--common, for they differ: {'; '.join(lines)}"] if lines else []
    # Other numbers of samples would give the means other distributions, which flipped signs take for a difference: the shared ones it is.
    for what, number in (("cases", prompts), ("samples per prompt", per_prompt)):
        kept, of, others = (number(rows) for rows in (first.rows, baseline.rows, candidate.rows))
        if kept < max(of, others):
            notes.append(f"compared on {kept} {what}, of {of} of the baseline and {others} of the candidate")
    return Scored(baseline.name, first), Scored(candidate.name, second), notes


def usable(side: Scored, what: str, plan: GatePlan | NoninferiorityPlan) -> tuple[Scored, list[str]]:
    """Return a side without the clips that failed technically, and a note of them.

    Raises:
        ConfigError: they are too many to compare anything.
    """
    if why := too_many(side.rows, plan.technical):
        raise ConfigError(f"cannot be compared: of the {what} {side.name}, {why}")
    if not technical(side.rows):
        return side, []
    gone = [row.case for row in side.rows if row.failure]
    rows = tuple(row for row in side.rows if not row.failure)
    note = f"left out: {len(gone)} of {len(side.rows)} clips of the {what} failed technically ({gone[0]})"
    return Scored(side.name, replace(side.run, rows=rows)), [note]


def both(baseline: Scored, candidate: Scored) -> tuple[Scored, Scored]:
    """Return two sides with the rows of the cases that both have.

    Raises:
        ConfigError: there is none.
    """
    shared = {row.case for row in baseline.rows} & {row.case for row in candidate.rows}
    if not shared:
        raise ConfigError("cannot be compared: no case has an answer on both sides")
    first, second = (
        Scored(side.name, replace(side.run, rows=tuple(r for r in side.rows if r.case in shared)))
        for side in (baseline, candidate)
    )
    return first, second
