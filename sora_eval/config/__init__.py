"""Configurations of the commands: every option with type, default and range, in Hydra's ConfigStore; composed and parsed here alone.

`parse(name, overrides)` gives the settings of a command and how it was called; nothing below sees a DictConfig. From a notebook:

    with hydra.initialize_config_module("sora_eval.conf", version_base="1.3"):
        config = RunConfig.of(values_of(hydra.compose("run", ["suite.count=1"])))
"""

from __future__ import annotations

from sora_eval.config.cases import with_cases, without_truth
from sora_eval.config.commands import (
    COMMANDS,
    AuditConfig,
    CasesConfig,
    EncodersConfig,
    EvalTasksConfig,
    GenerateConfig,
    PlanConfig,
    RenderConfig,
    RunConfig,
    SampleConfig,
    TrainConfig,
    ValidateConfig,
    WatchConfig,
)
from sora_eval.config.parsing import (
    Call,
    check_words,
    first_line,
    offer_plugins,
    out_folder,
    parse,
    read,
    register,
    search_path,
    values_of,
)
from sora_eval.config.suites import SuiteConfig

__all__ = [
    "COMMANDS",
    "AuditConfig",
    "Call",
    "CasesConfig",
    "EncodersConfig",
    "EvalTasksConfig",
    "GenerateConfig",
    "PlanConfig",
    "RenderConfig",
    "RunConfig",
    "SampleConfig",
    "SuiteConfig",
    "TrainConfig",
    "ValidateConfig",
    "WatchConfig",
    "check_words",
    "first_line",
    "offer_plugins",
    "out_folder",
    "parse",
    "read",
    "register",
    "search_path",
    "values_of",
    "with_cases",
    "without_truth",
]
