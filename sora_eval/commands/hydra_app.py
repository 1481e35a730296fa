"""The Hydra apps: sub-commands whose arguments are a configuration."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import takewhile
from typing import Any, get_args

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sora_eval import registry
from sora_eval.commands import overrides
from sora_eval.commands import sweep as sweeps
from sora_eval.config import COMMANDS, Call, check_words, first_line, offer_plugins, parse, read, search_path
from sora_eval.errors import ConfigError, SoraEvalError, print_error
from sora_eval.runs.naming import quoted
from sora_eval.settings import Settings, hints_of

_OVERRIDE = re.compile(r"[+~]|hydra|[\w.]+=")
"""How an override begins; a pattern such as ckpts/epoch=*.ckpt has an equals sign too."""
_OWN_CONFIG = ("--config", "-cd", "-cp", "-cn")


def launch(name: str, args: list[str]) -> int:
    """Compose the configuration of a command with overrides and run it; return its exit code."""
    args = _with_key(name, args)
    if any(a in ("-h", "--help") for a in args):
        print(options(name))
        return 0
    sweep = name == "run" and sweeps.is_sweep(args)
    args = overrides.flags_last([overrides.as_typed(a, sweep) for a in args])
    if sweep or any(a.startswith("-") for a in args):
        if not any(a.startswith(_OWN_CONFIG) for a in args):
            check_words(name, [a for a in args if "=" in a and not a.startswith("-")])
        offer_plugins([a for a in args if not a.startswith("-")])
        args = search_path(args)
        return sweeps.sweep(args) if sweep else _hydra_main(name, args)
    return _command(name)(*parse(name, args))


def _with_key(name: str, args: list[str]) -> list[str]:
    """Return arguments with the key of those that may stand alone: `sora-eval render pass_behind`, `sora-eval watch 'ckpts/*'`."""
    if name == "render" and args and "=" not in args[0] and not args[0].startswith("-"):
        return [f"family={args[0]}", *args[1:]]
    if name != "watch":
        return args
    alone = list(takewhile(lambda a: not a.startswith("-") and not _OVERRIDE.match(a), args))
    if not alone:
        return args
    value = alone[0] if len(alone) == 1 else f"[{quoted(alone)}]"
    return [f"checkpoints={value}", *args[len(alone) :]]


def options(name: str) -> str:
    """Return the options of a command with defaults and documentation, and the entries of its groups."""
    kind = COMMANDS[name]
    lines = [
        f"usage: sora-eval {name} KEY=VALUE ...   The keys and their defaults; a key in a group is GROUP.KEY=VALUE",
        "",
        *(f"# {line}" for line in (kind.__doc__ or "").splitlines()),
    ]
    for default in kind.DEFAULTS:
        lines += [
            "",
            *textwrap.wrap(", ".join(registry.names(default.partition(":")[0])), 130, initial_indent="# "),
            default,
        ]
    lines += ["", *documented(kind)]
    return "\n".join(
        [
            *lines,
            "",
            "# --include DIR: plug-ins of a folder. Hydra's own flags work too: --multirun, --cfg job, --hydra-help",
        ]
    )


def documented(kind: type[Settings], indent: str = "") -> Iterator[str]:
    """Yield the options of settings as YAML, each below its documentation; those of chosen groups are left out."""
    hints = hints_of(kind)
    for key, default, documentation in kind.options():
        if not indent and any(entry.partition(":")[0] == key for entry in kind.DEFAULTS):
            continue
        part = next(
            (h for h in (hints[key], *get_args(hints[key])) if isinstance(h, type) and issubclass(h, Settings)), None
        )
        text = documentation or (part.__doc__ if part else "") or ""
        yield from (f"{indent}# {line}" for line in textwrap.wrap(text, 130))
        if part is None:
            yield f"{indent}{key}: {_flow(default)}"
        else:
            yield f"{indent}{key}:"
            yield from documented(part, indent + "  ")


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    return str(yaml.safe_dump([value], default_flow_style=True, width=1000)).strip()[1:-1]


def _hydra_main(name: str, args: list[str]) -> int:
    """Let Hydra itself answer --cfg, --multirun and its other flags."""
    import hydra

    codes: list[int] = []

    def task(config: DictConfig) -> None:
        # Hydra would print a traceback for what the other way is one line.
        try:
            codes.append(_command(name)(*read(name, config, HydraConfig.get())))
        except (SoraEvalError, OSError, OmegaConfBaseException) as error:
            print(f"sora-eval: {first_line(error)}", file=sys.stderr)
            codes.append(2)
        except Exception as error:
            codes.append(print_error(error))

    sys.argv = [f"sora-eval {name}", *args]
    try:
        hydra.main(version_base="1.3", config_path="pkg://sora_eval.conf", config_name=name)(task)()
    except SystemExit as end:  # Hydra has printed why; its code 1 means "done, but" here
        return 2 if end.code else 0
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(first_line(error)) from error
    return max(codes, default=0)


def _command(name: str) -> Callable[[Any, Call], int]:
    command: Callable[[Any, Call], int] = import_module(f"sora_eval.commands.{name.replace('-', '_')}").main
    return command
