"""The configuration of a command: composed from conf/ and overrides, checked, and read key by key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from sora_eval import registry
from sora_eval.errors import ConfigError, unknown
from sora_eval.files import literal
from sora_eval.probes.base import Probe
from sora_eval.processes import cores
from sora_eval.runs import naming
from sora_eval.stats.samples import MOST, per_prompt, sample_id, sampled
from sora_eval.types import MODES, Case, Mode, Profile, check_name

GROUPS = ("generator", "suite", "profile", "sweep")
MAX_COUNT = 100_000
"""Most cases per probe and mode; more would be listed for hours before the first is asked."""


def composed(name: str, words: list[str]) -> DictConfig:
    """Return the configuration `conf/NAME.yaml` with overrides, complete.

    Raises:
        ConfigError: an override can't be understood, or a value is missing.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("sora_eval.conf", version_base="1.3", job_name=name):
            _check_groups(words)
            config = compose(name, words, return_hydra_config=True)
            HydraConfig.instance().set_config(config)
            config = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
            return complete(config)
    except (HydraException, OmegaConfBaseException) as error:
        check_words(name, words)
        raise ConfigError(first_line(error)) from error


def first_line(error: Exception) -> str:
    """Return the first line of an exception that says anything."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def complete(config: DictConfig) -> DictConfig:
    """Return the configuration with its interpolations resolved, and no value missing.

    Raises:
        ConfigError: a mandatory value is missing, or an interpolation leads nowhere.
    """
    try:
        # Not OmegaConf.resolve, which leaves `${` of an escaped text behind as a new interpolation.
        resolved = OmegaConf.create(literal(OmegaConf.to_container(config, resolve=True)))
    except InterpolationResolutionError as error:
        text = str(error).splitlines()[0]
        raise ConfigError(rf"{text}; for a literal ${{ write \${{") from error
    assert isinstance(resolved, DictConfig)
    if missing := sorted(OmegaConf.missing_keys(resolved)):
        raise ConfigError(f"{missing[0]} is missing: set {missing[0]}=...")
    return resolved


def check_words(name: str, words: list[str]) -> None:
    """Refuse an unknown group entry or option with the nearest names; values may be comma lists, as --multirun takes them.

    Raises:
        ConfigError: a word is unknown.
    """
    texts = [o.partition("=") for o in words]
    chosen = _check_groups(words)
    known: set[str] = set()
    for picked in product(*chosen.values()):
        GlobalHydra.instance().clear()
        with initialize_config_module("sora_eval.conf", version_base="1.3"):
            try:
                base = compose(name, [f"{key}={value}" for key, value in zip(chosen, picked, strict=True)])
            except HydraException:  # the command has no such group
                base = compose(name)
        known |= set(_dotted(OmegaConf.to_container(base, resolve=False)))
    for key, _, _ in texts:
        # What is added (+), removed (~) or Hydra's own is Hydra's to judge.
        if not key.startswith(("+", "~", "hydra")) and key not in known:
            raise unknown("option", key, known)


def _check_groups(words: list[str]) -> dict[str, list[str]]:
    """Return the entries that are chosen of each group, as typed.

    Raises:
        ConfigError: there is no such entry; `null`, which takes a group away, is none.
    """
    texts = [word.partition("=") for word in words]
    chosen = {key: value.split(",") for key, _, value in texts if key.lstrip("+") in GROUPS}
    for key, values in chosen.items():
        for value in values:
            if value not in registry.names(key.lstrip("+")):
                raise unknown(key.lstrip("+"), value, registry.names(key.lstrip("+")))
    return chosen


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from _dotted(value, f"{prefix}{key}.")


def chosen_probes(config: DictConfig) -> dict[str, Probe]:
    """Return the probes that a suite's `suites` and `probes` choose, by name.

    Raises:
        ConfigError: a name is unknown, or nothing is left.
    """
    known = registry.probe_names()
    suites = names_of(config, "suite.suites", "left_right") if config.suite.suites is not None else []
    names = names_of(config, "suite.probes", "relation") if config.suite.probes is not None else []
    for suite in suites:
        if suite not in {s for s, _ in known.values()}:
            raise unknown("suite", suite, {s for s, _ in known.values()})
    found = {n: registry.probe(n) for n in (names or known) if not suites or (n in known and known[n][0] in suites)}
    if not found:
        raise ConfigError(f"no probe is in both suites={suites} and probes={names}")
    return found


def chosen_cases(config: DictConfig, probes: Mapping[str, Probe]) -> list[Case]:
    """Return the cases of a run: every probe, every mode that it supports, `count` each, in as many samples as are asked."""
    profile, modes = chosen_profile(config), chosen_modes(config)
    count, seed = whole(config, "suite.count", 1, MAX_COUNT), whole(config, "seed", 0)
    found = [c for p in probes.values() for m in modes if m in p.modes for c in p.cases(count, profile, m, seed)]
    if not found:
        raise ConfigError(f"no chosen probe has a mode of suite.modes={modes}")
    return sampled(found, chosen_samples(config))


def chosen_samples(config: DictConfig) -> int:
    """Return how many samples per case are asked; where that is left open, as many as a folder of videos has, else 1."""
    if OmegaConf.select(config, "samples") is not None:
        return whole(config, "samples", 1, MOST)
    if not _is_folder(config):
        return 1
    folder: Any = registry.generator(config.generator)
    return min(int(folder.samples), MOST)


def _is_folder(config: DictConfig) -> bool:
    from sora_eval.generator.folder import Folder

    return bool(OmegaConf.select(config, "generator._target_") == f"{Folder.__module__}.{Folder.__name__}")


def chosen_modes(config: DictConfig) -> list[Mode]:
    """Return the modes of a suite, in the order of `MODES`."""
    names = names_of(config, "suite.modes", "t2v")
    for mode in names:
        if mode not in MODES:
            raise unknown("mode", mode, MODES)
    if not names:
        raise ConfigError(f"suite.modes is empty: choose from {', '.join(MODES)}")
    return [m for m in MODES if m in names]


def chosen_profile(config: DictConfig) -> Profile:
    """Return the profile of a configuration."""
    values = {str(k): v for k, v in config.profile.items()}
    try:
        return Profile(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"profile: {error}") from error


def whole(config: DictConfig, key: str, least: int, most: int | None = None) -> int:
    """Return a whole number of a configuration.

    Raises:
        ConfigError: it is none, below `least` or above `most`.
    """
    value = OmegaConf.select(config, key)
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{key} must be a whole number {span}, got {value}")
    return value


def flag(config: DictConfig, key: str) -> bool:
    """Return a yes or no of a configuration; a word, which would be true, is neither.

    Raises:
        ConfigError: it is none.
    """
    value = OmegaConf.select(config, key)
    if not isinstance(value, bool):
        raise ConfigError(f"{key} must be true or false, got {value}")
    return value


def workers_of(config: DictConfig) -> int:
    """Return how many processes a command may use: `workers`, else one per core."""
    return cores() if config.workers is None else whole(config, "workers", 1)


def names_of(config: DictConfig, key: str, example: str) -> list[str]:
    """Return a list of names of a configuration, each once. example: one of them, for the error.

    Raises:
        ConfigError: it is no such list.
    """
    value = OmegaConf.select(config, key)
    if not isinstance(value, ListConfig) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{key} must be a list of names, write {key}=[{example}], got {value}")
    return list(dict.fromkeys(value))


def out_folder(config: DictConfig) -> Path:
    """Return the folder to write to, made and writable: nobody wants to learn at the end that it isn't."""
    if config.out is None or not str(config.out).strip():
        raise ConfigError("out is empty: name a folder with out=...")
    folder = Path(str(config.out))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"out={folder} can't be a folder ({why}): name another one") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"out={folder} can't be written to: name another folder")
    return folder


def generator_of(config: DictConfig, cases: list[Case]) -> Any:
    """Return the generator that a configuration describes, for these cases.

    Raises:
        ConfigError: it can't be had, or its name is no file name or a reference's.
    """
    from sora_eval.generator.simulator import CONTROLS, OTHER

    more: dict[str, Any] = {}
    if _is_folder(config):
        count = whole(config, "suite.count", 1)
        every = [(suite, name, mode) for name, (suite, _) in registry.probe_names().items() for mode in MODES]
        ids = [f"{suite}.{name}.{mode}.{i:04d}" for suite, name, mode in every for i in range(count)]
        ids = [sample_id(case, k) for case in ids for k in range(per_prompt(cases))]
        more = {"cases": ids, "asked": cases}
    made = registry.generator(config.generator, **more)
    try:
        check_name("generator.name", made.name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if made.kind == "model" and made.name in ("oracle", OTHER, *CONTROLS):
        raise ConfigError(f"'{made.name}' is the name of a reference: say generator.name=...")
    return made


def values_of(config: DictConfig) -> dict[Any, Any]:
    """Return a configuration as plain values."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return plain


naming.register()
