"""`sora-eval gate`: stop a candidate that is worse than a baseline, in CI."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sora_eval.errors import ConfigError, SoraEvalError, print_error

if TYPE_CHECKING:
    from sora_eval.runs.baseline import Scored
    from sora_eval.stats.eprocess import SequentialTest
    from sora_eval.stats.gate import GatePlan, Outcome
    from sora_eval.stats.noninferiority import Noninferiority, NoninferiorityPlan, NoninferiorityTest
    from sora_eval.types import ScoreRow

_EPILOG = """With --sequential or --noninferior the candidate may be a generator in place of a run:
`sora-eval gate --baseline BASELINE --sequential --out RUN generator=reference generator.checkpoint=FILE` generates, tracks and scores
scene by scene and stops as soon as the verdict is certain; a later `sora-eval run out=RUN ...` resumes there.
--noninferior MARGIN is for another engine of one model (quantised, cached, compiled): it passes only what is shown to fall by less.
Exit codes: 0 passed (non-inferior), 1 regression (inferior), 2 cannot be compared, 3 undecided: too little evidence for the drop that was
to be detected, or for either side of the margin."""


def main(args: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    try:
        return _gate(args)
    except (SoraEvalError, OSError) as error:
        from sora_eval.reporting.gate import add_to_job

        text = " ".join(str(error).split())
        print(f"sora-eval: {text}", file=sys.stderr)
        add_to_job(f"## sora-eval gate: cannot be compared\n\n```text\n{text}\n```\n")
        return 2
    except Exception as error:
        # Python's own exit code would be 1, which means that the candidate is worse.
        return print_error(error)


def _gate(args: Sequence[str]) -> int:
    from sora_eval.reporting.gate import INFORMATION, GateReport, method, sentence, table, write_gate
    from sora_eval.runs.baseline import read_scored

    options = _parser(with_plan="-h" in args or "--help" in args).parse_args(args)
    plan = _plan(options)
    baseline = read_scored(options.baseline, options.baseline_generator)
    compare = _with_a_generator if options.overrides else _with_a_run
    baseline, candidate, outcome, notes = compare(options, plan, baseline)
    information = _pixels(baseline, candidate, options.pixels) if options.noninferior is not None else []
    folder: Path | None = options.out or options.candidate
    assert folder is not None, "one of the two is set"
    command = shlex.join(["sora-eval", "gate", *args])
    name = f"{baseline.name} ({options.baseline.name})"
    report = GateReport(outcome, name, candidate.name, command, tuple(notes), tuple(information))
    print(table(outcome))
    print()
    print(method(outcome))
    for note in notes:
        print(f"note: {note}")
    for line in information:
        print(f"{INFORMATION}: {line}")
    print(sentence(outcome))
    for path in write_gate(report, folder):
        print(f"wrote {path}")
    return outcome.code


def _plan(options: argparse.Namespace) -> GatePlan | NoninferiorityPlan:
    from sora_eval.gating.plans import read_noninferiority, read_plan

    if options.noninferior is None:
        return read_plan(options.config, options.set)
    return read_noninferiority(options.noninferior, options.config, options.set)


def _with_a_run(
    options: argparse.Namespace, plan: GatePlan | NoninferiorityPlan, baseline: Scored
) -> tuple[Scored, Scored, Outcome | Noninferiority, list[str]]:
    """Return the two sides as compared, the verdict and notes. baseline: as read."""
    from sora_eval.gating.sides import both, matched, usable
    from sora_eval.runs.baseline import read_scored
    from sora_eval.stats import gate

    if options.candidate is None:
        raise ConfigError(
            "set --candidate RUN, or --sequential or --noninferior MARGIN, --out RUN and a generator: generator=NAME ..."
        )
    candidate = read_scored(options.candidate, options.generator)
    baseline, candidate, notes = matched(baseline, candidate, options.common)
    baseline, first = usable(baseline, "baseline", plan)
    candidate, second = usable(candidate, "candidate", plan)
    baseline, candidate = both(baseline, candidate)
    notes += first + second
    _check_probes(plan, baseline.rows)
    outcome: Outcome | Noninferiority
    if isinstance(plan, gate.GatePlan) and not options.sequential:
        outcome = gate.fixed_test(baseline.rows, candidate.rows, plan)
    else:
        test = _sequential_test(plan, baseline.rows)
        # Nothing is saved by leaving out clips that are there, and every further one may show a probe that broke.
        _walk(test, candidate.rows, to_the_end=options.noninferior is not None)
        outcome = test.outcome()
    return baseline, candidate, outcome, [*notes, *_remarks(options, outcome, baseline)]


def _with_a_generator(
    options: argparse.Namespace, plan: GatePlan | NoninferiorityPlan, baseline: Scored
) -> tuple[Scored, Scored, Outcome | Noninferiority, list[str]]:
    """Return the two sides as far as they were compared, the verdict and notes. baseline: as read."""
    from sora_eval.gating.generated import generated
    from sora_eval.gating.sides import usable

    by_scene = options.sequential or options.noninferior is not None
    if not by_scene or options.candidate is not None or options.out is None:
        raise ConfigError(
            "a generator in place of a run needs --sequential and --out RUN, or --noninferior MARGIN and --out RUN, and no --candidate"
        )
    if given := [f"--{name}" for name in ("common", "generator") if getattr(options, name)]:
        raise ConfigError(
            f"{' and '.join(given)} can't be used with a generator in place of a run, which answers the baseline's cases: leave it out"
        )
    baseline, notes = usable(baseline, "baseline", plan)
    _check_probes(plan, baseline.rows)
    test = _sequential_test(plan, baseline.rows)
    candidate = generated(baseline, test, plan.technical, options.overrides, options.out, options.workers)
    outcome = test.outcome()
    return baseline, candidate, outcome, [*notes, *_remarks(options, outcome, baseline)]


def _sequential_test(
    plan: GatePlan | NoninferiorityPlan, rows: Sequence[ScoreRow]
) -> SequentialTest | NoninferiorityTest:
    from sora_eval.stats.eprocess import SequentialTest
    from sora_eval.stats.gate import GatePlan
    from sora_eval.stats.noninferiority import NoninferiorityTest

    return SequentialTest(rows, plan) if isinstance(plan, GatePlan) else NoninferiorityTest(rows, plan)


def _walk(test: SequentialTest | NoninferiorityTest, candidate: Iterable[ScoreRow], to_the_end: bool) -> None:
    from sora_eval.stats.samples import case_means

    rows = {row.case: row for row in case_means(candidate)}
    for step in test.steps:
        if test.add(step, [rows[case] for case in step.cases]) and not to_the_end:
            return


def _remarks(options: argparse.Namespace, outcome: Outcome | Noninferiority, baseline: Scored) -> list[str]:
    from sora_eval.stats.samples import per_prompt, prompts

    notes = []
    if options.sequential and options.noninferior is None and outcome.cases < (of := prompts(baseline.rows)):
        notes.append(f"the verdict was certain after {outcome.cases} of {of} cases")
    if (k := per_prompt(baseline.rows)) > 1:
        notes.append(f"{k} samples per prompt: the score of a case is the mean over them")
    return notes


def _check_probes(plan: GatePlan | NoninferiorityPlan, rows: Sequence[ScoreRow]) -> None:
    from sora_eval import registry

    plan.check({row.probe for row in rows}, registry.probe_names(optional=True))


def _pixels(baseline: Scored, candidate: Scored, most: int) -> list[str]:
    from sora_eval.gating.pixels import clips_of, pixel_differences

    if most < 1:
        return []
    first, second = (clips_of(side.run.folder, side.rows) for side in (baseline, candidate))
    found = pixel_differences(first, second, most)
    if found is None:
        lacking = [what for what, clips in (("baseline", first), ("candidate", second)) if not clips]
        where = f"none in the {' and the '.join(lacking)}" if lacking else "the two share none"
        return [f"no clips to compare as pictures: {where}"]
    return [str(found)]


def _parser(with_plan: bool = False) -> argparse.ArgumentParser:
    """Return the parser of the command's arguments. with_plan: whether its help lists the options of the plans."""
    parser = argparse.ArgumentParser(
        prog="sora-eval gate",
        description="Stop a candidate that is worse than a baseline.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join([_EPILOG, *(_plan_options() if with_plan else ())]),
    )
    add = parser.add_argument
    add("--baseline", type=Path, required=True, help="a folder of `sora-eval baseline save`, or a run's")
    add("--candidate", type=Path, help="a run's folder")
    add("--sequential", action="store_true", help="scene by scene, until the verdict is certain")
    add("--noninferior", metavar="MARGIN", help="show that the overall score fell by less than this, such as 0.05")
    add("--out", type=Path, help="folder for gate.html, gate.md and gate.xml (the candidate's)")
    add("--config", default="default", help="the plan: an entry of conf/gate, or the path of a YAML file (default)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the plan, such as drop=0.05")
    add("--generator", help="the candidate, where its run holds several models")
    add("--baseline-generator", help="the baseline, where its run holds several models")
    add("--common", action="store_true", help="compare on what the two share, if they don't share all")
    add("--workers", type=int, default=1, help="processes that generate, with a generator in place of a run (1)")
    add("--pixels", type=int, default=64, help="clips whose PSNR, SSIM and LPIPS stand beside --noninferior (64)")
    add("overrides", nargs="*", metavar="generator...", help="generator=NAME and its options, in place of a run")
    return parser


def _plan_options() -> list[str]:
    from sora_eval.commands.hydra_app import documented
    from sora_eval.stats.gate import GatePlan
    from sora_eval.stats.noninferiority import NoninferiorityPlan

    lines = ["", "Options of the plan and their defaults (--set KEY=VALUE):", "", *documented(GatePlan)]
    return [*lines, "", "Those with --noninferior, whose MARGIN is `margin`:", "", *documented(NoninferiorityPlan)]
