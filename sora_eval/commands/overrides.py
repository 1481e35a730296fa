"""Command-line overrides whose value is text (paths, names, prompts): quoted for Hydra's grammar where it would read them otherwise.

Hydra reads `out=20261128_020405` and `out=3.10` as numbers and refuses `out=my run (1)`. A value that is text by nature is taken as typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sora_eval.files import literal

_TEXT = re.compile(
    r"prompt|out|cases|name|family|input|second|checkpoint|checkpoints|baseline|data\.folder|transformer\.(name|start)"
    r"|generator\.(path|name|manifest|checkpoint|target|version)|prompts\.(file|expander|url|model|instruction)|fidelity\.weights\..+|hydra\.(run|sweep)\.dir"
)
"""Keys whose value is a path, a name or a prompt."""
_FUNCTION = re.compile(r"(choice|range|glob|shuffle|sort|tag|interval)\(.*\)", re.DOTALL)
_PIECE = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^,])+""", re.DOTALL)


def as_typed(argument: str, sweep: bool = False) -> str:
    """Return an argument of the command line with a textual value quoted, if Hydra's grammar would read it as anything but that text.

    A value that is quoted already, `null`, and interpolations (`out=runs/${seed}`) stay Hydra's; in a prompt `${` is text.

    Args:
        argument: one word, such as `out=3.10`; flags and keys of other types are returned unchanged.
        sweep: whether commas separate the values of a sweep; elsewhere a comma is part of the text.

    """
    key, equals, value = argument.partition("=")
    if key == "prompts" and not value.startswith("{"):
        # A file in place of the group: in a configuration file it is prompts.file.
        key, argument = "prompts.file", f"prompts.file={value}"
    if not (equals and value) or argument.startswith("-") or not _TEXT.fullmatch(key.lstrip("+")):
        return argument
    if key.lstrip("+") == "prompt":
        return argument if _is_quoted(value) else f"{key}={quote(literal(value))}"
    if sweep and _FUNCTION.fullmatch(value):
        return argument
    if key.lstrip("+") == "checkpoints" and value.startswith("["):
        return argument
    pieces = [match.group() for match in _PIECE.finditer(value)] if sweep else [value]
    return f"{key}={','.join(_piece(piece) for piece in pieces)}"


_VALUED = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p", "--cfg", "-c")
"""Hydra's flags that take the next word."""


def flags_last(arguments: Sequence[str]) -> list[str]:
    """Return arguments with flags and their values behind the overrides: argparse takes these only in one piece."""
    flags: list[str] = []
    others: list[str] = []
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            others.append(word)
            continue
        flags.append(word)
        if word in _VALUED and (value := next(words, None)) is not None:
            flags.append(value)
    return [*others, *flags]


def quote(text: str) -> str:
    """Return a text as a double-quoted value of Hydra's grammar: quotes and the backslashes before them are escaped."""
    return '"' + re.sub(r'(\\*)"', r'\1\1\\"', re.sub(r"(\\+)$", r"\1\1", text)) + '"'


def _piece(text: str) -> str:
    if text == "null" or _is_quoted(text):
        return text
    try:
        OmegaConf.create({"key": text})
    except OmegaConfBaseException:  # `${` that begins no interpolation
        return quote(literal(text))
    try:
        same = OverridesParser.create().parse_override(f"key={text}").value() == text
    except HydraException:
        same = False
    return text if same else quote(text)


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
