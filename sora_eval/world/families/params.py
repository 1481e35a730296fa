"""Typed parameters of scene families: what a mirror changes in them, their JSON form and its checks."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Self, get_args, get_origin, get_type_hints

from sora_eval.errors import ConfigError, unknown
from sora_eval.types import Case
from sora_eval.world.looks import PLAIN, LookName, LookOptions
from sora_eval.world.palette import COLOURS, NEUTRALS


@dataclass(frozen=True)
class Mirrored:
    """Marks, inside `Annotated`, a type of parameter that a mirror changes."""

    image: Callable[[Any], Any]
    """The parameter's value -> its value in the mirrored scene."""


@dataclass(frozen=True)
class OneOf:
    """Marks, inside `Annotated`, a type of parameter with a closed set of values."""

    values: Collection[str]
    """The values allowed."""


OPPOSITE: Final[dict[Side, Side]] = {"left": "right", "right": "left"}
SIGN: Final[dict[Side, float]] = {"left": -1.0, "right": 1.0}
"""The direction of a side along x."""
EXCHANGED = Mirrored(lambda value: OPPOSITE.get(value, value))
"""Left and right are exchanged, other values kept."""
REVERSED = Mirrored(operator.itemgetter(slice(None, None, -1)))
"""A row given from left to right is reversed."""

Side = Annotated[Literal["left", "right"], EXCHANGED]
"""A side of the frame, the viewer's, or a direction towards it."""
SIDES: Final[tuple[Side, Side]] = ("left", "right")
Across = Annotated[float, Mirrored(operator.neg)]
"""A position along x in metres, or an angle in degrees; its sign changes in a mirror."""
Colour = Annotated[str, OneOf(COLOURS)]
"""The name of a saturated colour, one of `palette.COLOURS`."""
Neutral = Annotated[str, OneOf(NEUTRALS)]
"""The name of a grey or pastel, one of `palette.NEUTRALS`."""
Lamp = Annotated[Literal["noon", "left", "right", "warm", "cool", "dim"], EXCHANGED]
"""The name of a light, a key of `common.LIGHTS`."""
Mirroring = Annotated[bool, Mirrored(operator.not_)]
"""Whether something is seen in a mirror."""
Texture = Literal["plain", "striped", "dotted", "glossy"]
Size = Literal["small", "medium", "large"]
"""A width, a key of `common.SIZES`."""


@dataclass(frozen=True)
class Record:
    """Base of dataclasses whose fields are numbers, words, records, or tuples of those: mirror image and JSON form."""

    def mirrored(self) -> Self:
        """Return the record in a mirror: each field by its type, records inside it likewise."""
        types = _types(type(self))  # type: ignore[arg-type]
        return replace(self, **{name: _image(getattr(self, name), kind) for name, kind in types.items()})

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, in their order; what may be None is left out where it is."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, values: Any, where: str = "params") -> Self:
        """Return the record that `to_json` wrote; `where` names it in errors.

        Raises:
            ConfigError: a key is missing or unknown, or a value is not of its field's type.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where} must be a JSON object, got {values!r}")
        types = _types(cls)  # type: ignore[arg-type]
        if strange := next((key for key in values if key not in types), None):
            raise unknown(f"key in {where}", str(strange), types)
        optional = {f.name for f in fields(cls) if f.default is None}
        if missing := [name for name in types if name not in values and name not in optional]:
            raise ConfigError(f"{where} has no {', '.join(missing)}")
        given = {name: kind for name, kind in types.items() if name in values}
        return cls(**{name: _checked(values[name], kind, f"{where}.{name}") for name, kind in given.items()})


@dataclass(frozen=True)
class LookChoice(Record):
    """Which look a scene has, and its materials by seed."""

    name: LookName
    """The name of the look."""
    severity: float
    """Share of the way from plain to full, above 0 up to 1."""
    seed: int
    """Seed of materials and patterns."""
    flipped: Mirroring = False
    """Whether patterns are seen in a mirror."""


@dataclass(frozen=True)
class Style(Record):
    """The look of a scene apart from its objects."""

    floor: Neutral
    """Colour of the floor."""
    backdrop: Neutral
    """Colour of the backdrop."""
    light: Lamp
    """Direction and tint of the light."""
    look: LookChoice | None = None
    """Materials, surroundings and lens; None, and absent in JSON, for the plain world."""


def with_look(style: Style, options: LookOptions, seed: int, flipped: bool = False) -> Style:
    """Return a style in a look, with materials by the seed; the same one for a plain look."""
    if options.look == PLAIN:
        return style
    name: LookName = options.look  # type: ignore[assignment]
    return replace(style, look=LookChoice(name, float(options.severity), seed, flipped))


@dataclass(frozen=True, kw_only=True)
class Params(Record):
    """Base of a family's parameters."""

    style: Style
    """Floor, backdrop and light."""

    @classmethod
    def of(cls, case: Case) -> Self:
        """Return the scene parameters of a case.

        Raises:
            ConfigError: they are not those of this family.
        """
        return cls.from_json(case.scene["params"])

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, the style last."""
        values = super().to_json()
        return {**{name: value for name, value in values.items() if name != "style"}, "style": values["style"]}


@lru_cache(maxsize=128)
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _marks(kind: Any, mark: type) -> list[Any]:
    return [m for m in getattr(kind, "__metadata__", ()) if isinstance(m, mark)]


def _image(value: Any, kind: Any = None) -> Any:
    for mark in _marks(kind, Mirrored):
        return mark.image(value)
    if isinstance(value, tuple):
        return tuple(_image(v) for v in value)
    return value.mirrored() if isinstance(value, Record) else value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value.to_json() if isinstance(value, Record) else value


def _checked(value: Any, kind: Any, where: str) -> Any:
    """Return a JSON value as one of a field's type."""
    allowed = [v for mark in _marks(kind, OneOf) for v in mark.values]
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is UnionType:
        (kind,) = (k for k in get_args(kind) if k is not NoneType)
    if get_origin(kind) is tuple:
        return _checked_tuple(value, get_args(kind), where)
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind.from_json(value, where)
    if get_origin(kind) is Literal:
        allowed, kind = list(get_args(kind)), type(get_args(kind)[0])
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise ConfigError(f"{where} must be of type {kind.__name__}, got {value!r}")
    if allowed and value not in allowed:
        raise ConfigError(f"{where} must be one of {', '.join(map(str, allowed))}, got {value!r}")
    return value


def _checked_tuple(value: Any, kinds: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or (kinds[-1] is not Ellipsis and len(value) != len(kinds)):
        raise ConfigError(
            f"{where} must be a list{'' if kinds[-1] is Ellipsis else f' of {len(kinds)}'}, got {value!r}"
        )
    kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
    return tuple(_checked(v, kind, f"{where}[{i}]") for i, (v, kind) in enumerate(zip(value, kinds, strict=True)))
