"""The tiny network as an encoder by name."""

from __future__ import annotations

import pytest
from fidelity.tiny import ENCODER

from sora_eval.encoders import video as encoders


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder of that name."""
    monkeypatch.setitem(encoders.ENCODERS, "means", lambda paths: ENCODER)  # type: ignore[arg-type]
