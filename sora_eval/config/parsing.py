"""From the words of a command line to the settings of its command: Hydra composes, and is seen here alone."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from sora_eval import registry
from sora_eval.config.cases import check_file
from sora_eval.config.commands import COMMANDS
from sora_eval.errors import ConfigError, unknown
from sora_eval.files import without_secrets
from sora_eval.generator.pipelines.options import PipelineOptions
from sora_eval.generator.reference.options import ReferenceOptions
from sora_eval.generator.service.api import Api
from sora_eval.generator.service.options import ServiceOptions
from sora_eval.plugins import include
from sora_eval.processes import cores
from sora_eval.runs import naming

GROUPS = ("generator", "tracker", "suite", "profile", "sweep")


@dataclass(frozen=True)
class Call:
    """How a command was called."""

    command: str
    """The command line, quoted for a shell; of a job of a sweep, that of the job alone."""
    generator: str = ""
    """The chosen entry of the group generator, "" where a command has none."""
    cores: int = 1
    """Processes that the command may use by default."""


def register() -> None:
    """Put the settings of every command into Hydra's ConfigStore, and the resolvers that sweeps use into OmegaConf."""
    store = ConfigStore.instance()
    for name, kind in COMMANDS.items():
        own = {key: value for key, value in kind.defaults().items() if key not in GROUPS}
        if count := getattr(kind, "SUITE_COUNT", 0):
            own["suite"] = {"count": count}
        groups = [dict([default.split(": ")]) for default in kind.DEFAULTS]
        store.store(name=name, node={"defaults": [*groups, "_self_", "quiet"], **own})
    store.store(group="generator", name="reference_options", node=ReferenceOptions.defaults())
    store.store(group="generator", name="pipeline_options", node=PipelineOptions.defaults())
    store.store(group="generator", name="service_options", node={**ServiceOptions.defaults(), "api": Api.defaults()})
    naming.register()


def offer_plugins(words: Sequence[str]) -> None:
    """Put plug-ins into the groups of Hydra's ConfigStore. Those that the words choose are imported, for their options.

    Raises:
        ConfigError: one of these can't be imported.
    """
    chosen = _chosen(words)
    for group in registry.PLUGINS:
        for name, entry in registry.plugins(group).items():
            node = registry.plugin_node(entry, name in chosen.get(group, ()))
            ConfigStore.instance().store(group=group, name=name, node=node)


def search_path(words: Sequence[str]) -> list[str]:
    """Return overrides with the conf/ folders of --include on Hydra's search path."""
    folders = naming.quoted([f"file://{folder}" for folder in include.configurations()])
    if not folders:
        return list(words)
    key = "hydra.searchpath="
    given = [w.removeprefix(key).strip("[]") for w in words if w.startswith(key)]
    others = [w for w in words if not w.startswith(key)]
    at = next((i for i, word in enumerate(others) if "=" in word and not word.startswith("-")), len(others))
    return [*others[:at], f"{key}[{','.join([folders, *given])}]", *others[at:]]


def parse(name: str, words: Sequence[str]) -> tuple[Any, Call]:
    """Return the settings of a command with overrides, and how it was called. Hydra's state in this process stays as it was.

    Raises:
        ConfigError: an override can't be understood, an option is unknown or missing, or a value can't be used.
    """
    before = GlobalHydra.instance().hydra
    try:
        return _parsed(name, words)
    finally:
        GlobalHydra.instance().hydra = before


def _parsed(name: str, words: Sequence[str]) -> tuple[Any, Call]:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("sora_eval.conf", version_base="1.3", job_name=name):
            _check_groups(words)
            offer_plugins(words)
            config = compose(name, search_path(words), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        check_words(name, words)
        raise ConfigError(first_line(error)) from error
    return read(name, OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"]), config.hydra)


def read(name: str, config: DictConfig, hydra: Any) -> tuple[Any, Call]:
    """Return the settings of a composed configuration, and how the command was called. hydra: Hydra's own configuration.

    Raises:
        ConfigError: an option is unknown or missing, or a value can't be used.
    """
    values = values_of(config)
    kind = COMMANDS[name]
    known = {option for option, _, _ in kind.options()}
    extra = {key for key in values if key not in known}
    # A named sweep may have options of its own, which its parameters use.
    swept = "sweep" in hydra.runtime.choices
    settings = kind.of({k: v for k, v in values.items() if not (swept and k in extra)})
    check_file(hydra.overrides.task, settings)
    words = [w for w in map(str, hydra.overrides.task) if not w.startswith("+launcher=")]
    choice = str(hydra.runtime.choices.get("generator", ""))
    if swept:
        # The command of the job alone: the values that it took, without the sweep.
        names = {w.partition("=")[0].lstrip("+") for w in words}
        words = [w for w in words if w.partition("=")[0].lstrip("+") not in {"sweep", *extra}]
        words = [*([f"generator={choice}"] if "generator" not in names else []), *words]
    command = shlex.join(["sora-eval", name, *words, *(w for f in include.folders() for w in ("--include", f))])
    # A plain run has no job number.
    in_sweep = OmegaConf.select(hydra, "job.num") is not None
    return settings, Call(without_secrets(command), choice, _share(hydra.launcher, cores()) if in_sweep else cores())


def _share(launcher: Any, cores: int) -> int:
    """Return the cores of one job, of a launcher that runs several on one machine."""
    if launcher.get("n_jobs") is not None:
        at_once = cores if launcher.n_jobs < 0 else launcher.n_jobs
    elif launcher.get("cpus_per_task"):
        return int(launcher.cpus_per_task)
    elif launcher.get("ray") is not None:
        return max(1, int(launcher.ray.remote.get("num_cpus") or 1))
    else:
        at_once = 1
    return max(1, cores // max(1, at_once))


def first_line(error: Exception) -> str:
    """Return the first line of an exception that isn't empty."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def values_of(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain values, with its interpolations resolved.

    Raises:
        ConfigError: a mandatory value is missing, or an interpolation leads nowhere.
    """
    try:
        values = OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError as error:
        text = str(error).splitlines()[0]
        raise ConfigError(rf"{text}; for a literal ${{ write \${{") from error
    assert isinstance(values, dict)
    if missing := sorted(OmegaConf.missing_keys(config)):
        raise ConfigError(f"{missing[0]} is missing: set {missing[0]}=...")
    return {str(key): value for key, value in values.items()}


def check_words(name: str, words: Sequence[str]) -> None:
    """Refuse an unknown group entry or option with the nearest names; values may be comma lists, as --multirun takes them.

    Raises:
        ConfigError: a word is unknown.
    """
    texts = [o.partition("=") for o in words]
    chosen = _check_groups(words)
    offer_plugins(words)
    known: set[str] = set()
    for picked in product(*chosen.values()):
        GlobalHydra.instance().clear()
        with initialize_config_module("sora_eval.conf", version_base="1.3"):
            try:
                picks = [f"{key}={value}" for key, value in zip(chosen, picked, strict=True)]
                base = compose(name, search_path(picks))
            except HydraException:  # the command has no such group
                base = compose(name)
        known |= set(_dotted(OmegaConf.to_container(base, resolve=False)))
    for key, _, _ in texts:
        # What is added (+), removed (~) or Hydra's own is Hydra's to judge.
        if not key.startswith(("+", "~", "hydra")) and key not in known:
            raise unknown("option", key, known)


def _check_groups(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the chosen entries of each group, as typed.

    Raises:
        ConfigError: there is no such entry; `null`, which takes a group away, is none.
    """
    chosen = _chosen(words)
    if any(word.startswith("hydra.searchpath=") for word in words):
        return chosen  # entries may lie there
    for key, values in chosen.items():
        known = registry.names(key.lstrip("+"))
        for value in values:
            if value not in known:
                raise unknown(key.lstrip("+"), value, known)
    return chosen


def _chosen(words: Sequence[str]) -> dict[str, list[str]]:
    texts = [word.partition("=") for word in words]
    return {key: value.split(",") for key, _, value in texts if key.lstrip("+") in GROUPS}


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from _dotted(value, f"{prefix}{key}.")


def out_folder(out: str | None, default: str | None = None) -> Path:
    """Create an output folder and return it; fail before any work is done if it isn't writable. default: its name where `out` is None.

    Raises:
        ConfigError: there is no name, or no folder of this name can be written to.
    """
    out = default if out is None else out
    if out is None or not out.strip():
        raise ConfigError("out is empty: name a folder with out=...")
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"out={folder} can't be a folder ({why}): name another one") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"out={folder} can't be written to: name another folder")
    return folder


register()
