"""A generator in place of a candidate's run: its clips are made and scored scene by scene, until the verdict is certain."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Protocol as Structural

from tqdm import tqdm

from sora_eval import registry
from sora_eval.alignment.align import VERSION as ALIGNMENT
from sora_eval.config import parse
from sora_eval.errors import ConfigError
from sora_eval.evaluation import Evaluated, evaluate
from sora_eval.generator.base import Generator, bind
from sora_eval.probes.base import Probe
from sora_eval.processes import pool
from sora_eval.prompting.rewriting import prepare, prompted
from sora_eval.runs.baseline import Scored
from sora_eval.runs.lock import held
from sora_eval.runs.protocol import Protocol, protocol_of
from sora_eval.runs.reader import Run
from sora_eval.stats.eprocess import Step
from sora_eval.stats.failures import first_reason
from sora_eval.tracking.base import Tracker, described
from sora_eval.types import Case, ScoreRow
from sora_eval.video import VideoOptions
from sora_eval.video.options import LOSSLESS
from sora_eval.world import VERSION as WORLD

_GROUPS = ("generator", "tracker", "prompts")
_CASES = ("prompts", "prompts.file", "prompts.twins", "prompts.swapped")
"""Options of these groups that choose cases."""


class SceneTest(Structural):
    """A sequential test."""

    steps: list[Step]
    """The order in which it looks at scenes."""

    def add(self, step: Step, candidate: Sequence[ScoreRow]) -> bool:
        """Take the candidate's rows of the next step; return whether the verdict is certain."""


def generated(
    baseline: Scored, test: SceneTest, technical: float, overrides: Sequence[str], folder: Path, workers: int
) -> Scored:
    """Generate and score the baseline's cases scene by scene until a test is certain; return the candidate as far as it came.

    technical: the share of clips that may fail technically. overrides: generator=..., tracker=..., prompts.expander=... and
    their options. folder: a run's.

    Raises:
        ConfigError: an option can't be used, this version judges otherwise or can't store clips as those of the baseline,
            or too many clips failed technically.
    """
    keys = {o: o.lstrip("+").partition("=")[0] for o in overrides}
    if wrong := [o for o, key in keys.items() if key.partition(".")[0] not in _GROUPS or key in _CASES]:
        raise ConfigError(
            f"{wrong[0]}: only generator=..., tracker=..., their options and prompts.expander=... here, the baseline decides all else"
        )
    if workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {workers}")
    cases = list(baseline.run.cases)
    config, _ = parse("run", overrides)
    tracker = registry.tracker(config.tracker)
    protocol = protocol_of(baseline.run)
    probes, video = _same_probes(protocol, described(tracker)), _encoding(protocol.facts["video"])
    model = prompted(bind(registry.generator(config.generator), cases), config.prompts)
    by_id: dict[str, list[Case]] = {}
    for case in cases:
        by_id.setdefault(case.prompt_id, []).append(case)
    made: list[ScoreRow] = []
    broken: list[ScoreRow] = []
    with held(folder / ".lock"), tqdm(total=len(cases), unit="clip", desc=model.name) as bar:
        prepare(model, folder, cases, print)
        for step, rows in _answers(test.steps, by_id, probes, model, tracker, video, folder, workers):
            bar.update(len(rows))
            made += rows
            broken += [row for row in rows if row.failure]
            if len(broken) > technical * len(baseline.rows):
                # At once: what is down answers no other case either.
                raise ConfigError(
                    f"cannot be compared: {len(broken)} of {len(baseline.rows)} clips of the candidate {model.name} failed technically "
                    f"so far, at most a share of {technical:g} may ({first_reason(broken)}); the same command tries them again"
                )
            if test.add(step, rows):
                break
    return Scored(str(model.name), Run(folder, {}, tuple(cases), tuple(made), ()))


def _same_probes(protocol: Protocol, tracker: str) -> dict[str, Probe]:
    """Return the probes of a baseline, which must be here in the same version, as tracker (its identity), world and alignment.

    Raises:
        ConfigError: something differs.
    """
    probes = {name: registry.probe(name) for name in protocol.probes}
    here = {
        **{f"probe {n}": p.version for n, p in probes.items()},
        "tracker": tracker,
        "world": WORLD,
        "alignment": ALIGNMENT,
    }
    there = {
        **{f"probe {n}": v for n, v in protocol.probes.items()},
        **{k: protocol.facts[k] for k in ("tracker", "world", "alignment")},
    }
    wrong = [f"{k}: {there[k]} in the baseline, {here[k]} here" for k in here if str(here[k]) != str(there[k])]
    if wrong:
        raise ConfigError(f"cannot be compared: {'; '.join(wrong)}; save the baseline again")
    return probes


def _encoding(text: str) -> VideoOptions:
    """Return the options with which clips are stored as those of a baseline: "lossless", "h264-crfN", or both where sizes differ.

    Raises:
        ConfigError: it is none of these.
    """
    parts = set(text.split(", "))
    rates = [match[1] for part in parts if (match := re.fullmatch(r"h264-crf(\d{1,2})", part))]
    try:
        if parts == {LOSSLESS}:
            return VideoOptions()
        if len(rates) == 1 and parts <= {LOSSLESS, f"h264-crf{rates[0]}"}:
            return VideoOptions(codec="auto" if LOSSLESS in parts else "h264", crf=int(rates[0]))
        why = f"it knows {LOSSLESS} and h264-crfN"
    except ConfigError as error:
        why = str(error)
    raise ConfigError(
        f"cannot be compared: clips of the baseline are stored as '{text}', and this version can't store them so ({why}); run it again"
    )


def _answers(
    steps: Sequence[Step],
    cases: Mapping[str, Sequence[Case]],
    probes: Mapping[str, Probe],
    model: Generator,
    tracker: Tracker,
    video: VideoOptions,
    folder: Path,
    workers: int,
) -> Iterator[tuple[Step, Sequence[ScoreRow]]]:
    """Yield the steps with their rows, in order; with several processes, as many scenes are in work at once.

    cases: the samples of each prompt, by its id. video: how clips are stored before they are judged.
    """
    score = partial(evaluate, progress=False, tracker=tracker, video=video)
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
