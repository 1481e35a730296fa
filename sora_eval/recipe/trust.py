"""Configurations from elsewhere: what of them would run code that is not sora-eval's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sora_eval.errors import ConfigError

_CALLS = ("target",)
"""Options of a bundled class that name code to import."""
_EXPANDERS = ("none", "bundled", "chat")
_OURS = ("sora_eval.generator.", "sora_eval.tracking.")


def refuse_foreign(config: Mapping[str, Any], trust: bool, where: str, remedy: str) -> None:
    """Refuse a configuration that names code of others, unless it is trusted.

    where: the file of the configuration, for the message. remedy: how to trust it.

    Raises:
        ConfigError: it does.
    """
    for what in foreign(config):
        if not trust:
            raise ConfigError(
                f"{where} would run code that is not sora-eval's own ({what}): look at it, then use {remedy}"
            )


def foreign(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a configuration of a run would import besides sora-eval's own generators and trackers."""
    for group in ("generator", "tracker"):
        node = config.get(group)
        for key, value in _texts(node if isinstance(node, Mapping) else {}, f"{group}."):
            name = key.rpartition(".")[2]
            if (name == "_target_" and not value.startswith(_OURS)) or name in _CALLS:
                yield f"{key}={value}"
    prompts = config.get("prompts")
    expander = prompts.get("expander", "none") if isinstance(prompts, Mapping) else "none"
    if expander not in _EXPANDERS:
        yield f"prompts.expander={expander}"


def _texts(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _texts(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield from _texts({str(i): v for i, v in enumerate(value)}, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield f"{prefix}{key}", value
