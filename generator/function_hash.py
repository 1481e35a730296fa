"""A hash of a function object: its code, defaults, the variables that it captures and the global values that it uses."""

from __future__ import annotations

import builtins
import hashlib
import inspect
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sora_eval.types import digest


class _UnknownStateError(Exception):
    """A function uses a value of which no hash can be taken."""


def function_hash(function: Callable[..., Any]) -> str:
    """Return a hash of all that a function's answers depend on, as far as it can be seen; else one that no other object has.

    Plain values, arrays, functions and containers of them are hashed by content. A function that holds anything else, such as a
    network in a closure, a global variable or the object of a method, has a hash of its own each time: clips of one must never pass
    for those of another.
    """
    try:
        return digest(list(_parts(function, set())))
    except _UnknownStateError:
        return uuid.uuid4().hex


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, np.ndarray | np.generic):
        yield [
            str(value.dtype),
            list(np.shape(value)),
            hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest(),
        ]
    elif value is None or isinstance(value, str | int | float | complex | bool | bytes):
        yield repr(value)
    elif isinstance(value, types.ModuleType):
        yield value.__name__
    elif isinstance(value, types.BuiltinFunctionType):
        yield f"{value.__module__}.{value.__qualname__}"
    elif isinstance(value, type):
        # One that is imported changes with its module's file or version; one of a notebook or script may change under its name.
        if value.__module__ == "__main__":
            raise _UnknownStateError
        yield f"{value.__module__}.{value.__qualname__}"
    elif isinstance(value, types.CodeType):
        yield [value.co_code.hex(), list(value.co_names), list(value.co_varnames)]
        for constant in value.co_consts:
            yield from _parts(constant, seen)
    elif isinstance(value, types.FunctionType):
        if id(value) not in seen:
            seen.add(id(value))
            yield from _parts_of_function(value, seen)
    elif isinstance(value, tuple | list | set | frozenset):
        yield type(value).__name__
        for item in sorted(value, key=repr) if isinstance(value, set | frozenset) else value:
            yield from _parts(item, seen)
    elif isinstance(value, Mapping) and type(value) is dict:
        for key, item in value.items():
            yield from _parts(key, seen)
            yield from _parts(item, seen)
    else:
        raise _UnknownStateError


def _parts_of_function(function: types.FunctionType, seen: set[int]) -> Iterator[Any]:
    yield from _parts(function.__code__, seen)
    yield from _parts((function.__defaults__, function.__kwdefaults__), seen)
    for cell in function.__closure__ or ():
        try:
            captured = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        yield from _parts(captured, seen)
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__ and not hasattr(builtins, name):
            yield name
            yield from _parts(function.__globals__[name], seen)


def _names(code: types.CodeType) -> set[str]:
    """Return the names that code and the functions defined in it look up."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*inner)


def source_text(function: Callable[..., Any]) -> str:
    """Return the text of the file that defines a function, "" for a built-in, an instance or a function made at run time."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
        return Path(file).read_text(encoding="utf-8") if file else ""
    except (TypeError, OSError, ValueError):
        return ""
