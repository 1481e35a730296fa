"""Perceptual distances of pictures through the lpips package (Zhang et al. 2018, arXiv:1801.03924).

`lpips-alex`, `lpips-vgg` and `lpips-squeeze` are LPIPS: its own linear weights on the standard backbones, whose weights must be on this
machine. `lpips-world` is not LPIPS and never called so: the package's SqueezeNet, trained by us on frames of the world from random
weights, to find the more corrupted of two frames. An object removed or recoloured weighs more to it than a darker or noisier
picture, though fewer pixels differ.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.data.shards import Shard
from sora_eval.encoders import state_dicts, weights
from sora_eval.encoders.corruptions import CONTENT, DISTORTIONS, HARMLESS, distorted
from sora_eval.encoders.names import IMAGE_DISTANCES
from sora_eval.errors import ConfigError, unknown
from sora_eval.training import checkpoints
from sora_eval.training.tensors import to_tensor, to_uint8
from sora_eval.types import Floats, Frames
from sora_eval.video import resize, write_png
from sora_eval.video.sheets import contact_sheet

NAME = "lpips-world"
SIDE = 64
LEAST_SIDE = 32
"""The smallest frame that every backbone can read."""
_MILD, _STRONG = 0.3, 0.6
_STANDARD: Mapping[str, str] = {"lpips-alex": "alex", "lpips-vgg": "vgg", "lpips-squeeze": "squeeze"}
_BATCH, _AT_ONCE = 16, 64
_PIXELS_AT_ONCE = 1 << 18
"""Of the frames of a batch, so that its memory does not grow with their size: some 60 MB. With four times as
many, a frame takes twice as long: they don't fit into a core's caches."""


@dataclass(frozen=True)
class Perceptual:
    """A perceptual distance of frames, 0 for equal ones."""

    name: str
    """Name of the network."""
    hash: str
    """Hash of its weights."""
    network: nn.Module
    """The lpips module."""

    @property
    def protocol(self) -> str:
        """All that a distance depends on, but the frames."""
        return f"{self.name}@{self.hash[:8]}"

    def distance(self, a: Frames, b: Frames) -> Floats:
        """Return the distance [T] of each pair of frames uint8 [T, H, W, 3]; LPIPS is made for 64 pixels a side and more.

        Raises:
            ValueError: the shapes differ, or frames are too small.
        """
        if a.shape != b.shape or a.ndim != 4:
            raise ValueError(f"frames must have the same shape [T, H, W, 3], got {a.shape} and {b.shape}")
        if min(a.shape[1:3]) < LEAST_SIDE:
            raise ValueError(f"{self.name} needs {LEAST_SIDE} pixels a side, frames are {a.shape[2]} x {a.shape[1]}")
        at_once = min(_AT_ONCE, max(1, _PIXELS_AT_ONCE // (a.shape[1] * a.shape[2])))
        distances = []
        for i in range(0, len(a), at_once):
            with torch.inference_mode():
                distances.append(
                    self.network(to_tensor(a[i : i + at_once]), to_tensor(b[i : i + at_once])).flatten().double()
                )
        return torch.cat(distances).numpy()


def module(net: str, pretrained: bool) -> nn.Module:
    """Return lpips' module with a random backbone; pretrained: with the linear weights that come with the package."""
    library: Any = importlib.import_module("lpips")
    with warnings.catch_warnings():
        # lpips passes an argument that torchvision deprecates.
        warnings.simplefilter("ignore", UserWarning)
        made: nn.Module = library.LPIPS(pretrained=pretrained, net=net, pnet_rand=True, pnet_tune=True, verbose=False)
    return made


def load(name: str, path: str | None = None) -> Perceptual:
    """Return LPIPS on a standard backbone. path: of its weights, where they are to be taken from there and nowhere else.

    Raises:
        AbsentWeightsError: its weights are not on this machine.
        ConfigError: there is no such distance, or its weights are damaged or others.
    """
    if name == NAME:
        return _world(path)
    if name not in _STANDARD:
        raise unknown("perceptual distance", name, IMAGE_DISTANCES)
    file = weights.locate(name, path)
    digest = weights.verify(name, file)
    network = module(_STANDARD[name], pretrained=True)
    state = network.state_dict()
    at = {m[1]: k for k in state if (m := re.fullmatch(r"net\.slice\d+\.(\d+\..+)", k))}
    backbone = {k: v for k, v in state_dicts.tensors(state_dicts.read(file)).items() if k.startswith("features.")}
    for key, value in backbone.items():
        slot = at.pop(key.removeprefix("features."), "")
        if slot and state[slot].shape != value.shape:
            raise ConfigError(f"{file}: {key} has shape {tuple(value.shape)}, {tuple(state[slot].shape)} is needed")
        if slot:
            state[slot] = value
    if at:
        raise ConfigError(f"{file}: {len(at)} tensors of {name} are missing, features.{sorted(at)[0]} first")
    network.load_state_dict(state)
    return Perceptual(name, digest, network.eval().requires_grad_(False))


class WorldPerceptual(nn.Module):
    """lpips' module on a SqueezeNet that learns, from scratch, which of two pictures is further from a third."""

    def __init__(self) -> None:
        super().__init__()
        self.lpips = module("squeeze", pretrained=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return distances [N] of pictures [N, 3, H, W] in -1..1."""
        distance: Tensor = self.lpips(a, b)
        return distance.flatten()


def _world(path: str | None) -> Perceptual:
    tensors, _, digest = state_dicts.load_bundled(NAME, path)
    network = WorldPerceptual()
    checkpoints.fill(network, tensors, weights.bundled(NAME, path))
    return Perceptual(NAME, digest, network.eval().requires_grad_(False))


class PerceptualJob:
    """Two-alternative forced choice: find the more corrupted of two frames."""

    def __init__(self, network: WorldPerceptual, shards: Sequence[Shard], seed: int) -> None:
        self.network, self._shards, self._seed = network, list(shards), seed
        self._device = next(network.parameters()).device

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return AdamW."""
        return [torch.optim.AdamW(self.network.parameters(), lr=4e-4, betas=(0.9, 0.98), weight_decay=1e-4)]

    def batch(self, step: int, rank: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Return frames, less and more corrupted ones, [N, 3, 64, 64] each."""
        rng = np.random.default_rng([self._seed, *b"perceptual", step, rank])
        shard = self._shards[int(rng.integers(len(self._shards)))]
        clips = shard.frames()
        chosen = rng.choice(len(clips), size=min(_BATCH, len(clips)), replace=False)
        trios = [trio(np.asarray(clips[i][int(rng.integers(clips.shape[1]))]), rng) for i in chosen]
        images = [to_tensor(np.stack(part)).to(self._device) for part in zip(*trios, strict=True)]
        return images[0], images[1], images[2]

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a step: the cross-entropy of the choice, by the ratio of the distances."""
        picture, less, more = self.batch(step, rank)
        # The linear layers stay a distance: what they learn below 0 is cut, as lpips' own trainer does.
        with torch.no_grad():
            for name, p in self.network.named_parameters():
                if ".lin" in name:
                    p.clamp_(min=0)
        near, far = self.network(picture, less), self.network(picture, more)
        gap = torch.log(far + 1e-4) - torch.log(near + 1e-4)
        # The size of the distance is nobody's choice: it is held near the severity.
        level = (near.mean() - 0.25).square() + (far.mean() - 0.5).square()
        total = F.softplus(-3 * gap).mean() + level
        return total, {"clips": float(len(picture)), "right": float((gap > 0).float().mean())}

    @torch.no_grad()
    def preview(self, weights_now: Mapping[str, Tensor], path: Path) -> None:
        """Write frames beside their corrupted ones."""
        rows = torch.stack(self.batch(0), dim=1)[:8]
        write_png(path, contact_sheet(list(to_uint8(rows)), columns=3))


def trio(frame: Frames, rng: np.random.Generator) -> tuple[Frames, Frames, Frames]:
    """Return a frame uint8 [H, W, 3] at 64 x 64, a less and a more corrupted one.

    Half of the time by one corruption, .1 apart at least; else a mild change of appearance against an object removed or recoloured.
    """
    frame = resize(frame[None], (SIDE, SIDE))[0]
    seed = int(rng.integers(2**31))
    if rng.random() < 0.5:
        mild, worse = (kinds[int(rng.integers(len(kinds)))] for kinds in (HARMLESS, CONTENT))
        return frame, *across(frame, mild, worse, rng, seed)
    return frame, *graded(frame, DISTORTIONS[int(rng.integers(len(DISTORTIONS)))], rng, seed)


def graded(frame: Frames, kind: str, rng: np.random.Generator, seed: int) -> tuple[Frames, Frames]:
    """Return a frame less and more corrupted in one way, .1 apart at least."""
    less = rng.uniform(0, 0.85)
    return distorted(frame, kind, less, seed), distorted(frame, kind, rng.uniform(less + 0.1, 1), seed)


def across(frame: Frames, mild: str, worse: str, rng: np.random.Generator, seed: int) -> tuple[Frames, Frames]:
    """Return a frame with a little of one corruption, and with much of another."""
    return distorted(frame, mild, rng.uniform(0, _MILD), seed), distorted(frame, worse, rng.uniform(_STRONG, 1), seed)
