"""What a pipeline can make: modes from the arguments of its call, sizes and frame counts from its autoencoder and its patches."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sora_eval.types import Mode

NATIVE_FPS: Mapping[str, float] = {
    "CogVideoX": 8.0,
    "Wan": 16.0,
    "HunyuanVideo": 24.0,
    "Mochi": 30.0,
    "Allegro": 15.0,
    "SkyReels": 24.0,
    "AnimateDiff": 8.0,
}
"""Frames per second that models were trained at, by the beginning of their pipeline's name; from their model cards. Later versions of two
have the same pipeline and another rate: see `_native_fps`."""
_SPATIAL = ("vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_spatial_scale_factor", "vae_scale_factor")
_TEMPORAL = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio", "vae_temporal_scale_factor")


@dataclass(frozen=True)
class Rules:
    """Sizes, frame counts and arguments that a pipeline takes."""

    arguments: frozenset[str]
    """Names of the arguments of its call."""
    multiple: int
    """Sides of a frame are multiples of this, pixels."""
    stride: int
    """Frame counts are 1 and multiples of this; 1 for any."""
    longest_prompt: int | None
    """Tokens of a prompt that its call reads by default, None where its tokenizer alone decides."""
    fps: float | None
    """Frames per second that the model was trained at, None where that is not known."""
    default_frames: int | None = None
    """Frames that its call makes by default, None where its network alone decides."""

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that its arguments allow."""
        known: tuple[tuple[Mode, bool], ...] = (
            ("t2v", not {"image", "video"} & self.arguments or self.conditioned),
            ("i2v", "image" in self.arguments),
            ("v2v", bool({"image", "video"} & self.arguments)),
        )
        return tuple(mode for mode, possible in known if possible)

    @property
    def conditioned(self) -> bool:
        """Whether given frames are kept and continued (LTX's conditions), so that the same pipeline also works without any."""
        return "conditions" in self.arguments

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the nearest size (height, width) that the pipeline makes."""
        sides = (max(self.multiple, round(side / self.multiple) * self.multiple) for side in (height, width))
        h, w = sides
        return h, w

    def frames(self, wanted: int) -> int:
        """Return the least frame count that the pipeline makes and that is enough."""
        # CogVideoX 1.5 and HunyuanVideo group latent frames; the count is padded by the pipeline itself, which is cut off again.
        return max(0, math.ceil((wanted - 1) / self.stride)) * self.stride + 1 if self.stride > 1 else wanted


def rules_of(pipeline: Any) -> Rules:
    """Return the rules of a loaded pipeline."""
    spatial = next((int(v) for a in _SPATIAL if (v := getattr(pipeline, a, None))), 8)
    temporal = next((int(v) for a in _TEMPORAL if (v := getattr(pipeline, a, None))), 1)
    network = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    patch = getattr(getattr(network, "config", None), "patch_size", None)
    patch = patch[-1] if isinstance(patch, list | tuple) else patch or 1
    parameters = inspect.signature(type(pipeline).__call__).parameters
    longest = parameters["max_sequence_length"].default if "max_sequence_length" in parameters else None
    frames = parameters["num_frames"].default if "num_frames" in parameters else None
    frames = frames if isinstance(frames, int) else None
    return Rules(frozenset(parameters), spatial * int(patch), temporal, longest, _native_fps(pipeline), frames)


def _native_fps(pipeline: Any) -> float | None:
    """Return the frames per second that a pipeline's model was trained at, None where that is not known."""
    name = type(pipeline).__name__
    config, network = getattr(pipeline, "config", None), getattr(getattr(pipeline, "transformer", None), "config", None)
    if name.startswith("CogVideoX") and getattr(network, "patch_size_t", None):
        return 16.0  # CogVideoX 1.5
    if name.startswith("Wan") and getattr(config, "expand_timesteps", False):
        return 24.0  # Wan2.2 TI2V-5B
    return next((rate for start, rate in NATIVE_FPS.items() if name.startswith(start)), None)
