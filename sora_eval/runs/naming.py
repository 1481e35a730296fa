"""What the folder of a run is called, so that no two runs share one: runs/SUITE-PROFILE/MODEL/SLUG/SEED.

SUITE-PROFILE: their names, changed options of the suite and the profile (`smoke-small+probes=relation`; not `suite.count`, so that a run
grows there), a look other than plain (`+look=indoor`), a tracker other than the world's, and an encoding of clips with loss. MODEL: the
generator's name in conf/generator. SLUG: what distinguishes its runs, with changed options (`4x-1c2f0a+steps=8`): a checkpoint is called by
its stem and a hash of its bytes, a folder of videos by its name and a hash of its path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from glob import glob
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import ListConfig, OmegaConf

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.files import content_hash
from sora_eval.prompting.case_sets import is_of_file
from sora_eval.prompting.options import PromptFile, PromptOptions
from sora_eval.types import digest
from sora_eval.video.options import LOSSLESS
from sora_eval.world.looks import LookOptions

_SHOWN_BY_VALUE = ("name", "checkpoint", "path", "target", "control", "violation")
"""Options that are shown by their value alone, changed or not."""
_HASH = 6
_LONGEST = 100


def question(
    suite: Mapping[str, Any],
    profile: Mapping[str, Any],
    tracker: Mapping[str, Any] | None = None,
    world: Mapping[str, Any] | None = None,
) -> str:
    """Return a name for the cases of a run and the tracker that they are judged with.

    It consists of the names of suite and profile and of the options that differ from the files of these names.
    tracker: its config node; None, as in runs from before there was a choice, for the world tracker. world: options of the look; None
    for plain.
    """
    parts = [f"{suite.get('name')}-{profile.get('name')}"]
    for group, node in (("suite", suite), ("profile", profile)):
        # The name of a set of cases from a file, and of the size of stored ones, says all.
        if not (
            is_of_file(str(suite.get("name")))
            and (group == "suite" or not registry.defaults(group, str(node.get("name"))))
        ):
            parts += _changed(group, str(node.get("name")), node, ("name", "count"))
    look = LookOptions.of(world or {})
    if look.name:
        parts.append(f"look={look.name}")
    if tracker and dict(tracker) != registry.defaults("tracker", "world"):
        target = str(tracker.get("_target_")).rpartition(".")[2]
        parts.append(f"tracker={_speaking('tracker', target)}-{digest(dict(tracker))[:_HASH]}")
    return _file_name("+".join(parts))


def slug(choice: str, generator: Mapping[str, Any]) -> str:
    """Return what distinguishes the runs of a generator; "default" for one without a checkpoint or changed option."""
    parts = []
    for key in _SHOWN_BY_VALUE:
        value = generator.get(key)
        if value is not None and str(value):
            parts.append(_checkpoint(str(value)) if key == "checkpoint" else _speaking(key, str(value)))
    parts += _changed("generator", choice, generator, ("_target_", *_SHOWN_BY_VALUE))
    return _file_name("+".join(parts)) or "default"


def matching(patterns: Any) -> list[str]:
    """Return the files that one or several glob patterns match, each once, in natural order: step-9 before step-10.

    Raises:
        ConfigError: a pattern matches nothing.
    """
    matched: list[str] = []
    for pattern in patterns if isinstance(patterns, list | tuple | ListConfig) else [patterns]:
        here = sorted(glob(str(pattern), recursive=True), key=natural)
        if not here:
            raise ConfigError(f"no file matches '{pattern}'")
        matched += here
    return list(dict.fromkeys(matched))


def natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts numbers within a text by value."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]


def quoted(values: list[str]) -> str:
    """Return values as a sweep of Hydra: 'a','b'."""
    return ",".join("'" + v.replace("\\", "\\\\").replace("'", "\\'") + "'" for v in values)


def run_folder(config: Any, choice: str) -> str:
    """Return the default folder of a run: runs/SUITE-PROFILE/MODEL/SLUG/SEED.

    config: settings with generator, suite, profile, tracker and seed. choice: the entry of conf/generator, "" for a generator of no entry.
    """
    target = str(config.generator.get("_target_", "generator")).rpartition(".")[2].lower()
    model = choice or target
    cases = question(config.suite.values(), config.profile.values(), config.tracker, config.world.values())
    encoded = config.video.protocol((config.profile.height, config.profile.width))
    cases += "" if encoded == LOSSLESS else f"+video={encoded}"
    name = slug(model, config.generator)
    if config.prompts.expander != PromptOptions.expander:
        values = config.prompts.values().items()
        own = {k: v for k, v in values if k not in PromptFile.defaults() and v != PromptOptions.defaults()[k]}
        name = _file_name(f"{name}+prompts={_plain(config.prompts.expander)}-{digest(own)[:_HASH]}")
    return f"runs/{cases}/{model}/{name}/{config.seed}"


def register() -> None:
    """Make names usable in configuration files: ${files:PATTERN} and ${shards:N}."""
    OmegaConf.register_new_resolver("files", lambda patterns: quoted(matching(patterns)), replace=True)
    OmegaConf.register_new_resolver("shards", lambda n: quoted([f"{i + 1}/{n}" for i in range(int(n))]), replace=True)


def _checkpoint(value: str) -> str:
    """Return stem and short hash: of the bytes of a file, else of the text, so that one that is not there has a name too."""
    path = Path(value)
    bundled = Path(str(files("sora_eval.generator.reference"))) / "checkpoints" / f"{value}.safetensors"
    file = path if path.is_file() else bundled if "/" not in value and bundled.is_file() else None
    if file is None:
        return _speaking("checkpoint", value)
    return f"{_plain(file.stem)}-{content_hash(file)[:_HASH]}"


def _speaking(key: str, value: str) -> str:
    if key == "path":
        path = Path(value).resolve()
        return f"{_plain(path.name)}-{digest(str(path))[:_HASH]}"
    plain = _plain(value)
    return plain if plain == value else f"{plain}-{digest(value)[:_HASH]}"


def _changed(group: str, name: str, node: Mapping[str, Any], without: tuple[str, ...]) -> list[str]:
    """Return KEY=VALUE for each option that differs from conf/GROUP/NAME.yaml."""
    here, there = {str(k): v for k, v in _container(node).items()}, registry.defaults(group, name)
    return [f"{k}={_value_text(v)}" for k, v in here.items() if k not in without and v != there.get(k)]


def _container(node: Any) -> dict[Any, Any]:
    plain = OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node
    return dict(plain) if isinstance(plain, Mapping) else {}


def _value_text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(v, str) and _plain(v) == v for v in value):
        return ".".join(value)
    text = str(value)
    return text if _plain(text) == text else f"{_plain(text)}-{digest(text)[:_HASH]}"


def _plain(text: str) -> str:
    return re.sub(r"[^\w.@-]+", "_", text).strip("_") or "_"


def _file_name(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - _HASH - 1]}-{digest(text)[:_HASH]}"
