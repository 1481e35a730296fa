"""How near things are to the camera, by Depth Anything.

Source: Yang et al. 2024, "Depth Anything V2".
"""

from __future__ import annotations

import cv2
import numpy as np

from sora_eval.tracking.open_vocab.hub import HubModel, load
from sora_eval.types import Box, Floats, Frames

KINDS = ("depth_anything",)
_NETWORK, _PROCESSOR = "DepthAnythingForDepthEstimation", "AutoImageProcessor"
_INNER = 0.25
"""Share of a box's sides that is left out at each end: the ground shows through the corners."""


def nearness_map(model: HubModel, device: str, frame: Frames) -> Floats:
    """Return the share of the frame's pixels that are farther away than each pixel [H, W], 0 to 1. frame: uint8 [H, W, 3] RGB.

    The network's relative inverse depth has neither unit nor zero, but an order.

    Raises:
        AbsentModelError, ConfigError: the network can't be loaded.
    """
    import torch

    loaded = load(model, _NETWORK, _PROCESSOR, device)
    inputs = loaded.processor(images=frame, return_tensors="pt").to(loaded.device)
    with torch.inference_mode():
        inverse = loaded.network(**inputs).predicted_depth[0].double().cpu().numpy()
    values = np.sort(inverse.ravel())
    rank = np.searchsorted(values, inverse, side="left") / values.size
    height, width = frame.shape[:2]
    return np.asarray(cv2.resize(rank, (width, height), interpolation=cv2.INTER_LINEAR))


def nearness(ranks: Floats, box: Box | Floats) -> float:
    """Return the median of ranks [H, W] in the middle of a box, NaN where that has no pixel."""
    x0, y0, x1, y1 = (float(v) for v in box)
    if not np.isfinite([x0, y0, x1, y1]).all():
        return float("nan")
    dx, dy = _INNER * (x1 - x0), _INNER * (y1 - y0)
    rows = slice(max(round(y0 + dy), 0), max(round(y1 - dy), round(y0 + dy)) + 1)
    columns = slice(max(round(x0 + dx), 0), max(round(x1 - dx), round(x0 + dx)) + 1)
    part = ranks[rows, columns]
    return float(np.median(part)) if part.size else float("nan")
