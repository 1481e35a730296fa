"""A few hundred mutated inputs (tests/fuzz.py has thousands: make fuzz)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up.
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


FUZZ = _module()


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("fuzz")
    return FUZZ.Fuzz(FUZZ.make_seeds(root / "seeds"), root / "work", seed=1)


@pytest.mark.parametrize("kind", FUZZ.KINDS)
def test_mutated_inputs_break_nothing(fuzz: Any, kind: str) -> None:
    finds = [find for i in range(FUZZ.counts(150, list(FUZZ.KINDS))[kind]) if (find := fuzz.one(kind, i)) is not None]
    assert not finds, "\n".join(f"{f.kind}:{f.number}: {f.what}\n{f.said}" for f in finds)
