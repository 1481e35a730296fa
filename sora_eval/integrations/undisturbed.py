"""Running other code in the midst of a training, which goes on bit for bit as it would have without it."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn


@contextmanager
def undisturbed(modules: Iterable[nn.Module] = ()) -> Iterator[None]:
    """Run code without gradients, with networks in evaluation mode, and leave behind nothing that a training depends on.

    As before are: the states of all random generators (Python, NumPy, torch, its devices), the mode of every submodule, grad mode,
    requires_grad, and the cache of autocast; device memory that was taken is given back. Gradients and weights are not touched.

    modules: the networks that the code uses.
    """
    networks = list(modules)
    parts = list({id(part): part for network in networks for part in network.modules()}.values())
    modes = [part.training for part in parts]
    parameters = [p for network in networks for p in network.parameters()]
    required = [p.requires_grad for p in parameters]
    restore = _random_states()
    try:
        # Not by eval(): some layers merge weights when they are switched, which rounds them.
        for part in parts:
            part.training = False
        with torch.no_grad():
            yield
    finally:
        for part, mode in zip(parts, modes, strict=True):
            part.training = mode
        for parameter, wanted in zip(parameters, required, strict=True):
            parameter.requires_grad_(wanted)
        restore()
        # Casts that were cached without gradients would be used again by a training step under autocast.
        torch.clear_autocast_cache()
        gc.collect()
        if _cuda_is_used():
            torch.cuda.empty_cache()


@contextmanager
def lent(pipeline: Any) -> Iterator[None]:
    """Use a pipeline of diffusers: its schedulers are copies meanwhile, for sampling sets their time steps, which a training may share."""
    schedulers = {name: part for name, part in pipeline.components.items() if hasattr(part, "set_timesteps")}
    progress = getattr(pipeline, "_progress_bar_config", None)
    try:
        for name, scheduler in schedulers.items():
            setattr(pipeline, name, deepcopy(scheduler))
        pipeline.set_progress_bar_config(disable=True)
        yield
    finally:
        for name, scheduler in schedulers.items():
            setattr(pipeline, name, scheduler)
        if progress is None:
            vars(pipeline).pop("_progress_bar_config", None)
        else:
            pipeline._progress_bar_config = progress


def networks_of(pipeline: Any) -> list[nn.Module]:
    """Return the networks of a pipeline of diffusers."""
    return [part for part in pipeline.components.values() if isinstance(part, nn.Module)]


def _random_states() -> Callable[[], None]:
    """Return a function that puts all random generators back to where they are now."""
    python, numpy, host = random.getstate(), np.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if _cuda_is_used() else []
    apple = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(host)
        if devices:
            torch.cuda.set_rng_state_all(devices)
        if apple is not None:
            torch.mps.set_rng_state(apple)

    return restore


def _cuda_is_used() -> bool:
    # What was never used has no state yet, and asking for it would take memory of the device.
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
