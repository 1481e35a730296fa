"""A few hundred mutated inputs (tests/fuzz.py has thousands: make fuzz)."""

from __future__ import annotations

import fuzz
import pytest


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> fuzz.Fuzz:
    root = tmp_path_factory.mktemp("fuzz")
    return fuzz.Fuzz(fuzz.make_seeds(root / "seeds"), root / "work", seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_mutated_inputs_break_nothing(fuzzer: fuzz.Fuzz, kind: str) -> None:
    finds = [find for i in range(fuzz.counts(150, list(fuzz.KINDS))[kind]) if (find := fuzzer.one(kind, i)) is not None]
    assert not finds, "\n".join(f"{f.kind}:{f.number}: {f.what}\n{f.said}" for f in finds)
