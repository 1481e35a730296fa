"""Generators whose weights are those of a training at this moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sora_eval.errors import ConfigError
from sora_eval.generator.base import Generator
from sora_eval.generator.callable import PythonCallable
from sora_eval.generator.pipelines.adapter import Pipeline
from sora_eval.generator.pipelines.loading import Loaded
from sora_eval.generator.pipelines.options import PipelineOptions
from sora_eval.generator.pipelines.rules import rules_of
from sora_eval.types import Case


@dataclass(frozen=True)
class LivePipeline(Pipeline):
    """A pipeline of diffusers that is in memory."""

    live: Any = None
    """The pipeline."""
    key: str = ""
    """Stands for the weights as they are now: no clip of other ones has it."""
    step: int | None = None
    """Training step."""

    def __post_init__(self) -> None:
        """Check the options; there are no files."""
        PipelineOptions.__post_init__(self)
        self.__dict__["problems"] = []

    def fingerprint(self, case: Case) -> str:
        """Return the key."""
        return self.key

    def _loaded(self) -> Loaded:
        return Loaded(self.live, rules_of(self.live))


class LiveFunction(PythonCallable):
    """A function that samples from a network in training."""

    def __init__(self, function: Callable[..., Any], name: str | None, step: int) -> None:
        """Take the function as it is now. step: of the training."""
        super().__init__(function, name, version=uuid4().hex)
        self.step = step


def is_pipeline(model: Any) -> bool:
    """Return whether a model is a pipeline of diffusers."""
    return hasattr(model, "components") and hasattr(model, "set_progress_bar_config")


def live_generator(model: Any, step: int, name: str | None, options: Mapping[str, Any]) -> Generator:
    """Return a generator of a pipeline, a function or a generator. options: of a pipeline, as generator.KEY.

    Raises:
        ConfigError: it is none of these, or an option can't be used.
    """
    if is_pipeline(model):
        title = name or type(model).__name__
        settings = {**PipelineOptions.defaults(), **options, "model": type(model).__name__, "title": title}
        return LivePipeline.of({**settings, "live": model, "key": uuid4().hex, "step": step})
    if isinstance(model, Generator):
        return model
    if callable(model):
        return LiveFunction(model, name, step)
    raise ConfigError(f"a {type(model).__name__} can't be evaluated: a pipeline, a function or a generator is needed")
