"""Denoising loss of a clip: what its measurement has in common among models, so that losses of two of them are measured alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sora_eval.types import Frames

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Noise levels at which the loss is taken, 0 noise and 1 clean; its mean over them is the loss of a clip."""
DRAWS = 4
"""Noises per level; the same for every clip of a length, so that two clips differ by what they show alone."""


def noises(shape: tuple[int, ...]) -> list[Tensor]:
    """Return the noises, `DRAWS` float32 tensors of a shape, the same on every machine."""
    return [torch.randn(shape, generator=torch.Generator().manual_seed(draw)) for draw in range(DRAWS)]


def mean_over_windows(loss: Callable[[Frames], float], frames: Frames, longest: int, fewest: int) -> float:
    """Return the mean loss of a clip that is read in windows, weighted by their frames.

    longest: frames of a window. fewest: frames that the last window of a long clip must have; fewer are left out.
    """
    windows = [frames[i : i + longest] for i in range(0, len(frames), longest)]
    windows = windows[:1] + [w for w in windows[1:] if len(w) >= fewest]
    return float(np.average([loss(w) for w in windows], weights=[len(w) for w in windows]))
