"""Full-reference pixel metrics of clips, by torchmetrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sora_eval.types import Frames

PSNR_MOST = 100.0
"""PSNR of an equal frame (dB), whose ratio is infinite."""
PROTOCOL = f"torchmetrics psnr=mean-over-frames-of-dB(equal={PSNR_MOST:g}) ssim=mean-over-frames"


def psnr(a: Frames, b: Frames) -> float:
    """Return the peak signal-to-noise ratio in dB of frames uint8 [T, H, W, 3]: the mean over frames of each frame's, as papers print it.

    A frame's is `10 log10(255^2 / mean squared error)`, 100 at most, which an equal frame has. Taken over all pixels of a clip
    together it is lower, by 3 to 19 dB for clips with a few bad frames.

    Raises ValueError for unequal shapes, or what is no clip.

    Example:
        >>> a = np.full((2, 8, 8, 3), 60, np.uint8)
        >>> round(psnr(a, a + 51), 2)  # 20 log10(255 / 51)
        13.98
    """
    if a.shape != b.shape or a.ndim != 4 or not len(a):
        raise ValueError(f"need two clips [T, H, W, 3] of one shape, got {a.shape} and {b.shape}")
    from torchmetrics.functional.image import peak_signal_noise_ratio as measure

    per_frame: Any = measure(_unit(a), _unit(b), data_range=1.0, reduction="none", dim=(1, 2, 3))
    return float(per_frame.clamp(max=PSNR_MOST).mean())


def ssim(a: Frames, b: Frames) -> float:
    """Return the structural similarity of frames uint8 [T, H, W, 3], the mean over them (Wang et al. 2004).

    Example:
        >>> a = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
        >>> round(ssim(a, a), 4)
        1.0
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as measure

    similarity: Any = measure(_unit(a), _unit(b), data_range=1.0)
    return float(similarity)


def _unit(frames: Frames) -> Tensor:
    return torch.from_numpy(np.array(frames)).movedim(-1, 1).float() / 255
