"""Wrong values of every option of every command: one line, or a value that can be used; never another exception."""

from collections.abc import Iterator

import pytest

from sora_eval.config import COMMANDS, parse
from sora_eval.errors import ConfigError
from sora_eval.settings import Settings, hints_of

WRONG = ("abc", "-1", "null", "[1,2]", "{a: 1}", "1e400", "true", "''")


def keys(kind: type[Settings], prefix: str = "") -> Iterator[str]:
    """Yield the options of a command, those of groups by their full names."""
    hints = hints_of(kind)
    for name, _, _ in kind.options():
        hint = hints[name]
        if isinstance(hint, type) and issubclass(hint, Settings):
            yield from keys(hint, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("name", ["suites", "probes"])
def test_an_empty_choice_is_not_all(name: str) -> None:
    with pytest.raises(
        ConfigError, match=f"suite.{name} is empty: name {name}, or set suite.{name}=null for all of them"
    ):
        parse("run", [f"suite.{name}=[]"])


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_values_are_one_line(command: str) -> None:
    refused: list[str] = []
    for i, key in enumerate(keys(COMMANDS[command])):
        # Three of the values for each option, by turns: some 260 in all.
        for value in (WRONG[(i + k) % len(WRONG)] for k in (0, 2, 5)):
            try:
                parse(command, [f"{key}={value}"])
            except ConfigError as error:
                refused.append(f"{key}={value}: {error}")
    assert refused
    assert not [line for line in refused if "\n" in line or line.endswith(": ")]
