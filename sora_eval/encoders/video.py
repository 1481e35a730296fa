"""Encoders of whole clips, with all that a published number depends on in one line: network, weights, frames, size, range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.encoders import i3d, state_dicts, vit, weights, world_video
from sora_eval.errors import ConfigError, unknown
from sora_eval.training import checkpoints
from sora_eval.types import Floats, Video
from sora_eval.video import resize

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class VideoEncoder:
    """A network that maps a clip to one feature vector."""

    name: str
    """Name of the network."""
    hash: str
    """Hash of its weights."""
    network: nn.Module
    """[B, 3, T, H, W] to [B, d]."""
    side: int
    """Frames are squashed to side x side."""
    frames: int
    """Frames that are read, from the first on, one after the other."""
    colours: tuple[tuple[float, ...], tuple[float, ...]]
    """(mean, standard deviation) by which 0..1 is normalised."""
    resize: Literal["bilinear", "bicubic", "area"] = "bilinear"
    """Interpolation."""
    variant: str = ""
    """Which of several public implementations the network follows, as part of the protocol; "" where there is one."""

    @property
    def protocol(self) -> str:
        """All that the features of a clip depend on, but the clip."""
        (mean, spread) = self.colours
        span = f"{-mean[0] / spread[0]:.3g}..{(1 - mean[0]) / spread[0]:.3g}"
        read = f"frames={self.frames} stride=1 resize={self.resize}-squash-{self.side} range={span}"
        return f"{self.name}@{self.hash[:8]} {self.variant}{' ' if self.variant else ''}{read}"

    def features(self, clips: Iterable[Video], batch: int = 8) -> Iterator[Floats]:
        """Yield the features [b, d] of clips, `batch` at a time; no clip is kept.

        Raises:
            ConfigError: a clip has fewer frames than are read.
        """
        rest = iter(clips)
        while prepared := [self.prepare(v) for v in islice(rest, batch)]:
            yield self.encode(torch.stack(prepared))

    def encode(self, clips: Tensor) -> Floats:
        """Return the features [B, d] of clips that were prepared, [B, 3, T, H, W]."""
        with torch.inference_mode():
            features: Floats = self.network(clips).double().numpy()
        return features

    def prepare(self, clip: Video) -> Tensor:
        """Return a clip as the network takes it, [3, T, H, W].

        Raises:
            ConfigError: it has too few frames.
        """
        if len(clip) < self.frames:
            raise ConfigError(f"{self.name} reads {self.frames} frames, a clip has {len(clip)}")
        frames, across = clip.frames[: self.frames], (self.side, self.side)
        if self.resize == "area":
            frames = resize(frames, across)
        x = torch.from_numpy(np.array(frames)).movedim(-1, 1).float() / 255  # [T, 3, H, W]
        if x.shape[2:] != across:
            x = F.interpolate(x, size=across, mode=self.resize, align_corners=False)
        mean, spread = (torch.tensor(v)[:, None, None] for v in self.colours)
        return ((x - mean) / spread).movedim(0, 1)


def _world(paths: Sequence[str | None]) -> VideoEncoder:
    path = paths[0] if paths else None
    file = weights.bundled("world-video", path)
    tensors, facts, digest = state_dicts.load_bundled("world-video", path)
    config = checkpoints.sizes(file, facts, world_video.WorldVideoConfig)
    scale = facts.get("weights")
    if (
        not isinstance(scale, list)
        or len(scale) != config.features
        or not all(isinstance(v, int | float) for v in scale)
    ):
        raise ConfigError(f"{file}: weights in its header must be {config.features} numbers")
    network = checkpoints.built(file, lambda: world_video.WorldVideo(config, scale), tensors)
    return VideoEncoder("world-video", digest, network, world_video.SIDE, world_video.FRAMES, _HALF, "area")


def _i3d(paths: Sequence[str | None], eps: float = i3d.EPS) -> VideoEncoder:
    (file,), (digest,) = _files(("i3d",), paths)
    network = i3d.load(state_dicts.tensors(file, "state_dict"), eps)
    # 16 frames, squashed by bilinear interpolation to -1..1: the protocol of StyleGAN-V's FVD, which most papers share.
    return VideoEncoder("i3d", digest, network, i3d.SIDE, 16, _HALF, variant=f"batch-norm-eps={eps:g}")


def _videomae(paths: Sequence[str | None]) -> VideoEncoder:
    (file,), (digest,) = _files(("videomae",), paths)
    network = vit.load_videomae(state_dicts.tensors(file, "module", "model"))
    # Content-debiased FVD (Ge et al. 2024, arXiv:2404.12391) gives it 0..1, without ImageNet's mean.
    return VideoEncoder("videomae", digest, network, vit.SIDE, vit.FRAMES, _PLAIN)


def _vjepa(paths: Sequence[str | None]) -> VideoEncoder:
    (encoder, probe), digests = _files(("vjepa", "vjepa-probe"), paths)
    network = vit.load_vjepa(
        state_dicts.tensors(encoder, "target_encoder", "encoder"), state_dicts.tensors(probe, "classifier")
    )
    hashed = "".join(d[:4] for d in digests)
    return VideoEncoder("vjepa", hashed, network, vit.SIDE, vit.FRAMES, _IMAGENET, "bicubic", "pooler=jedi(xattn.proj)")


def _files(names: Sequence[str], paths: Sequence[str | None]) -> tuple[list[dict[str, Any]], list[str]]:
    files = [weights.locate(n, p) for n, p in zip(names, [*paths, *[None] * (len(names) - len(paths))], strict=True)]
    digests = [weights.verify(n, p) for n, p in zip(names, files, strict=True)]
    return [state_dicts.read(p) for p in files], digests


ENCODERS: Mapping[str, Callable[[Sequence[str | None]], VideoEncoder]] = {
    "world-video": _world,
    "i3d": _i3d,
    "videomae": _videomae,
    "vjepa": _vjepa,
}


def load(name: str, *paths: str | None, i3d_eps: float = i3d.EPS) -> VideoEncoder:
    """Return an encoder. paths: of its files of weights, where they are to be taken from there and nowhere else.

    i3d_eps: of I3D's batch norm.

    Raises:
        AbsentWeightsError: its weights are not on this machine.
        ConfigError: there is no such encoder, or its weights are damaged or others.
    """
    if name not in ENCODERS:
        raise unknown("video encoder", name, ENCODERS)
    return _i3d(paths, i3d_eps) if name == "i3d" else ENCODERS[name](paths)
