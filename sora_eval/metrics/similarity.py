"""Similarity of clips: PSNR and SSIM of pixels (torchmetrics), and of frame and text embeddings (CLIPSIM, consistency, state change)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sora_eval.types import Floats, Frames

if TYPE_CHECKING:
    from torch import Tensor

PSNR_MOST = 100.0
"""PSNR of an equal frame (dB), whose ratio is infinite."""
_PIXELS_AT_ONCE = 1 << 18
PIXEL_PROTOCOL = f"torchmetrics psnr=mean-over-frames-of-dB(equal={PSNR_MOST:g}) ssim=mean-over-frames"


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
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio as measure

    per_frame: list[Tensor] = []
    for x, y in _batches(a, b):
        part: Any = measure(_image_batch(x), _image_batch(y), data_range=1.0, reduction="none", dim=(1, 2, 3))
        per_frame.append(part.clamp(max=PSNR_MOST))
    return float(torch.cat(per_frame).mean())


def ssim(a: Frames, b: Frames) -> float:
    """Return the structural similarity of frames uint8 [T, H, W, 3], the mean over them (Wang et al. 2004).

    Example:
        >>> a = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
        >>> round(ssim(a, a), 4)
        1.0
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as measure

    if a.shape != b.shape or a.ndim != 4 or not len(a):
        raise ValueError(f"need two clips [T, H, W, 3] of one shape, got {a.shape} and {b.shape}")
    total = 0.0
    for x, y in _batches(a, b):
        part: Any = measure(_image_batch(x), _image_batch(y), data_range=1.0)
        total += float(part) * len(x)
    return total / len(a)


def _batches(a: Frames, b: Frames) -> Iterator[tuple[Frames, Frames]]:
    """Yield some frames of both clips at a time: filters take ten times the memory of the frames, and are faster within a core's caches."""
    at_once = max(1, _PIXELS_AT_ONCE // (a.shape[1] * a.shape[2]))
    for i in range(0, len(a), at_once):
        yield a[i : i + at_once], b[i : i + at_once]


def clip_similarity(frames: Floats, text: Floats) -> float:
    """Return the mean cosine of frames [T, d] with a text [d]: CLIPSIM (Wu et al. 2021, arXiv:2104.14806).

    Example:
        >>> clip_similarity(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, 0.0]))
        0.5
    """
    return float((_unit(frames) @ _unit(text)).mean())


def temporal_consistency(frames: Floats) -> float:
    """Return the mean cosine of each frame [T, d] with the next (Esser et al. 2023, arXiv:2302.03011).

    Raises ValueError for a single frame.

    Example:
        >>> temporal_consistency(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        0.5
    """
    x = _several(frames)
    return float((x[1:] * x[:-1]).sum(axis=1).mean())


def subject_consistency(frames: Floats) -> float:
    """Return the mean of each frame's cosines with the first frame and with the one before, negative ones as 0.

    The formula of VBench (Huang et al. 2024, arXiv:2311.17982), on whatever encoder made the vectors [T, d].
    Raises ValueError for a single frame.

    Example:
        >>> subject_consistency(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
        0.25
    """
    x = _several(frames)
    before, first = (x[1:] * x[:-1]).sum(axis=1), x[1:] @ x[0]
    return float(np.mean((np.maximum(0, before) + np.maximum(0, first)) / 2))


def directional_similarity(before: Floats, after: Floats, text_before: Floats, text_after: Floats) -> float:
    """Return the cosine between the change of frames and the change of texts (Gal et al. 2022, arXiv:2108.00946).

    before, after: frames [T, d] of the two clips; their means are compared. text_before, text_after: [d].
    Raises ValueError where frames or texts do not change at all: then there is no direction.

    Example:
        >>> before, after = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
        >>> round(directional_similarity(before, after, after[0], before[0]), 6)
        -1.0
    """
    pictures = _unit(after).mean(axis=0) - _unit(before).mean(axis=0)
    words = _unit(text_after) - _unit(text_before)
    if min(np.linalg.norm(pictures), np.linalg.norm(words)) < 1e-9:
        raise ValueError("nothing changed between the clips, or between the texts: there is no direction to compare")
    return float(_unit(pictures) @ _unit(words))


def state_change(frames: Floats, text_before: Floats, text_after: Floats, scale: float) -> Floats:
    """Return the probability [T] that each frame shows the state after rather than the one before.

    A softmax over the two texts [d] of cosines with the frames [T, d] times `scale`, the one that the encoder was trained with (zero-shot
    classification, Radford et al. 2021, arXiv:2103.00020).

    Example:
        >>> before, after = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        >>> state_change(np.array([before, after]), before, after, scale=20.0).round(3).tolist()
        [0.0, 1.0]
    """
    gap = scale * (_unit(frames) @ (_unit(text_after) - _unit(text_before)))
    return np.asarray(1 / (1 + np.exp(-np.clip(gap, -500, 500))))


def _image_batch(frames: Frames) -> Tensor:
    import torch

    return torch.from_numpy(np.array(frames)).movedim(-1, 1).float() / 255


def _unit(x: Floats) -> Floats:
    x = np.asarray(x, np.float64)
    if not np.isfinite(x).all():
        raise ValueError("vectors must be finite, got NaN or infinity")
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    if (length == 0).any():
        raise ValueError("a vector of length 0 has no direction")
    return np.asarray(x / length)


def _several(frames: Floats) -> Floats:
    if np.ndim(frames) != 2 or len(frames) < 2:
        raise ValueError(f"at least 2 frames [T, d] are needed, got shape {np.shape(frames)}")
    return _unit(frames)
