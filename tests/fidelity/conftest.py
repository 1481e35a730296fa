"""The tiny network as an encoder by name."""

from __future__ import annotations

import pytest
from fidelity.tiny import ENCODER

from sora_eval.encoders import video as encoders
from sora_eval.fidelity import config


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder of that name."""
    monkeypatch.setitem(encoders.ENCODERS, "means", lambda paths: ENCODER)  # type: ignore[arg-type]
    monkeypatch.setattr(config, "VIDEO_ENCODERS", (*config.VIDEO_ENCODERS, "means"))
