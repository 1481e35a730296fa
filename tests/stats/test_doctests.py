"""The examples in the docstrings of the statistics."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from sora_eval import stats

MODULES = [module.name for module in pkgutil.iter_modules(stats.__path__, "sora_eval.stats.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_to_run() -> None:
    modules = [importlib.import_module(name) for name in MODULES]
    assert sum(len(test.examples) for m in modules for test in doctest.DocTestFinder().find(m)) >= 25
