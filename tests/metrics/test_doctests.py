"""The examples in the docstrings of metrics run, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import sora_eval.metrics

MODULES = [f"sora_eval.metrics.{m.name}" for m in pkgutil.iter_modules(sora_eval.metrics.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.failed == 0
    public = {n for n, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == name and n[0] != "_"}
    assert {n for n in public if ">>>" not in (getattr(module, n).__doc__ or "")} == set()
