"""The Hydra apps: sub-commands whose arguments are a configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.resources import files
from itertools import dropwhile

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sora_eval import registry
from sora_eval.commands import console, overrides
from sora_eval.commands import sweep as sweeps
from sora_eval.config import GROUPS, check_words, complete, composed, first_line
from sora_eval.errors import ConfigError, SoraEvalError

_OWN_CONFIG = ("--config", "-cd", "-cp", "-cn")


def launch(name: str, args: list[str]) -> int:
    """Compose the configuration `conf/NAME.yaml` with overrides and run the command; return its exit code."""
    # Families are named without a key because nobody wants to type family=: `sora-eval render pass_behind`.
    if name == "render" and args and "=" not in args[0] and not args[0].startswith("-"):
        args = [f"family={args[0]}", *args[1:]]
    if any(a in ("-h", "--help") for a in args):
        print(options(name))
        return 0
    sweep = name == "run" and sweeps.is_sweep(args)
    args = [overrides.as_typed(a, sweep) for a in args]
    if sweep or any(a.startswith("-") for a in args):
        if not any(a.startswith(_OWN_CONFIG) for a in args):
            check_words(name, [a for a in args if "=" in a and not a.startswith("-")])
        return sweeps.sweep(args) if sweep else _hydra_main(name, args)
    return _command(name)(composed(name, args))


def options(name: str) -> str:
    """Return what can be said to a command: `conf/NAME.yaml` as it is, comments and all, and the entries of its groups."""
    text = (files("sora_eval.conf") / f"{name}.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition("defaults:\n")
    lines = rest.splitlines()
    body = list(dropwhile(lambda line: line.startswith(" "), lines))
    entries = [line.strip(" -") for line in lines[: len(lines) - len(body)]]
    groups = [(e, group) for e in entries if (group := e.split(":")[0]) in GROUPS]
    chosen = [f"# {', '.join(registry.names(group))}\n{entry}" for entry, group in groups]
    told = f"usage: sora-eval {name} KEY=VALUE ...   The keys and their defaults; a key in a group is GROUP.KEY=VALUE"
    last = "# Hydra's own flags work too: --multirun, --cfg job, --hydra-help"
    return "\n".join([told, "", head.strip(), *chosen, *body, last])


def _hydra_main(name: str, args: list[str]) -> int:
    """Let Hydra itself answer --cfg, --multirun and its other flags."""
    import hydra

    codes: list[int] = []

    def task(config: DictConfig) -> None:
        # Hydra would print a traceback for what the other way is one line.
        try:
            codes.append(_command(name)(complete(config)))
        except (SoraEvalError, OSError, OmegaConfBaseException) as error:
            print(f"sora-eval: {first_line(error)}", file=sys.stderr)
            codes.append(2)
        except Exception as error:
            codes.append(console.failed(error))

    sys.argv = [f"sora-eval {name}", *args]
    try:
        hydra.main(version_base="1.3", config_path="pkg://sora_eval.conf", config_name=name)(task)()
    except SystemExit as end:  # Hydra has printed why; its code 1 means "done, but" here
        return 2 if end.code else 0
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(first_line(error)) from error
    return max(codes, default=0)


def _command(name: str) -> Callable[[DictConfig], int]:
    command: Callable[[DictConfig], int] = import_module(f"sora_eval.commands.{name.replace('-', '_')}").main
    return command
