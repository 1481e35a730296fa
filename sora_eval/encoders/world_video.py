"""`world-video`: a small space-time network whose features describe the objects of a clip of the world and their motion.

It was trained on clips of the world to predict from 64 numbers (a) where each of the eight colours is in every frame, and how large, so
that trajectories, collisions, vanishings and gravity are in them; (b) which kind of scene it is; (c) whether and how much frames are
blurred, noisy, held, shuffled or run backwards. Arrow and order of time are the classical tasks of self-supervised video learning
(Misra et al. 2016, arXiv:1603.08561; Wei et al. 2018). Compression, wrong gravity and vanishing objects are not trained on: they test it.
Afterwards its features are weighted, so that corruptions in time count as much as those in space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.data.shards import Shard
from sora_eval.encoders.corruptions import distorted, reordered
from sora_eval.errors import ConfigError
from sora_eval.tracking.colours import states_of
from sora_eval.training import loop
from sora_eval.training.muon import Muon
from sora_eval.training.tensors import to_tensor, to_uint8
from sora_eval.types import Floats, Frames
from sora_eval.video import resize, write_png
from sora_eval.video.sheets import contact_sheet
from sora_eval.world.families import FAMILIES

SIDE, FRAMES, FEATURES = 64, 16, 64
CORRUPTIONS: tuple[str, ...] = ("blur", "noise", "held", "shuffled", "backwards")
_GROUPS = 8
_BATCH = 16
_WHOLE = 0.4
_SPATIAL = 0.8
_WEIGHTS = {"scene": 0.2, "damage": 1.0, "states": 4.0}


@dataclass(frozen=True)
class WorldVideoConfig:
    """Sizes of world-video."""

    widths: tuple[int, int, int, int] = (24, 48, 96, 128)
    """Channels at 1/2, 1/4, 1/8 and 1/16 of the frame."""
    features: int = FEATURES
    """Features of a clip."""
    scenes: int = 24
    """Kinds of scenes."""
    colours: int = 8
    """Colours of objects."""


class Space(nn.Module):
    """Half the size of every frame: 3x3 convolution, norm, SiLU."""

    def __init__(self, inside: int, outside: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, 2, kernel // 2)
        self.norm = nn.GroupNorm(_GROUPS, outside)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C, H, W] to [B, T, C', H/2, W/2]."""
        b, t = x.shape[:2]
        y = F.silu(self.norm(self.conv(x.flatten(0, 1))))
        return y.reshape(b, t, *y.shape[1:])


class Time(nn.Module):
    """Adds to every place what a convolution over three frames finds there; with stride 2, half the frames."""

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(width, width, (3, 1, 1), (stride, 1, 1), (1, 0, 0))
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C, H, W] to [B, T / stride, C, H, W]."""
        y = F.silu(self.norm(self.conv(x.transpose(1, 2)))).transpose(1, 2)
        return x[:, :: self.stride] + y


class WorldVideo(nn.Module):
    """The network, with the heads that it is trained by."""

    weights: Tensor

    def __init__(self, config: WorldVideoConfig = WorldVideoConfig(), weights: Sequence[float] = ()) -> None:
        super().__init__()
        self.config = config
        # Not learnt by descent, and so no part of a training state.
        values = torch.tensor(weights) if weights else torch.ones(config.features)
        self.register_buffer("weights", values, persistent=False)
        a, b, c, d = config.widths
        self.body = nn.Sequential(
            Space(3, a, 5), Time(a), Space(a, b), Time(b), Space(b, c), Time(c, 2), Space(c, d), Time(d), Time(d, 2)
        )
        places = (FRAMES // 4) * (SIDE // 16) ** 2
        self.squeeze = nn.Linear(d * places, config.features)
        self.standard = nn.BatchNorm1d(config.features, affine=False, momentum=0.02)
        self.heads = nn.ModuleDict(
            {
                "scene": nn.Linear(config.features, config.scenes),
                "damage": nn.Linear(config.features, len(CORRUPTIONS)),
                "states": nn.Sequential(
                    nn.Linear(config.features, 512), nn.SiLU(), nn.Linear(512, config.colours * FRAMES * 3)
                ),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, 64] of clips [B, 3, 16, 64, 64] in -1..1: mean 0 over clips of the world, and a spread of `weights`."""
        y = self.body(x.transpose(1, 2))  # [B, 4, d, 4, 4]
        features: Tensor = self.standard(self.squeeze(y.flatten(1)).float())
        return features * self.weights

    def judged(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scene logits [B, S], severities [B, 5], and states [B, 8, 16, 3]: root of the area's share, x, y in 0..1."""
        states = self.heads["states"](features).reshape(len(features), self.config.colours, FRAMES, 3)
        return self.heads["scene"](features), self.heads["damage"](features), states


class WorldVideoJob:
    """Predict from a clip's features where its colours are, which scene it is, and how it was corrupted."""

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
        pixels = to_tensor(np.stack([m[0] for m in made])).transpose(1, 2)
        scenes = torch.tensor([self._names.index(shard.items[i].family) for i in chosen])
        severities, states = (torch.from_numpy(np.stack([m[k] for m in made])).float() for k in (1, 2))
        return tuple(v.to(self._device) for v in (pixels, scenes, severities, states))  # type: ignore[return-value]

    def _states_of(self, shard: Shard) -> Floats:
        """Return the states of a shard's clips [N, 8, T, 3]: made once, since corruptions in time only change their order."""
        if shard.name not in self._states:
            self._states[shard.name] = np.stack([states_of(_square(c)) for c in shard.frames()])
        return self._states[shard.name]

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a step."""
        clips, scenes, severities, states = self.batch(step, rank)
        with loop.autocast(self._device):
            scene, damage, predicted = self.network.judged(self.network(clips))
        seen = (states[..., :1] > 0).float()
        parts = {
            "scene": F.cross_entropy(scene.float(), scenes),
            "damage": F.mse_loss(damage.float(), severities),
            # A position is a target only where there is something.
            "states": (predicted[..., 0].float() - states[..., 0]).square().mean()
            + (seen * (predicted[..., 1:].float() - states[..., 1:]).square()).sum() / seen.sum().clamp(min=1) / 2,
        }
        total = torch.stack([_WEIGHTS[k] * v for k, v in parts.items()]).sum()
        figures = {k: float(v.detach()) for k, v in parts.items()}
        right = float((scene.argmax(dim=1) == scenes).float().mean())
        return total, {"clips": float(len(clips)), "right": right, **figures}

    @torch.no_grad()
    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write some corrupted clips as the network sees them."""
        clips, *_ = self.batch(0)
        write_png(path, contact_sheet(list(to_uint8(clips[:8].transpose(1, 2))), columns=8))


def balanced(network: WorldVideo, shards: Sequence[Shard], seed: int, count: int = 160) -> list[float]:
    """Return a weight per feature: the root of the share of its response to corruptions that is to those in time.

    Networks are more sensitive to appearance than to motion (Ge et al. 2024, for I3D). With these weights, held, shuffled
    or reversed clips are about as far from true ones as blurred or noisy clips. Each is applied at full strength to training clips.
    """
    rng = np.random.default_rng([seed, *b"balance"])
    pool = [s for s in shards if s.frames().shape[1] > FRAMES]
    if not pool:
        raise ConfigError(f"no clip of the set is longer than {FRAMES} frames")
    drawn = [pool[i % len(pool)] for i in range(min(count, sum(len(s.items) for s in pool)))]
    clips = [_square(np.asarray(s.frames()[int(rng.integers(len(s.items)))])) for s in drawn]
    clean = _features(network, [c[:FRAMES] for c in clips])
    moved: dict[str, Floats] = {}
    for kind in CORRUPTIONS:
        orders = [reordered(kind, 1.0, FRAMES, rng) for _ in clips]
        made = [_seen(c[order], kind, 1.0, rng) for c, order in zip(clips, orders, strict=True)]
        features = _features(network, made)
        moved[kind] = (features.mean(axis=0) - clean.mean(axis=0)) ** 2 + (
            features.std(axis=0) - clean.std(axis=0)
        ) ** 2
    space, time = (np.mean([moved[k] for k in kinds], axis=0) for kinds in (CORRUPTIONS[:2], CORRUPTIONS[2:]))
    share = np.sqrt(time / (space + time))
    return [float(w) for w in share / np.sqrt(np.square(share).mean())]


@torch.no_grad()
def _features(network: WorldVideo, clips: Sequence[Frames]) -> Floats:
    parts = [clips[i : i + _BATCH] for i in range(0, len(clips), _BATCH)]
    return np.concatenate([network(to_tensor(np.stack(part)).transpose(1, 2)).double().numpy() for part in parts])


def _example(clip: Frames, states: Floats, rng: np.random.Generator) -> tuple[Frames, Floats, Floats]:
    """Return a clip [16, 64, 64, 3], perhaps mirrored and corrupted, the severity of each corruption [5], and its states [8, 16, 3]."""
    severity, kind = np.zeros(len(CORRUPTIONS)), ""
    if rng.random() > _WHOLE:
        k = int(rng.integers(len(CORRUPTIONS)))
        kind, severity[k] = CORRUPTIONS[k], rng.uniform(0.1, 1)
        if kind == "backwards":
            severity[k] = 1.0
    order = int(rng.integers(len(clip) - FRAMES + 1)) + reordered(kind, severity.max(), FRAMES, rng)
    frames, states = _square(np.asarray(clip)[order]), states[:, order]
    if rng.random() < 0.5:
        frames, states = frames[:, :, ::-1], states * (1, -1, 1) + (states[..., :1] > 0) * (0, 1, 0)
    return _seen(frames, kind, severity.max(), rng), severity, states


def _square(clip: Frames) -> Frames:
    return resize(np.asarray(clip), (SIDE, SIDE))


def _seen(frames: Frames, kind: str, severity: float, rng: np.random.Generator) -> Frames:
    if kind not in ("blur", "noise"):
        return frames
    seeds = rng.integers(2**31, size=len(frames))
    return np.stack([distorted(f, kind, _SPATIAL * severity, int(s)) for f, s in zip(frames, seeds, strict=True)])
