"""What a generator raises costs a case; what a signal handler raises while it works ends the program."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.answers import answers
from sora_eval.generator.callable import PythonCallable
from sora_eval.types import Failure


def out_of_time(number: int, frame: object) -> None:
    sys.exit(-1)


def stopped(
    prompt: str, *, height: int, width: int, frames: int, fps: float, seed: int, conditioning: object
) -> object:
    os.kill(os.getpid(), signal.SIGUSR2)
    return np.zeros((frames, height, width, 3), np.uint8)


def leaving(
    prompt: str, *, height: int, width: int, frames: int, fps: float, seed: int, conditioning: object
) -> object:
    sys.exit(3)


def test_a_signal_while_a_model_works_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = registry.probe("relation").cases(2, registry.profile("small"), "t2v")
    before = signal.signal(signal.SIGUSR2, out_of_time)
    try:
        with pytest.raises(SystemExit):
            list(answers(PythonCallable(stopped), cases))
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_model_that_calls_sys_exit_costs_its_cases() -> None:
    cases = registry.probe("relation").cases(2, registry.profile("small"), "t2v")
    found = [answer for _, answer in answers(PythonCallable(leaving), cases)]
    assert all(isinstance(a, Failure) and a.technical and "SystemExit" in a.reason for a in found)
