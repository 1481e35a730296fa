"""Likeness of clips pixel by pixel, by torchmetrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sora_eval.types import Frames


def psnr(a: Frames, b: Frames) -> float:
    """Return the peak signal-to-noise ratio in dB of frames uint8 [T, H, W, 3], over all of them together; 99 at most, for equal ones."""
    from torchmetrics.functional.image import peak_signal_noise_ratio as measure

    found: Any = measure(_unit(a), _unit(b), data_range=1.0)
    return float(min(99.0, found))


def ssim(a: Frames, b: Frames) -> float:
    """Return the structural similarity of frames uint8 [T, H, W, 3], the mean over them (Wang et al. 2004)."""
    from torchmetrics.functional.image import structural_similarity_index_measure as measure

    found: Any = measure(_unit(a), _unit(b), data_range=1.0)
    return float(found)


def _unit(frames: Frames) -> Tensor:
    return torch.from_numpy(np.array(frames)).movedim(-1, 1).float() / 255
