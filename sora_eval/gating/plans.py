"""The options of a gate: an entry of conf/gate or a YAML file, with KEY=VALUE changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sora_eval import registry
from sora_eval.errors import ConfigError, unknown
from sora_eval.settings import Settings
from sora_eval.stats.gate import GatePlan
from sora_eval.stats.noninferiority import NoninferiorityPlan

P = TypeVar("P", bound=Settings)


def read_plan(config: str, changes: Sequence[str] = ()) -> GatePlan:
    """Return the plan of an entry of conf/gate or of a YAML file, with KEY=VALUE changes.

    Raises:
        ConfigError: there is no such entry, it is broken, an option is unknown, or a value can't be used.
    """
    return _read(GatePlan, config, changes)


def read_noninferiority(margin: str, config: str, changes: Sequence[str] = ()) -> NoninferiorityPlan:
    """Return the plan of a non-inferiority test. margin: as it was typed; it comes before that of the file.

    Raises:
        ConfigError: as `read_plan`, or the margin is none.
    """
    return _read(NoninferiorityPlan, config, [f"margin={margin}", *changes])


def _read(kind: type[P], config: str, changes: Sequence[str]) -> P:
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
    return kind.of({str(key): value for key, value in merged.items()})
