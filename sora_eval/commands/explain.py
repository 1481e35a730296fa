"""`sora-eval explain A B`: what differs between two runs, and how much of the difference of their scores goes with each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sora_eval.recipe.explain import Explanation
    from sora_eval.stats.paired import Difference


def main(args: Sequence[str]) -> int:
    """Print the explanation and return the exit code."""
    from sora_eval.commands.words import parsed
    from sora_eval.files import write_json
    from sora_eval.processes import cores
    from sora_eval.recipe.explain import explain
    from sora_eval.recipe.options import ExplainOptions
    from sora_eval.recipe.rescoring import judge_of
    from sora_eval.runs.baseline import read_scored

    about = "Which settings differ between two runs, how their scores differ, and how much of that goes with which difference."
    names = [("first", "folder of a finished run"), ("second", "folder of another one")]
    (a, b), options = parsed("explain", about, names, ExplainOptions, args)
    first, second = read_scored(a, options.first), read_scored(b, options.second)
    if options.rescore:
        print(f"scoring clips of up to {options.rescore} cases again", file=sys.stderr)
    judge = judge_of(first.run, options.trust)
    found = explain(first, second, judge, options.rescore, options.seed, options.workers or cores())
    print("\n".join(lines(found)))
    if options.out is not None:
        write_json(Path(options.out), found.to_json())
        print(f"wrote {options.out}")
    return 0


def lines(found: Explanation) -> Iterator[str]:
    """Yield the explanation as text."""
    yield f"A: {found.first}   B: {found.second}"
    yield from (f"note: {note}" for note in found.notes)
    yield from ("", "Settings that differ")
    group = ""
    for d in found.settings:
        if d.group != group:
            group = d.group
            yield f"  {group}"
        yield f"    {d.line()}"
    if not found.settings:
        yield "  none"
    yield from ("", "Scores, A - B [95% interval, paired and clustered by scene]")
    yield from _aligned([_score(d) for d in found.scores])
    yield from ("", "What the difference goes with: parts of the overall A - B, by what differs in the cases")
    yield from _aligned(
        [
            (
                f"  {s.what}",
                f"{s.part:+.3f}",
                f"{s.cases} cases",
                f"their own A - B {s.mean:+.3f} [{s.low:+.3f}, {s.high:+.3f}]",
            )
            for s in found.shares
        ]
    )
    if found.everywhere:
        yield f"  in all of these cases, {', '.join(found.everywhere)} differ too: their effect is in every part"
    if (j := found.judging) is None:
        yield "  no clips of both runs were scored again: the shares of generation and judging are unknown"
        return
    yield f"Clips of {j.cases} cases scored again with the present code: A - B was {j.stored:+.3f}, of which"
    span = f"[{j.generating_low:+.3f}, {j.generating_high:+.3f}]"
    yield f"  {j.generating:+.3f} {span} goes with the clips (generating)"
    yield f"  {j.judging:+.3f} goes with the judging: {j.changed_first} scores of A and {j.changed_second} of B are others now"


def _score(d: Difference) -> tuple[str, ...]:
    name = f"    {d.probe}" if d.probe else f"  {d.suite or 'overall'}"
    span = f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
    return (name, f"{d.first:.3f}", f"{d.second:.3f}", span, f"p {d.adjusted:.3g}", f"{d.n} cases")


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
