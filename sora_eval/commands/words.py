"""Arguments of commands that take names and KEY=VALUE options, checked as those of a run are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.settings import Settings

S = TypeVar("S", bound=Settings)


def parsed(
    command: str, about: str, names: Sequence[tuple[str, str]], kind: type[S], args: Sequence[str], codes: str = ""
) -> tuple[list[Path], S]:
    """Return the paths and the options of a command.

    names: (name, meaning) of each path. kind: the options. codes: what its exit codes mean.

    Raises:
        ConfigError: an option is unknown or a value can't be used. SystemExit: a path is missing, or help was printed.
    """
    from sora_eval.commands.hydra_app import documented

    parser = argparse.ArgumentParser(
        prog=f"sora-eval {command}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["Options and their defaults (KEY=VALUE):", "", *documented(kind), "", codes]).rstrip(),
    )
    for name, meaning in names:
        parser.add_argument(name, type=Path, metavar=name.upper(), help=meaning)
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE", help="options, see below")
    read = parser.parse_args(args)
    return [getattr(read, name) for name, _ in names], settings_of(kind, read.options)


def settings_of(kind: type[S], words: Sequence[str]) -> S:
    """Return settings from KEY=VALUE words; what is a path or a name is taken as typed.

    Raises:
        ConfigError: a word is none, an option is unknown or a value can't be used.
    """
    import yaml

    values = {}
    hints = {name: default for name, default, _ in kind.options()}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word}: write KEY=VALUE")
        textual = kind.__annotations__.get(key, "").startswith("str") and value != "null"
        try:
            values[key] = value if textual or key not in hints else yaml.safe_load(_number(value))
        except yaml.YAMLError as error:
            raise ConfigError(f"{word}: the value can't be read") from error
    try:
        return kind.of(values)
    except TypeError as error:
        raise ConfigError(str(error)) from error
    except SoraEvalError:
        raise


def _number(text: str) -> str:
    # YAML 1.1 takes ".1" for text.
    return f"0{text}" if text.startswith(".") else text
