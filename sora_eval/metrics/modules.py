"""Video metrics with a state, as `torchmetrics.Metric`: Frechet and kernel video distance, and CLIPSIM.

They take features batch by batch, in any process; `compute` is what the pure function gives for all features together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from sora_eval.metrics.frechet import Moments, distance, merge
from sora_eval.metrics.kernel import KVD, Kernel, mmd
from sora_eval.metrics.similarity import clip_similarity
from sora_eval.types import Floats


class FrechetVideoDistance(Metric):
    """Squared Frechet distance of real and generated clips' features, see `frechet_distance`; FVD with features of I3D.

    Its memory grows with the width of the features, not with the clips: the state is their moments, which merge exactly.

    Example:
        >>> metric, x = FrechetVideoDistance(features=3), torch.randn(100, 3, generator=torch.manual_seed(0))
        >>> metric.update(x, real=True); metric.update(x + torch.tensor([3, 4, 0]), real=False)
        >>> round(metric.compute().item(), 3)
        25.0
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    plot_lower_bound = 0.0
    real: Tensor
    """Packed moments of real clips [features + 2, features]."""
    fake: Tensor
    """Packed moments of generated clips [features + 2, features]."""

    def __init__(self, features: int, **kwargs: Any) -> None:
        """Take the number of features of a clip; `kwargs` are those of `torchmetrics.Metric`."""
        super().__init__(**kwargs)
        for name in ("real", "fake"):
            empty = torch.zeros(features + 2, features, dtype=torch.float64)
            self.add_state(name, empty, dist_reduce_fx=_merge_packed)

    def update(self, features: Tensor, real: bool) -> None:
        """Add features [n, d], one row a clip.

        Raises:
            ValueError: NaN or infinity, or another number of features.
        """
        name = "real" if real else "fake"
        state: Tensor = getattr(self, name)
        if features.ndim != 2 or features.shape[1] != state.shape[1]:
            raise ValueError(f"must be features [n, {state.shape[1]}], got shape {tuple(features.shape)}")
        added = _packed(Moments.of(_array(features))).to(state.device)
        setattr(self, name, _merge_packed(torch.stack([state, added])))

    def compute(self) -> Tensor:
        """Return the plug-in distance, a scalar.

        Raises:
            ValueError: fewer than 2 clips on either side.
        """
        sides = {"real": _unpacked(self.real), "fake": _unpacked(self.fake)}
        for name, moments in sides.items():
            if moments is None or moments.n < 2:
                raise ValueError(f"{name}: at least 2 clips are needed, got {0 if moments is None else moments.n}")
        value = distance(*(moments for moments in sides.values() if moments is not None))
        return torch.tensor(value, dtype=torch.float64, device=self.device)


class KernelVideoDistance(Metric):
    """Squared maximum mean discrepancy of real and generated clips' features, see `mmd`; KVD with features of I3D.

    Example:
        >>> metric, x = KernelVideoDistance(), torch.randn(100, 3, generator=torch.manual_seed(0))
        >>> metric.update(x, real=True); metric.update(x + 1, real=False)
        >>> metric.compute().item() > 1
        True
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    real: list[Tensor]
    """Features of real clips, [n, d] each."""
    fake: list[Tensor]
    """Features of generated clips, [n, d] each."""

    def __init__(self, kernel: Kernel = KVD, **kwargs: Any) -> None:
        """Take the kernel, KVD or JEDI; `kwargs` are those of `torchmetrics.Metric`."""
        super().__init__(**kwargs)
        self.kernel = kernel
        for name in ("real", "fake"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, features: Tensor, real: bool) -> None:
        """Add features [n, d], one row a clip."""
        (self.real if real else self.fake).append(features.detach())

    def compute(self) -> Tensor:
        """Return the discrepancy times the kernel's scale, a scalar.

        Raises:
            ValueError: NaN or infinity, fewer than 2 clips on either side, or unequal numbers of features.
        """
        value = mmd(_rows(self.fake), _rows(self.real), self.kernel)
        return torch.tensor(value, dtype=torch.float64, device=self.device)


class CLIPSIM(Metric):
    """Mean cosine of a clip's frames with its prompt, mean over clips, see `clip_similarity`.

    Example:
        >>> metric = CLIPSIM()
        >>> metric.update(torch.eye(2)[None], torch.tensor([[1.0, 0.0]]))
        >>> metric.compute().item()
        0.5
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound, plot_upper_bound = -1.0, 1.0
    total: Tensor
    """Sum over clips."""
    clips: Tensor
    """Clips."""

    def __init__(self, **kwargs: Any) -> None:
        """Start without clips; `kwargs` are those of `torchmetrics.Metric`."""
        super().__init__(**kwargs)
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("clips", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, frames: Tensor, texts: Tensor) -> None:
        """Add clips: vectors of their frames [n, T, d] and of their prompts [n, d], of any length.

        Raises:
            ValueError: NaN, infinity, a vector of length 0, or frames and prompts of unequal number.
        """
        for clip, text in zip(_array(frames), _array(texts), strict=True):
            self.total += clip_similarity(clip, text)
            self.clips += 1

    def compute(self) -> Tensor:
        """Return the mean over clips, a scalar; NaN without clips."""
        return self.total / self.clips


def _array(x: Tensor) -> Floats:
    return np.asarray(x.detach().cpu().numpy(), np.float64)


def _rows(features: list[Tensor] | Tensor) -> Floats:
    # After a sync, a list state is one tensor.
    parts = features if isinstance(features, list) else [features]
    return np.concatenate([_array(part) for part in parts]) if parts else np.zeros((0, 0))


def _packed(moments: Moments) -> Tensor:
    """Return moments as one tensor [d + 2, d], which processes can exchange: number, mean, factor and rows of 0."""
    d = moments.mean.size
    packed = np.zeros((d + 2, d))
    packed[0], packed[1], packed[2 : 2 + len(moments.factor)] = moments.n, moments.mean, moments.factor
    return torch.from_numpy(packed)


def _unpacked(packed: Tensor) -> Moments | None:
    array = _array(packed)
    return Moments(round(float(array[0, 0])), array[1], array[2:]) if array[0, 0] > 0 else None


def _merge_packed(stacked: Tensor) -> Tensor:
    """Return the moments of all parts [k, d + 2, d] together."""
    parts = [moments for moments in map(_unpacked, stacked) if moments is not None]
    return _packed(merge(parts)).to(stacked.device) if parts else stacked[0]
