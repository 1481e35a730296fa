"""Pixels to tensors and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sora_eval.types import Frames


def to_tensor(frames: Frames) -> Tensor:
    """uint8 [..., T, H, W, 3] to a float32 tensor [..., T, 3, H, W] in -1..1."""
    return torch.from_numpy(np.array(frames)).movedim(-1, -3).float() / 127.5 - 1


def to_uint8(video: Tensor) -> Frames:
    """Float tensor [..., T, 3, H, W] in -1..1 to uint8 [..., T, H, W, 3]."""
    pixels = ((video.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    frames: Frames = pixels.movedim(-3, -1).cpu().numpy()
    return frames
