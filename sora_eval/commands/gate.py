"""`sora-eval gate`: stop a candidate that is worse than a baseline, in CI."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sora_eval.errors import ConfigError, SoraEvalError, print_error, unknown

if TYPE_CHECKING:
    from sora_eval.generator.base import Generator
    from sora_eval.probes.base import Probe
    from sora_eval.runs.baseline import Scored
    from sora_eval.runs.protocol import Protocol
    from sora_eval.stats.eprocess import Step
    from sora_eval.stats.gate import GatePlan, Outcome
    from sora_eval.tracking.base import Tracker
    from sora_eval.types import Case, ScoreRow

_EPILOG = """With --sequential the candidate may be a generator in place of a run:
`sora-eval gate --baseline BASELINE --sequential --out RUN generator=reference generator.checkpoint=FILE` generates, tracks and scores
scene by scene and stops as soon as the verdict is certain; a later `sora-eval run out=RUN ...` resumes there.
Exit codes: 0 passed, 1 regression, 2 cannot be compared, 3 too little evidence for the drop that was to be detected."""


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
    from sora_eval.reporting.gate import GateReport, method, sentence, table, write_gate
    from sora_eval.runs.baseline import read_scored
    from sora_eval.stats import gate
    from sora_eval.stats.samples import case_means, per_prompt, prompts

    options = _parser(with_plan="-h" in args or "--help" in args).parse_args(args)
    plan = read_plan(options.config, options.set)
    baseline = read_scored(options.baseline, options.baseline_generator)
    notes: list[str] = []
    if options.overrides:
        if not options.sequential or options.candidate is not None or options.out is None:
            raise ConfigError("a generator in place of a run needs --sequential and --out RUN, and no --candidate")
        baseline, notes = _usable(baseline, "baseline", plan)
        _check_probes(plan, baseline.rows)
        name, outcome = _generated(baseline, plan, options.overrides, options.out, options.workers)
    else:
        if options.candidate is None:
            raise ConfigError("set --candidate RUN, or --sequential --out RUN and a generator: generator=NAME ...")
        candidate = read_scored(options.candidate, options.generator)
        baseline, candidate, notes = _matched(baseline, candidate, options.common)
        baseline, first = _usable(baseline, "baseline", plan)
        candidate, second = _usable(candidate, "candidate", plan)
        baseline, candidate = _both(baseline, candidate)
        notes += first + second
        _check_probes(plan, baseline.rows)
        name = candidate.name
        if options.sequential:
            outcome = _walked(baseline.rows, {r.case: r for r in case_means(candidate.rows)}, plan)
        else:
            outcome = gate.fixed_test(baseline.rows, candidate.rows, plan)
    if options.sequential and outcome.cases < (of := prompts(baseline.rows)):
        notes.append(f"the verdict was certain after {outcome.cases} of {of} cases")
    if (k := per_prompt(baseline.rows)) > 1:
        notes.append(f"{k} samples per prompt: the score of a case is the mean over them")
    folder: Path | None = options.out or options.candidate
    assert folder is not None, "one of the two is set"
    command = shlex.join(["sora-eval", "gate", *args])
    report = GateReport(outcome, f"{baseline.name} ({options.baseline.name})", name, command, tuple(notes))
    print(table(outcome))
    print()
    print(method(outcome))
    for note in notes:
        print(f"note: {note}")
    print(sentence(outcome))
    for path in write_gate(report, folder):
        print(f"wrote {path}")
    return outcome.code


def _parser(with_plan: bool = False) -> argparse.ArgumentParser:
    """Return the parser of the command's arguments. with_plan: whether its help lists the options of the plan."""
    parser = argparse.ArgumentParser(
        prog="sora-eval gate",
        description="Stop a candidate that is worse than a baseline.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join([_EPILOG, *(_plan_options() if with_plan else ())]),
    )
    parser.add_argument(
        "--baseline", type=Path, required=True, help="a folder of `sora-eval baseline save`, or a run's"
    )
    parser.add_argument("--candidate", type=Path, help="a run's folder")
    parser.add_argument("--sequential", action="store_true", help="scene by scene, until the verdict is certain")
    parser.add_argument("--out", type=Path, help="folder for gate.xml and gate.md (the candidate's)")
    parser.add_argument(
        "--config", default="default", help="the plan: an entry of conf/gate, or the path of a YAML file (default)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the plan, such as drop=0.05"
    )
    parser.add_argument("--generator", help="the candidate, where its run holds several models")
    parser.add_argument("--baseline-generator", help="the baseline, where its run holds several models")
    parser.add_argument("--common", action="store_true", help="compare on what the two share, if they don't share all")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that generate, with a generator in place of a run (1)"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="generator...", help="generator=NAME and its options, in place of a run"
    )
    return parser


def _plan_options() -> list[str]:
    from sora_eval.commands.hydra_app import documented
    from sora_eval.stats.gate import GatePlan

    return ["", "Options of the plan and their defaults (--set KEY=VALUE):", "", *documented(GatePlan)]


def read_plan(config: str, changes: Sequence[str] = ()) -> GatePlan:
    """Return the plan of an entry of conf/gate or of a YAML file, with KEY=VALUE changes.

    Raises:
        ConfigError: there is no such entry, it is broken, an option is unknown, or a value can't be used.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from sora_eval import registry
    from sora_eval.stats.gate import GatePlan

    if config not in registry.names("gate") and not Path(config).is_file():
        raise unknown("gate", config, registry.names("gate"))
    if wrong := [change for change in changes if "=" not in change]:
        raise ConfigError(f"--set {wrong[0]}: write KEY=VALUE")
    try:
        if config in registry.names("gate"):
            read: Any = OmegaConf.create(registry.defaults("gate", config))
        else:
            read = OmegaConf.create(Path(config).read_text(encoding="utf-8"))
        if not isinstance(read, DictConfig):
            raise ConfigError(f"gate: {config} must map names to values")
        merged = OmegaConf.to_container(OmegaConf.merge(read, OmegaConf.from_dotlist(list(changes))), resolve=True)
    except (OmegaConfBaseException, UnicodeDecodeError, YAMLError, RecursionError) as error:
        raise ConfigError(f"gate: {config} can't be read: {str(error).splitlines()[0]}") from error
    assert isinstance(merged, dict)
    return GatePlan.of({str(key): value for key, value in merged.items()})


def _check_probes(plan: GatePlan, rows: Sequence[ScoreRow]) -> None:
    from sora_eval import registry

    plan.check({row.probe for row in rows}, registry.probe_names())


def _matched(baseline: Scored, candidate: Scored, shared: bool) -> tuple[Scored, Scored, list[str]]:
    """Return the two on the same cases, and notes of what was left out.

    A candidate with more cases is compared on those of the baseline; one with fewer only with --common.

    Raises:
        ConfigError: they can't be compared, with what differs.
    """
    from sora_eval.runs.baseline import Scored
    from sora_eval.runs.protocol import ENCODER, SAMPLES, common, differing, protocol_of
    from sora_eval.stats.samples import per_prompt, prompts

    a, b = protocol_of(baseline.run), protocol_of(candidate.run)
    here = [case for case in candidate.run.cases if case.id in a.cases]
    if here and not shared:
        used = {case.probe for case in here}
        probes = {name: version for name, version in b.probes.items() if name in used}
        facts = {**b.facts, **({SAMPLES: str(per_prompt(here))} if SAMPLES in b.facts else {})}
        b = replace(b, cases={case.id: case.hash_without_twin for case in here}, probes=probes, facts=facts)
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


def _usable(side: Scored, what: str, plan: GatePlan) -> tuple[Scored, list[str]]:
    """Return a side without the clips that failed technically, and a note of them.

    Raises:
        ConfigError: they are too many to compare anything.
    """
    from sora_eval.runs.baseline import Scored
    from sora_eval.stats.failures import technical, too_many

    if why := too_many(side.rows, plan.technical):
        raise ConfigError(f"cannot be compared: of the {what} {side.name}, {why}")
    if not technical(side.rows):
        return side, []
    gone = [row.case for row in side.rows if row.failure]
    rows = tuple(row for row in side.rows if not row.failure)
    note = f"left out: {len(gone)} of {len(side.rows)} clips of the {what} failed technically ({gone[0]})"
    return Scored(side.name, replace(side.run, rows=rows)), [note]


def _both(baseline: Scored, candidate: Scored) -> tuple[Scored, Scored]:
    """Return two sides with the rows of the cases that both have.

    Raises:
        ConfigError: there is none.
    """
    from sora_eval.runs.baseline import Scored

    shared = {row.case for row in baseline.rows} & {row.case for row in candidate.rows}
    if not shared:
        raise ConfigError("cannot be compared: no case has an answer on both sides")
    first, second = (
        Scored(side.name, replace(side.run, rows=tuple(r for r in side.rows if r.case in shared)))
        for side in (baseline, candidate)
    )
    return first, second


def _walked(baseline: Sequence[ScoreRow], candidate: Mapping[str, ScoreRow], plan: GatePlan) -> Outcome:
    from sora_eval.stats.eprocess import SequentialTest

    test = SequentialTest(baseline, plan)
    for step in test.steps:
        if test.add(step, [candidate[case] for case in step.cases]):
            break
    return test.outcome()


def _generated(
    baseline: Scored, plan: GatePlan, overrides: Sequence[str], folder: Path, workers: int
) -> tuple[str, Outcome]:
    """Generate and score the baseline's cases scene by scene until the verdict is certain; return the name and the outcome."""
    from tqdm import tqdm

    from sora_eval.config import generator_of, parse, tracker_of
    from sora_eval.generator.base import bind
    from sora_eval.runs.lock import held
    from sora_eval.runs.protocol import protocol_of
    from sora_eval.stats.eprocess import SequentialTest
    from sora_eval.stats.failures import first_reason
    from sora_eval.tracking.base import described

    if wrong := [
        o for o in overrides if o.lstrip("+").partition("=")[0].partition(".")[0] not in ("generator", "tracker")
    ]:
        raise ConfigError(
            f"{wrong[0]}: only generator=..., tracker=... and their options here, the baseline decides all else"
        )
    if workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {workers}")
    cases = list(baseline.run.cases)
    config, _ = parse("run", overrides)
    tracker = tracker_of(config.tracker)
    probes = _same_probes(protocol_of(baseline.run), described(tracker))
    model = bind(generator_of(config.generator), cases)
    test = SequentialTest(baseline.rows, plan)
    by_id: dict[str, list[Case]] = {}
    for case in cases:
        by_id.setdefault(case.prompt_id, []).append(case)
    broken: list[ScoreRow] = []
    with held(folder / ".lock"), tqdm(total=len(cases), unit="clip", desc=model.name) as bar:
        for step, rows in _answers(test.steps, by_id, probes, model, tracker, folder, workers):
            bar.update(len(rows))
            broken += [row for row in rows if row.failure]
            if len(broken) > plan.technical * len(baseline.rows):
                # At once: what is down answers no other case either.
                raise ConfigError(
                    f"cannot be compared: {len(broken)} of {len(baseline.rows)} clips of the candidate {model.name} failed technically "
                    f"so far, at most a share of {plan.technical:g} may ({first_reason(broken)}); the same command tries them again"
                )
            if test.add(step, rows):
                break
    return str(model.name), test.outcome()


def _same_probes(protocol: Protocol, tracker: str) -> dict[str, Probe]:
    """Return the probes of a baseline, which must be here in the same version, as tracker (its identity) and world.

    Raises:
        ConfigError: something differs.
    """
    from sora_eval import registry
    from sora_eval.world import VERSION as WORLD

    probes = {name: registry.probe(name) for name in protocol.probes}
    here = {**{f"probe {n}": p.version for n, p in probes.items()}, "tracker": tracker, "world": WORLD}
    there = {
        **{f"probe {n}": v for n, v in protocol.probes.items()},
        **{k: protocol.facts[k] for k in ("tracker", "world")},
    }
    wrong = [f"{k}: {there[k]} in the baseline, {here[k]} here" for k in here if str(here[k]) != str(there[k])]
    if wrong:
        raise ConfigError(f"cannot be compared: {'; '.join(wrong)}; save the baseline again")
    return probes


def _answers(
    steps: Sequence[Step],
    cases: Mapping[str, Sequence[Case]],
    probes: Mapping[str, Probe],
    model: Generator,
    tracker: Tracker,
    folder: Path,
    workers: int,
) -> Iterator[tuple[Step, Sequence[ScoreRow]]]:
    """Yield the steps with their rows, in order; with several processes, as many scenes are in work at once.

    cases: the samples of each prompt, by its id.
    """
    from collections import deque
    from concurrent.futures import Future
    from functools import partial

    from sora_eval.evaluation import Evaluated, evaluate
    from sora_eval.processes import pool

    score = partial(evaluate, progress=False, tracker=tracker)
    several = workers > 1 and model.capabilities.processes
    with pool(workers) if several else nullcontext() as executor:
        waiting: deque[tuple[Step, Future[Evaluated]]] = deque()
        rest = iter(steps)
        while True:
            while executor is not None and len(waiting) < 2 * workers and (step := next(rest, None)) is not None:
                samples = [case for prompt in step.cases for case in cases[prompt]]
                needed = {step.probe: probes[step.probe]}
                waiting.append((step, executor.submit(score, samples, needed, [model], folder)))
            if executor is None:
                if (step := next(rest, None)) is None:
                    return
                samples = [case for prompt in step.cases for case in cases[prompt]]
                yield step, score(samples, probes, [model], folder).rows
            elif waiting:
                step, job = waiting.popleft()
                try:
                    yield step, job.result().rows
                except GeneratorExit:
                    for _, other in waiting:
                        other.cancel()
                    raise
            else:
                return
