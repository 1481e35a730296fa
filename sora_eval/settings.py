"""Settings: frozen dataclasses whose values are checked against type and range, built from plain values such as a YAML file's.

`option` gives a field's range and an example; its docstring, below it, is what `--help` prints.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from sora_eval.errors import ConfigError, unknown

REQUIRED = "???"
"""The value of an option that has no default, as in OmegaConf."""


@dataclass(frozen=True)
class Constraint:
    """Range of an option; of a mapping, that of its values."""

    least: float | None = None
    """Smallest number."""
    most: float | None = None
    """Largest number."""
    above: float | None = None
    """A number that is too small."""
    below: float | None = None
    """A number that is too large."""
    choices: Collection[str] = ()
    """Names."""
    example: str = ""
    """An item of the list, for messages."""
    repeats: bool = False
    """Whether an item of a list may be there again; else it counts once."""

    def __str__(self) -> str:
        """Return the range of a number as the end of "must be a number"."""
        least, most, above, below = (
            "" if bound is None else f"{bound:.12g}" for bound in (self.least, self.most, self.above, self.below)
        )
        if least and (most or below):
            return f" from {least} to {most or f'below {below}'}"
        if above and below:
            return f" between {above} and {below}"
        if least or above:
            return f" of at least {least}" if least else f" above {above}{f' and at most {most}' if most else ''}"
        return f" of at most {most}" if most else ""

    def holds(self, value: float) -> bool:
        """Return whether a number is in the range."""
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


def option(default: Any = MISSING, **limits: Any) -> Any:
    """Return a dataclass field with limits: `option(3, least=0)`. A mutable default is copied for every instance."""
    about = {"limits": Constraint(**limits)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Settings:
    """Base of all settings: values are checked when an instance is made; lists become tuples, mappings the settings of their field."""

    GROUP: ClassVar[str] = ""
    """Prefix of the options in messages: `profile` for profile.height."""
    DEFAULTS: ClassVar[tuple[str, ...]] = ()
    """Hydra's defaults list: `group: entry` each."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ConfigError: a value has the wrong type or is out of range.
        """
        hints = hints_of(type(self))
        for f in fields(self):
            key = f"{self.GROUP}.{f.name}" if self.GROUP else f.name
            limits = f.metadata.get("limits", Constraint())
            object.__setattr__(self, f.name, _checked(key, getattr(self, f.name), hints[f.name], limits))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings of plain values; what is not there has its default.

        Raises:
            ConfigError: an option is unknown or missing, or a value can't be used.
        """
        known = {f.name: f for f in fields(cls)}
        prefix = f"{cls.GROUP}." if cls.GROUP else ""
        for key in values:
            if key not in known:
                raise unknown("option", f"{prefix}{key}", [f"{prefix}{k}" for k in known])
        for name, f in known.items():
            if values.get(name, _default(f)) == REQUIRED:
                raise ConfigError(f"{prefix}{name} is missing: set {prefix}{name}=...")
        return cls(**{str(k): v for k, v in values.items()})

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the defaults as plain values; REQUIRED where there is none."""
        return {f.name: plain(_default(f)) for f in fields(cls)}

    @classmethod
    def options(cls) -> Iterator[tuple[str, Any, str]]:
        """Yield name, default and documentation of every option."""
        documented: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if issubclass(base, Settings):
                documented |= _field_docs(base)
        for f in fields(cls):
            yield f.name, plain(_default(f)), documented.get(f.name, "")

    def values(self) -> dict[str, Any]:
        """Return all values as plain ones, as for JSON."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self)}


def plain(value: Any) -> Any:
    """Return a value with settings as mappings and tuples as lists."""
    if isinstance(value, Settings):
        return value.values()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def _default(f: Any) -> Any:
    if f.default is not MISSING:
        return f.default
    return f.default_factory() if f.default_factory is not MISSING else REQUIRED


def hints_of(kind: Any) -> dict[str, Any]:
    """Return the type hints of the fields of a class."""
    return dict(get_type_hints(kind))


def _field_docs(kind: type) -> dict[str, str]:
    """Return the docstrings below the fields of a class, each as one line."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    docs = {}
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr)):
            continue
        if isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            docs[node.target.id] = " ".join(after.value.value.split())
    return docs


def _checked(key: str, value: Any, hint: Any, limits: Constraint) -> Any:
    """Return a value as its type hint has it: lists as tuples, mappings as the settings that they describe."""
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return None
        (hint,) = (h for h in get_args(hint) if h is not type(None))
    if hint is Any:
        return value
    if get_origin(hint) is tuple:
        return _items(key, value, get_args(hint)[0], limits)
    if hint is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{key} must be true or false, got {value}")
        return value
    if hint in (int, float):
        return _number(key, value, hint, limits)
    if hint is str or get_origin(hint) is Literal:
        if not isinstance(value, str):
            raise ConfigError(f"{key} must be text, got {value}")
        choices = limits.choices or (get_args(hint) if hint is not str else ())
        if choices and value not in choices:
            raise unknown(key, value, choices)
        return value
    kind = get_origin(hint) or hint
    if not issubclass(kind, Mapping) and isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        example = (
            f", such as {key}.{next(iter(kind.defaults()))}=..." if issubclass(kind, Settings) else " {NAME: VALUE}"
        )
        raise ConfigError(f"{key} must be a group of options{example}, got {value}")
    if issubclass(kind, Settings):
        return hint.of(value)
    item = get_args(hint)[1]
    return {str(name): _checked(f"{key}.{name}", each, item, limits) for name, each in value.items()}


def _items(key: str, value: Any, hint: Any, limits: Constraint) -> tuple[Any, ...]:
    groups = isinstance(hint, type) and issubclass(hint, Settings)
    kind = object if groups else int if hint is int else int | float if hint is float else str
    if not isinstance(value, list | tuple) or not all(isinstance(v, kind) and not isinstance(v, bool) for v in value):
        what = "groups of options" if groups else {int: "whole numbers", float: "numbers"}.get(hint, "names")
        raise ConfigError(f"{key} must be a list of {what}, write {key}=[{limits.example}], got {value}")
    if groups:
        return tuple(_checked(f"{key}.{k}", v, hint, limits) for k, v in enumerate(value))
    for number in value if hint in (int, float) else ():
        _number(key, number, hint, limits)
    for name in value if limits.choices else ():
        if name not in limits.choices:
            raise unknown(key.rpartition(".")[2].removesuffix("s"), name, limits.choices)
    return tuple(value if limits.repeats else dict.fromkeys(value))


def _number(key: str, value: Any, kind: type, limits: Constraint) -> Any:
    accepted = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not accepted or not math.isfinite(value) or not limits.holds(value):
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{key} must be {what}{limits}, got {value}")
    return value
