"""The cases of a command: those of its suite, or of a file of cases or of prompts that stands in place of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sora_eval.config.commands import CasesConfig, GenerateConfig, RunConfig
from sora_eval.config.suites import SuiteConfig
from sora_eval.errors import ConfigError
from sora_eval.prompting import case_sets
from sora_eval.prompting.case_sets import CaseSet

_FROM_FILE = {"cases": ("suite", "profile", "seed", "world", "prompts.file"), "prompts.file": ("suite", "world")}
"""Options that a file of cases stands in place of."""
_NO_TRUTH = "prompts without a scene have no true clip to compare with"
Q = TypeVar("Q", bound="CasesConfig | GenerateConfig | RunConfig")


def with_cases(config: Q, samples: int = 1) -> tuple[Q, CaseSet]:
    """Return a configuration with suite and profile of its cases, and the cases: of a file where it names one, else of its suite.
    Prompts without a scene have no true clip, which fidelity and tracking metrics compare with.

    samples: of each case where the configuration doesn't say.

    Raises:
        ConfigError: a name is unknown, nothing is left, or the file can't be used.
    """
    if config.cases is not None:
        case_set = case_sets.stored_set(config.cases, config.samples, samples)
    elif config.prompts.file is not None:
        case_set = case_sets.prompt_set(config.prompts, config.profile, config.seed, config.samples or samples)
    else:
        return config, CaseSet(
            *config.suite.select(config.profile, config.seed, config.samples or samples, config.world)
        )
    suite = SuiteConfig(case_set.name, case_set.count, case_set.modes, probes=tuple(case_set.probes))
    config = replace(config, suite=suite, profile=config.profile if config.cases is None else case_set.profile)
    if isinstance(config, RunConfig) and not any(case.scene for case in case_set.cases):
        # Both compare with true clips, and there are none.
        return replace(config, fidelity=None, tracking=False), case_set
    return config, case_set


def without_truth(asked: RunConfig, used: RunConfig) -> tuple[str, ...]:
    """Return a line for metrics that a configuration asks for and its cases can't have. used: what `with_cases` made of it."""
    left_out = [
        *["fidelity"] * (bool(asked.fidelity and asked.fidelity.metrics) and used.fidelity is None),
        *["tracking"] * (asked.tracking and not used.tracking),
    ]
    return (f"no {' and no '.join(left_out)} metrics: {_NO_TRUTH}",) if left_out else ()


def check_file(words: Sequence[str], settings: Any) -> None:
    """Refuse options beside a file of cases that it stands in place of, and metrics that were typed beside a file of prompts.

    Raises:
        ConfigError: there is one.
    """
    keys = [word.lstrip("+~").partition("=")[0] for word in words]
    if isinstance(settings, RunConfig) and settings.prompts.file is not None:
        asked = {"fidelity": bool(settings.fidelity and settings.fidelity.metrics), "tracking": settings.tracking}
        for key in keys:
            if asked.get(key.partition(".")[0]):
                raise ConfigError(f"{key}= can't be used with prompts.file=: {_NO_TRUTH}; leave it out")
    for name, others in _FROM_FILE.items():
        if name == "cases" and getattr(settings, "cases", None) is None:
            continue
        if name == "prompts.file" and getattr(getattr(settings, "prompts", None), "file", None) is None:
            continue
        for key in keys:
            if key in others or key.partition(".")[0] in others:
                raise ConfigError(f"{key}= and {name}= both name the cases: leave one of them out")
