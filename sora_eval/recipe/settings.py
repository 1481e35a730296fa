"""Which settings differ between two runs, by group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

GROUPS = (
    "model",
    "prompts",
    "sampling",
    "size",
    "seeds",
    "cases",
    "tracker",
    "versions",
    "hardware",
    "storage",
    "command",
)
_SAMPLING = (
    *("steps", "guidance", "scheduler", "sampler", "shift", "noise", "negative_prompt", "guided_until", "history", "order", "arguments"),
    *("history_level", "long_clips", "dtype", "batch", "temperature", "guidance_scale", "num_inference_steps"),
)  # fmt: skip
_UNLESS_BOTH = ("recipe.long_clips",)
"""Settings that older runs do not have: one that a single run has is no difference."""
_SIZE = ("width", "height", "frames", "fps", "given", "short_side", "max_frames")
_IGNORED = ("out", "workers", "players", "references", "fidelity", "tracking")
_ALSO_IGNORED = ("prompts.parallel", "prompts.retries", "prompts.reply_s", "prompts.key_env")
"""Options of a run on which no score of a model depends."""


@dataclass(frozen=True)
class SettingDifference:
    """A setting in which two runs differ."""

    group: str
    """One of GROUPS."""
    name: str
    """Name of the setting, such as generator.steps."""
    first: Any
    """Its value in the first run, None where it has none."""
    second: Any
    """Its value in the second."""

    def line(self, first: str = "A", second: str = "B") -> str:
        """Return the difference in a line. first, second: names of the two."""
        return f"{self.name}: {_shown(self.first)} in {first}, {_shown(self.second)} in {second}"


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[SettingDifference]:
    """Return the settings in which two runs differ, in the order of GROUPS. first, second: their manifests, or the cards."""
    a, b = dict(_settings(first)), dict(_settings(second))
    found = [
        SettingDifference(group, name, a.get((group, name)), b.get((group, name)))
        for group, name in dict.fromkeys([*a, *b])
        if a.get((group, name)) != b.get((group, name))
        and (name not in _UNLESS_BOTH or ((group, name) in a and (group, name) in b))
    ]
    return sorted(found, key=lambda d: GROUPS.index(d.group))


def _settings(about: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    config = _group(about, "config")
    for key, value in config.items():
        if key in _IGNORED:
            continue
        for name, inner in _flat(value, key):
            if name not in _ALSO_IGNORED:
                yield (_group_of(name), name), inner
    for generator in about.get("generators") or ():
        if isinstance(generator, Mapping) and generator.get("kind") == "model":
            yield ("model", "model.name"), generator.get("name")
            yield ("model", "model.fingerprint"), generator.get("fingerprint")
            for name, value in _group(generator, "recipe").items():
                yield ("sampling" if name in _SAMPLING else "model", f"recipe.{name}"), value
    for name, value in _group(about, "versions").items():
        yield ("tracker" if name == "tracker" else "versions", f"version of {name}"), value
    yield ("versions", "version of sora-eval"), about.get("tool_version")
    hashes = _group(about, "hashes")
    for name, value in _group(hashes, "probes").items():
        yield ("versions", f"version of probe {name}"), value
    yield ("cases", "hash of the cases"), hashes.get("cases")
    for name, value in _group(about, "machine").items():
        yield ("hardware", name), value
    yield ("command", "command"), about.get("command")


def _group_of(name: str) -> str:
    group, _, rest = name.partition(".")
    option = rest.partition(".")[0]
    if group == "generator":
        return "sampling" if option in _SAMPLING else "size" if option in _SIZE else "model"
    groups = {"profile": "size", "seed": "seeds", "samples": "seeds", "tracker": "tracker", "prompts": "prompts"}
    return {"video": "storage", **groups}.get(group, "cases")


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}")
    else:
        yield name, value


def _group(about: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = about.get(key)
    return value if isinstance(value, Mapping) else {}


def _shown(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
