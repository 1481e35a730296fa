"""What the bundled encoders are trained on: clips of the world, some of them damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sora_eval.encoders.world_video import DAMAGES, FRAMES, SIDE, WorldVideo
from sora_eval.learning import training
from sora_eval.learning.muon import Muon
from sora_eval.learning.shards import Shard
from sora_eval.pictures import contact_sheet
from sora_eval.tracking.world import membership
from sora_eval.types import Floats, Frames
from sora_eval.video import resize, write_png
from sora_eval.world.families import FAMILIES
from sora_eval.world.palette import COLOURS

_BATCH = 16
_WHOLE = 0.4
_BLUR_PX, _NOISE_LEVELS = 2.5, 40.0
_WEIGHTS = {"scene": 0.2, "damage": 1.0, "states": 4.0}


class WorldVideoJob:
    """Tell from a clip's features where its colours are, which scene it is, and how it was damaged."""

    def __init__(self, network: WorldVideo, shards: Sequence[Shard], seed: int) -> None:
        self.network = network
        self._shards = [s for s in shards if s.frames().shape[1] > FRAMES]
        self._states: dict[str, Floats] = {}
        self._names, self._seed = sorted(FAMILIES), seed
        self._device = next(network.parameters()).device

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon for matrices and kernels, AdamW for the rest."""
        big = [p for p in self.network.parameters() if p.ndim > 1]
        rest = [p for p in self.network.parameters() if p.ndim <= 1]
        return [Muon(big, lr=0.01), torch.optim.AdamW(rest, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0)]

    def batch(self, step: int, rank: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return clips [B, 3, 16, 64, 64] in -1..1, scenes [B], severities [B, 5] and states [B, 8, 16, 3]."""
        rng = np.random.default_rng([self._seed, *b"world-video", step, rank])
        shard = self._shards[int(rng.integers(len(self._shards)))]
        clips, states_there = shard.frames(), self._states_of(shard)
        chosen = rng.choice(len(clips), size=min(_BATCH, len(clips)), replace=False)
        made = [_example(clips[i], states_there[i], rng) for i in chosen]
        pixels = torch.from_numpy(np.stack([m[0] for m in made])).movedim(-1, 1).float() / 127.5 - 1
        scenes = torch.tensor([self._names.index(shard.items[i].family) for i in chosen])
        severities, states = (torch.from_numpy(np.stack([m[k] for m in made])).float() for k in (1, 2))
        return tuple(v.to(self._device) for v in (pixels, scenes, severities, states))  # type: ignore[return-value]

    def _states_of(self, shard: Shard) -> Floats:
        """Return the states of a shard's clips [N, 8, T, 3]: made once, since damages in time only change their order."""
        if shard.name not in self._states:
            self._states[shard.name] = np.stack([states_of(_square(c)) for c in shard.frames()])
        return self._states[shard.name]

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a step."""
        clips, scenes, severities, states = self.batch(step, rank)
        with training.autocast(self._device):
            scene, damage, found = self.network.judged(self.network(clips))
        seen = (states[..., :1] > 0).float()
        parts = {
            "scene": F.cross_entropy(scene.float(), scenes),
            "damage": F.mse_loss(damage.float(), severities),
            # A place is asked for only where there is something.
            "states": (found[..., 0].float() - states[..., 0]).square().mean()
            + (seen * (found[..., 1:].float() - states[..., 1:]).square()).sum() / seen.sum().clamp(min=1) / 2,
        }
        total = torch.stack([_WEIGHTS[k] * v for k, v in parts.items()]).sum()
        figures = {k: float(v.detach()) for k, v in parts.items()}
        right = float((scene.argmax(dim=1) == scenes).float().mean())
        return total, {"clips": float(len(clips)), "right": right, **figures}

    @torch.no_grad()
    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write some damaged clips as the network sees them."""
        clips, *_ = self.batch(0)
        pixels = ((clips[:8] + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).cpu().numpy()
        write_png(path, contact_sheet(list(pixels), columns=8))


def _example(clip: Frames, states: Floats, rng: np.random.Generator) -> tuple[Frames, Floats, Floats]:
    """Return a clip [16, 64, 64, 3], perhaps mirrored and damaged, how much of each damage it has [5], and its states [8, 16, 3]."""
    severity, kind = np.zeros(len(DAMAGES)), ""
    if rng.random() > _WHOLE:
        k = int(rng.integers(len(DAMAGES)))
        kind, severity[k] = DAMAGES[k], rng.uniform(0.1, 1)
        if kind == "backwards":
            severity[k] = 1.0
    order = int(rng.integers(len(clip) - FRAMES + 1)) + _order(kind, severity.max(), rng)
    frames, states = _square(np.asarray(clip)[order]), states[:, order]
    if rng.random() < 0.5:
        frames, states = frames[:, :, ::-1], states * (1, -1, 1) + (states[..., :1] > 0) * (0, 1, 0)
    return _seen(frames, kind, severity.max(), rng), severity, states


def _square(clip: Frames) -> Frames:
    return resize(np.asarray(clip), (SIDE, SIDE))


def _order(kind: str, severity: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return which frame is shown when, [16]."""
    order = np.arange(FRAMES)
    some = max(2, round(severity * FRAMES))
    if kind == "backwards":
        return order[::-1]
    if kind == "held":
        order[FRAMES - some :] = FRAMES - some
    elif kind == "shuffled":
        at = rng.choice(FRAMES, size=some, replace=False)
        order[at] = rng.permutation(at)
    return order


def _seen(frames: Frames, kind: str, severity: float, rng: np.random.Generator) -> Frames:
    if kind == "blur":
        return np.stack([cv2.GaussianBlur(f, (0, 0), _BLUR_PX * severity) for f in frames]).astype(np.uint8)
    if kind == "noise":
        noisy = frames + rng.normal(0, _NOISE_LEVELS * severity, frames.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return frames


def states_of(frames: Frames) -> Floats:
    """Return for each palette colour and frame [8, T, 3]: the root of the frame's share that it covers, and its centre x, y in 0..1."""
    t, h, w, _ = frames.shape
    index, weight = membership(np.asarray(frames).reshape(t * h, w, 3))
    one: NDArray[np.bool_] = index[None] == np.arange(len(COLOURS))[:, None, None]
    mass = np.where(one, weight, 0.0).reshape(len(COLOURS), t, h, w)
    total = mass.sum(axis=(2, 3))
    safe = np.maximum(total, 1e-9)
    x = (mass.sum(axis=2) * ((np.arange(w) + 0.5) / w)).sum(axis=2) / safe
    y = (mass.sum(axis=3) * ((np.arange(h) + 0.5) / h)).sum(axis=2) / safe
    there = total > 2
    return np.stack([np.sqrt(total / (h * w)) * there, x * there, y * there], axis=-1)
