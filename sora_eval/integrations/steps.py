"""Evaluation within a training loop of one's own, as those of accelerate and diffusers are: `evaluator.on_step(step, pipeline)`.

accelerate calls nobody back: its loops are the user's, and its trackers (`GeneralTracker`) take what `accelerator.log` hands them. So the
loop calls this object, and the scores go to whatever `log` is:

    evaluator = StepEvaluator(every_n_steps=500, suite="smoke", log=accelerator.log, is_main=accelerator.is_main_process)
    for step, batch in enumerate(loader, start=1):
        ...
        evaluator.on_step(step, pipeline)
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from sora_eval.errors import ConfigError, SoraEvalError, line_of
from sora_eval.integrations.live import is_pipeline, live_generator
from sora_eval.integrations.undisturbed import lent, networks_of, undisturbed
from sora_eval.types import Mode

if TYPE_CHECKING:
    from sora_eval.api import Result

PREFIX = "sora_eval"
"""What the names of logged scores begin with: sora_eval/score/all, sora_eval/score/SUITE/PROBE, ..."""


@dataclass
class StepEvaluator:
    """Evaluates a suite every so many steps of a training, without changing it in one bit; a failure costs the scores alone.

    With several processes one of them evaluates, `is_main`; the others wait at their next collective operation, whose timeout must be
    longer than an evaluation. Networks whose weights are spread over processes (FSDP, ZeRO 3) can't be sampled by one of them.

    Raises:
        ConfigError: every_n_steps is below 1.
    """

    model: Any = None
    """A pipeline of diffusers, a function `f(prompt, *, height, width, frames, fps, seed, conditioning)` that returns uint8
    [T, H, W, 3], or a `Generator`; None where `on_step` gets it."""
    every_n_steps: int = 1000
    """Steps from one evaluation to the next."""
    suite: str = "smoke"
    """An entry of conf/suite."""
    profile: str = "small"
    """An entry of conf/profile."""
    probes: Sequence[str] | None = None
    """Probes to select, None for all bundled ones."""
    modes: Sequence[Mode] | None = None
    """t2v, i2v or v2v, None for the suite's."""
    count: int | None = None
    """Cases per probe and mode, None for the suite's."""
    seed: int = 0
    """Seed of the scenes: the same cases at every step."""
    references: Sequence[str] = ()
    """Oracle and controls to compare with."""
    folder: str | Path | None = None
    """Where runs are kept, FOLDER/step-N, with curves over them; None to keep scores alone."""
    modules: Sequence[nn.Module] = ()
    """Networks that a function uses, for they are put in evaluation mode meanwhile; those of a pipeline are known."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of a pipeline, such as {"steps": 20, "guidance": 5.0}: those of generator=diffusers."""
    name: str | None = None
    """Name of the model in reports."""
    log: Callable[..., Any] | None = None
    """Called as log(scores, step=step): `accelerator.log`, `wandb.log` or a function of yours."""
    is_main: bool = True
    """Whether this process evaluates, of several that train: accelerator.is_main_process."""
    workers: int = 1
    """Processes that track and score; more than 1 needs a script whose main part is guarded by `if __name__ == "__main__":`."""
    _last: int | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the number of steps."""
        if self.every_n_steps < 1:
            raise ConfigError(f"every_n_steps must be at least 1, got {self.every_n_steps}")

    def start(self, step: int) -> None:
        """Begin to count at a step, at which nothing is evaluated: that of a training that resumes."""
        self._last = step

    def is_due(self, step: int) -> bool:
        """Return whether a multiple of `every_n_steps` was reached since the step before, and count on from here."""
        before = step - 1 if self._last is None else self._last
        self._last = step
        return step // self.every_n_steps > before // self.every_n_steps

    def on_step(self, step: int, model: Any = None, modules: Sequence[nn.Module] = ()) -> dict[str, float] | None:
        """Evaluate if it is time to, and log the scores; return them, {} where they failed, None where it wasn't time.

        step: optimizer steps so far. model, modules: as the fields, in place of, and in addition to, these.
        """
        if not self.is_due(step) or not self.is_main:
            return None
        return self.evaluate(step, model, modules)

    def evaluate(self, step: int, model: Any = None, modules: Sequence[nn.Module] = ()) -> dict[str, float]:
        """Evaluate now and log the scores; return them, {} with a warning where it failed."""
        model = self.model if model is None else model
        networks = [*self.modules, *modules, *(networks_of(model) if is_pipeline(model) else ())]
        start = time.perf_counter()
        try:
            with undisturbed(networks), lent(model) if is_pipeline(model) else nullcontext():
                result = self._result(step, model)
                scores = {**_scores(result), f"{PREFIX}/seconds": time.perf_counter() - start}
        except Exception as error:
            # A training of days must not end because of its evaluation.
            warnings.warn(f"sora-eval: step {step} has no scores: {line_of(error)}", RuntimeWarning, stacklevel=3)
            return {}
        if self.log is not None:
            self.log(scores, step=step)
        return scores

    def _result(self, step: int, model: Any) -> Result:
        from sora_eval.api import evaluate

        folder = None if self.folder is None else Path(self.folder) / f"step-{step}"
        result = evaluate(
            live_generator(model, step, self.name, self.options),
            self.suite,
            self.profile,
            count=self.count,
            probes=self.probes,
            modes=self.modes,
            seed=self.seed,
            references=self.references,
            folder=folder,
            # A training that went back to an earlier step comes here again with other weights.
            replace=folder is not None,
            workers=self.workers,
            progress=False,
        )
        if folder is not None:
            _write_curves(folder.parent)
        return result


def _scores(result: Result) -> dict[str, float]:
    """Return the scores of the model by name, as `sora-eval export` names them."""
    from sora_eval.commands.export import scalars
    from sora_eval.stats.summary import summarise

    summary = summarise(result.rows)
    return {f"{PREFIX}/{name}": value for name, value in scalars(summary, result.rows[0].generator, {})}


def _write_curves(folder: Path) -> None:
    from sora_eval.reporting.sweep.page import write_curves

    runs = [run for run in folder.glob("step-*") if (run / "report.html").is_file()]
    try:
        write_curves(runs, folder, "sora_eval.integrations", evidence=False)
    except SoraEvalError as error:
        warnings.warn(f"sora-eval: no curves in {folder}: {error}", RuntimeWarning, stacklevel=2)
