"""XFeat: learned features of a frame and their matches.

Source: Potje et al. 2024, "XFeat: Accelerated Features for Lightweight Image Matching"; layers are named as in the published weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sora_eval.tracking.natural import weights
from sora_eval.tracking.twoview import Matches
from sora_eval.types import Floats, Frames

WORKING_SIDE = 352
"""Frames are scaled to this shorter side, a multiple of 32: at 640 x 352 a core takes a tenth of a second per frame."""
_LONGEST = 1024
_FEATURES = 1200
_DETECTED = 0.05
_ALIKE = 0.82
"""Least cosine of a match, the default of the authors' matcher."""


def _layer(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    block = nn.Module()
    block.layer = nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outside, affine=False),
        nn.ReLU(inplace=True),
    )
    block.forward = block.layer.forward
    return block


class XFeat(nn.Module):
    """The network: grey frames [B, 1, H, W], sides multiples of 32 -> descriptors, key points, reliability."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(1)
        self.skip1 = nn.Sequential(nn.AvgPool2d(4, stride=4), nn.Conv2d(1, 24, 1))
        self.block1 = nn.Sequential(_layer(1, 4), _layer(4, 8, stride=2), _layer(8, 8), _layer(8, 24, stride=2))
        self.block2 = nn.Sequential(_layer(24, 24), _layer(24, 24))
        self.block3 = nn.Sequential(_layer(24, 64, stride=2), _layer(64, 64), _layer(64, 64, 1))
        self.block4 = nn.Sequential(_layer(64, 64, stride=2), _layer(64, 64), _layer(64, 64))
        self.block5 = nn.Sequential(_layer(64, 128, stride=2), _layer(128, 128), _layer(128, 128), _layer(128, 64, 1))
        self.block_fusion = nn.Sequential(_layer(64, 64), _layer(64, 64), nn.Conv2d(64, 64, 1))
        self.heatmap_head = nn.Sequential(_layer(64, 64, 1), _layer(64, 64, 1), nn.Conv2d(64, 1, 1), nn.Sigmoid())
        self.keypoint_head = nn.Sequential(
            _layer(64, 64, 1), _layer(64, 64, 1), _layer(64, 64, 1), nn.Conv2d(64, 65, 1)
        )

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return descriptors [B, 64, H/8, W/8], logits of key points [B, 65, H/8, W/8] and reliability [B, 1, H/8, W/8]."""
        x = self.norm(grey)
        x3 = self.block3(self.block2(self.block1(x) + self.skip1(x)))  # (B, 64, H/8, W/8)
        x4 = self.block4(x3)
        x5 = self.block5(x4)
        x4, x5 = (functional.interpolate(part, x3.shape[-2:], mode="bilinear") for part in (x4, x5))
        features = self.block_fusion(x3 + x4 + x5)
        cells = functional.pixel_unshuffle(x, 8)  # (B, 64, H/8, W/8)
        return features, self.keypoint_head(cells), self.heatmap_head(features)


@dataclass(frozen=True)
class Described:
    """The features of a frame."""

    xy: Floats
    """[n, 2] pixels of the frame as it was given."""
    descriptors: Tensor
    """[n, 64] unit vectors."""


@cache
def _network() -> XFeat:
    # The matcher of the semi-dense variant is not used.
    return weights.fill(XFeat(), weights.XFEAT, unused="fine_matcher")


@torch.inference_mode()
def describe(frame: Frames) -> Described:
    """Return the features of a frame uint8 [H, W, 3] RGB.

    Raises:
        AbsentNaturalWeightsError: the weights are not on this machine.
    """
    height, width = frame.shape[:2]
    factor = min(WORKING_SIDE / min(height, width), _LONGEST / max(height, width))
    size = [max(32, round(side * factor / 32) * 32) for side in (width, height)]
    scaled = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    grey = torch.from_numpy(scaled.mean(axis=2, dtype=np.float32))[None, None]
    descriptors, points, reliability = _network()(grey)
    heat = functional.pixel_shuffle(functional.softmax(points, 1)[:, :64], 8)  # (1, 1, H, W)
    peak = (heat == functional.max_pool2d(heat, 5, 1, 2)) & (heat > _DETECTED)
    y, x = peak[0, 0].nonzero(as_tuple=True)
    # As the authors sample, whose weights were trained so.
    limit = torch.tensor([size[0] - 1, size[1] - 1], dtype=torch.float32)
    grid = (2 * torch.stack([x, y], 1).float() / limit - 1)[None, :, None]
    sure = functional.grid_sample(reliability, grid, "bilinear", align_corners=False)[0, 0, :, 0] * heat[0, 0, y, x]
    best = torch.argsort(sure, descending=True, stable=True)[:_FEATURES]
    sampled = functional.grid_sample(descriptors, grid[:, best], "bicubic", align_corners=False)[0, :, :, 0].T
    scale = np.array([width / size[0], height / size[1]])
    xy = (torch.stack([x, y], 1)[best].numpy().astype(np.float64) + 0.5) * scale - 0.5
    return Described(xy, functional.normalize(sampled, dim=1))


def match(a: Described, b: Described) -> Matches:
    """Return the features of two frames that are each other's nearest and alike enough."""
    fewer = min(len(a.xy), len(b.xy))
    if not fewer:
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)), 0)
    likeness = a.descriptors @ b.descriptors.T  # (n, m)
    there, back = likeness.argmax(1), likeness.argmax(0)
    own = torch.arange(len(there))
    good = (back[there] == own) & (likeness[own, there] > _ALIKE)
    return Matches(a.xy[own[good].numpy()], b.xy[there[good].numpy()], fewer)
