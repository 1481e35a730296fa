"""Fixtures of all tests of pipelines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sora_eval.generator.pipelines import loading


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    loading._LOADED.clear()
