"""Cuts: TransNetV2, the probability of a shot's end per frame.

Source: Soucek and Lokoc 2020, "TransNet V2: An effective deep network architecture for fast shot transition detection"; layers are named as
in the published weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sora_eval.tracking.natural import weights
from sora_eval.types import Floats, Frames

_SIZE = (48, 27)
_WINDOW, _STEP = 100, 50
_AROUND = 50
"""Frames before and after one that it is compared with."""


class _Convolution(nn.Module):
    """A convolution over the picture, then a dilated one over time."""

    def __init__(self, inside: int, outside: int, dilation: int) -> None:
        super().__init__()
        space = nn.Conv3d(inside, 2 * outside, (1, 3, 3), padding=(0, 1, 1), bias=False)
        shift, pad = (dilation, 1, 1), (dilation, 0, 0)
        time = nn.Conv3d(2 * outside, outside, (3, 1, 1), dilation=shift, padding=pad, bias=False)
        self.layers = nn.Sequential(space, time)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class _Dilated(nn.Module):
    """Four dilations side by side: (B, C, T, H, W) -> (B, 4 filters, T, H, W)."""

    def __init__(self, inside: int, filters: int) -> None:
        super().__init__()
        for dilation in (1, 2, 4, 8):
            setattr(self, f"Conv3D_{dilation}", _Convolution(inside, filters, dilation))
        self.bn = nn.BatchNorm3d(4 * filters, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        parts = [getattr(self, f"Conv3D_{dilation}")(x) for dilation in (1, 2, 4, 8)]
        out: Tensor = self.bn(torch.cat(parts, 1))
        return out


class _Block(nn.Module):
    def __init__(self, inside: int, filters: int) -> None:
        super().__init__()
        self.DDCNN = nn.ModuleList([_Dilated(inside, filters), _Dilated(4 * filters, filters)])

    def forward(self, x: Tensor) -> Tensor:
        first = functional.relu(self.DDCNN[0](x))
        return functional.avg_pool3d(functional.relu(self.DDCNN[1](first)) + first, (1, 2, 2))


def _around(alike: Tensor) -> Tensor:
    """Return of similarities [B, T, T] each frame's with those around it, [B, T, 2 * _AROUND + 1]."""
    padded = functional.pad(alike, (_AROUND, _AROUND))
    frames = alike.shape[1]
    index = torch.arange(frames)[:, None] + torch.arange(2 * _AROUND + 1)
    return padded[:, torch.arange(frames)[:, None], index]


class _FrameSimilarity(nn.Module):
    def __init__(self, inside: int) -> None:
        super().__init__()
        self.projection = nn.Linear(inside, 128)
        self.fc = nn.Linear(2 * _AROUND + 1, 128)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        x = torch.cat([f.mean(dim=(3, 4)) for f in features], 1).transpose(1, 2)  # (B, T, C)
        x = functional.normalize(self.projection(x), dim=2)
        return functional.relu(self.fc(_around(x @ x.transpose(1, 2))))


class _ColourSimilarity(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * _AROUND + 1, 128)

    def forward(self, frames: Tensor) -> Tensor:
        top = frames.int() >> 5
        bins = ((top[..., 0] << 6) + (top[..., 1] << 3) + top[..., 2]).flatten(2)  # (B, T, H W)
        counts = torch.zeros(*bins.shape[:2], 512).scatter_add_(2, bins.long(), torch.ones(bins.shape))
        x = functional.normalize(counts, dim=2)
        return functional.relu(self.fc(_around(x @ x.transpose(1, 2))))


class TransNetV2(nn.Module):
    """The network: frames uint8 [B, T, 27, 48, 3] -> logits of a cut [B, T]."""

    def __init__(self) -> None:
        super().__init__()
        self.SDDCNN = nn.ModuleList([_Block(3, 16), _Block(64, 32), _Block(128, 64)])
        self.frame_sim_layer = _FrameSimilarity(64 + 128 + 256)
        self.color_hist_layer = _ColourSimilarity()
        self.fc1 = nn.Linear(256 * 3 * 6 + 256, 1024)
        self.cls_layer1 = nn.Linear(1024, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logit that a shot ends with a frame, [B, T]."""
        x = frames.permute(0, 4, 1, 2, 3).float() / 255  # (B, 3, T, H, W)
        features = []
        for block in self.SDDCNN:
            x = block(x)
            features.append(x)
        x = x.permute(0, 2, 3, 4, 1).flatten(2)  # (B, T, 4608)
        x = torch.cat([self.color_hist_layer(frames), self.frame_sim_layer(features), x], 2)
        out: Tensor = self.cls_layer1(functional.relu(self.fc1(x)))[..., 0]
        return out


@cache
def _network() -> TransNetV2:
    # The second head, of long transitions, is not used.
    return weights.fill(TransNetV2(), weights.TRANSNET, unused="cls_layer2")


@torch.inference_mode()
def cut_probability(frames: Frames) -> Floats:
    """Return the probability [T] that a shot ends with a frame, for frames uint8 [T, H, W, 3] RGB.

    Raises:
        AbsentNaturalWeightsError: the weights are not on this machine.
    """
    small = np.stack([cv2.resize(frame, _SIZE, interpolation=cv2.INTER_AREA) for frame in frames])
    before, after = (_WINDOW - _STEP) // 2, (_WINDOW - _STEP) // 2 + -len(small) % _STEP
    padded = torch.from_numpy(np.concatenate([small[:1].repeat(before, 0), small, small[-1:].repeat(after, 0)]))
    parts = [
        torch.sigmoid(_network()(padded[None, start : start + _WINDOW]))[0, before : before + _STEP]
        for start in range(0, len(padded) - _WINDOW + 1, _STEP)
    ]
    return np.asarray(torch.cat(parts)[: len(small)].numpy(), dtype=np.float64)
