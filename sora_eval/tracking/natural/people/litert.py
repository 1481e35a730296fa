"""Networks in TensorFlow Lite's format, run by the package ai-edge-litert."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_eval.errors import SoraEvalError
from sora_eval.tracking.natural import weights

PACKAGE = "ai_edge_litert"


class AbsentRuntimeError(SoraEvalError):
    """ai-edge-litert is not installed; the message says what installs it."""


def check() -> None:
    """Check that the networks can be run, without importing what runs them.

    Raises:
        AbsentRuntimeError: they can't.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise AbsentRuntimeError(f"tracker=natural runs its networks of people by ai-edge-litert: {weights.EXTRA}")


@cache
def _interpreter(file: weights.NaturalWeights) -> Any:
    check()
    from ai_edge_litert.interpreter import Interpreter

    # One thread: clips are judged in parallel, and sums keep their order.
    interpreter = Interpreter(model_path=str(weights.locate(file)), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def run(file: weights.NaturalWeights, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the outputs of a network, without the batch's axis. image: float32 [S, S, 3] in the network's range.

    Raises:
        AbsentRuntimeError: ai-edge-litert is not installed.
        AbsentNaturalWeightsError, ConfigError: see `weights.locate`.
    """
    interpreter = _interpreter(file)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    return [interpreter.get_tensor(out["index"])[0] for out in interpreter.get_output_details()]
