"""Wrong values of every option of every command: one line, or a value that can be used; never another exception."""

from collections.abc import Iterator

import pytest

from sora_eval.config import COMMANDS, parse
from sora_eval.errors import ConfigError
from sora_eval.settings import Settings, hints_of

WRONG = ("abc", "-1", "null", "[1,2]", "{a: 1}", "1e400", "true", "''")


def keys(kind: type[Settings], prefix: str = "") -> Iterator[tuple[str, type[Settings]]]:
    """Yield the options of a command with the class that declares them, those of groups by their full names."""
    hints = hints_of(kind)
    for name, _, _ in kind.options():
        hint = hints[name]
        if isinstance(hint, type) and issubclass(hint, Settings):
            yield from keys(hint, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                next(base for base in kind.__mro__ if name in vars(base).get("__annotations__", {})),
            )


def own_keys() -> dict[str, list[str]]:
    """Return the options of every command; those that commands have in common with the first of them."""
    own: dict[str, list[str]] = {command: [] for command in COMMANDS}
    seen = set()
    for command, kind in COMMANDS.items():
        for key, declared in keys(kind):
            if (key, declared) not in seen:
                seen.add((key, declared))
                own[command].append(key)
    return {command: found for command, found in own.items() if found}


@pytest.mark.parametrize("name", ["suites", "probes"])
def test_an_empty_choice_is_not_all(name: str) -> None:
    with pytest.raises(
        ConfigError, match=f"suite.{name} is empty: name {name}, or set suite.{name}=null for all of them"
    ):
        parse("run", [f"suite.{name}=[]"])


@pytest.mark.slow
@pytest.mark.parametrize(("command", "own"), own_keys().items())
def test_wrong_values_are_one_line(command: str, own: list[str]) -> None:
    refused: list[str] = []
    for i, key in enumerate(own):
        # Three of the values for each option, by turns: some 260 in all.
        for value in (WRONG[(i + k) % len(WRONG)] for k in (0, 2, 5)):
            try:
                parse(command, [f"{key}={value}"])
            except ConfigError as error:
                refused.append(f"{key}={value}: {error}")
    assert not [line for line in refused if "\n" in line or line.endswith(": ")]


def test_values_are_refused_at_all() -> None:
    with pytest.raises(ConfigError, match="workers"):
        parse("run", ["workers=abc"])
