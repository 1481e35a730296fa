"""A tiny fixed network in the encoders' place, and clips for it."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from sora_eval.encoders.video import VideoEncoder
from sora_eval.types import Measure, Video


class Means(nn.Module):
    """Eight numbers of a clip: the mean of each quarter of the frame in the first and in the second half."""

    def forward(self, x: Tensor) -> Tensor:
        cells = nn.functional.adaptive_avg_pool3d(x.mean(dim=1), (2, 2, 2))
        return cells.flatten(1)


ENCODER = VideoEncoder("means", "0123456789", Means(), 16, 4, ((0.5,) * 3, (0.5,) * 3))


def clips(n: int, seed: int, level: float = 0.0) -> list[Video]:
    rng = np.random.default_rng(seed)
    made = rng.normal(120 + level, 40, (n, 1, 2, 2, 1)) + rng.normal(0, 20, (n, 5, 2, 2, 1))
    large = np.clip(made, 0, 255).astype(np.uint8).repeat(8, axis=2).repeat(8, axis=3).repeat(3, axis=4)
    return [Video(c, 8.0) for c in large]


def by_name(rows: list[Measure]) -> dict[str, Measure]:
    return {r.metric: r for r in rows}
