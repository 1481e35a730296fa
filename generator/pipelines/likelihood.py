"""Denoising loss of a clip by a text-to-video pipeline of diffusers: how likely the model finds it, without sampling.

As for the reference generator (generator/reference/evaluation/likelihood.py; LikePhys, arXiv:2510.11512). The pipeline itself is called,
with the clip's latents and noise in place of those of its sampler, so that text, positions, packing, experts by noise level and whatever
else its network reads are as in sampling; in the scheduler's place, `Comparison` gets what the network predicts.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin

import torch
import yaml
from torch import Tensor

from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.denoising import DRAWS, LEVELS, mean_over_windows, noises
from sora_eval.generator.pipelines.latents import FAMILIES, Family, encode, fitting
from sora_eval.generator.pipelines.loading import Loaded, described, load, network_of, weights_hash
from sora_eval.generator.pipelines.options import PipelineOptions
from sora_eval.settings import hints_of
from sora_eval.types import Frames, Video, digest
from sora_eval.video import resample, resize

VERSION = 1
"""Raised whenever the same pipeline and options give another loss."""
OPTIONS = (
    "pipeline", "checkpoint", "lora_scale", "title", "max_frames", "width", "height", "fps", "dtype", "device", "device_map", "offload",
    "compile",
)  # fmt: skip
"""Options of a pipeline that a loss depends on; the others are of sampling."""
_ROUNDING = 0.1
"""Latents with noise reach 5; bfloat16 rounds those by .016, and nothing else may change them."""


@dataclass(frozen=True)
class Level:
    """A level of noise as a model knows it: z_t = signal z + noise eps, of which the network predicts of_clean z + of_noise eps."""

    timestep: float
    """Timestep that conditions the network."""
    signal: float
    """Weight of the clean latents."""
    noise: float
    """Weight of the noise."""
    of_clean: float
    """Weight of the clean latents in what is predicted."""
    of_noise: float
    """Weight of the noise in it."""

    def noisy(self, z: Tensor, eps: Tensor) -> Tensor:
        """Return the latents with noise."""
        return self.signal * z + self.noise * eps

    def target(self, z: Tensor, eps: Tensor) -> Tensor:
        """Return what the network is trained to predict."""
        return self.of_clean * z + self.of_noise * eps


def levels_of(scheduler: Any, flow: bool) -> list[Level]:
    """Return `LEVELS` as the model of a scheduler knows them, noisiest first: shares of noise in flow matching, of training steps else.

    flow: whether the model is one of flow matching.

    Raises:
        ConfigError: the scheduler is none for such a model.
    """
    config, kind = scheduler.config, type(scheduler).__name__
    count = config.num_train_timesteps
    predicts = config.get("prediction_type")
    own_flow = kind.startswith("FlowMatch") or predicts == "flow_prediction"
    if own_flow != flow or config.get("invert_sigmas"):
        wanted = "flow matching from data to noise" if flow else "noise or velocity at steps of a diffusion"
        raise ConfigError(f"its scheduler {kind} is not for a model that predicts {wanted}, as this one does")
    if flow:
        # Liu et al. 2022, arXiv:2209.03003, with time running towards noise: the velocity is eps - z.
        return [Level(round((1 - s) * count, 3), s, 1 - s, -1.0, 1.0) for s in sorted(LEVELS)]
    levels = []
    for share in sorted(LEVELS):
        t = max(0, round((1 - share) * count) - 1)
        kept = float(scheduler.alphas_cumprod[t])
        signal, noise = math.sqrt(kept), math.sqrt(1 - kept)
        targets = {"epsilon": (0.0, 1.0), "v_prediction": (-noise, signal), "sample": (1.0, 0.0)}
        if predicts not in targets:
            raise ConfigError(f"its scheduler {kind} has prediction_type={predicts}; known are {', '.join(targets)}")
        levels.append(Level(t, signal, noise, *targets[predicts]))
    return levels


class Comparison:
    """In place of a pipeline's scheduler: gives the network the latents with each noise at each level, and keeps its errors."""

    order = 1
    init_noise_sigma = 1.0

    def __init__(self, z: Tensor, levels: list[Level], config: Any) -> None:
        """Take clean latents, the levels and the configuration of the pipeline's own scheduler, which pipelines look into."""
        self.config = config
        self._z = z
        draws = [eps.to(z.device) for eps in noises(tuple(z.shape))]
        self._steps = [(level, eps) for level in levels for eps in draws]
        self.timesteps = torch.tensor([level.timestep for level, _ in self._steps])
        self.sigmas = torch.tensor([level.noise for level, _ in self._steps])
        self.errors: list[float] = []
        """Mean squared errors so far, a row of `DRAWS` per level."""

    @property
    def latents(self) -> Tensor:
        """Noised latents of the step whose prediction comes next, the clean ones after the last."""
        if len(self.errors) == len(self._steps):
            return self._z
        level, eps = self._steps[len(self.errors)]
        return level.noisy(self._z, eps)

    def set_timesteps(
        self, num_inference_steps: Any = None, device: Any = None, sigmas: Any = None, mu: Any = None
    ) -> None:
        """Keep the levels, whatever a sampler would choose."""
        self.timesteps = self.timesteps.to(device)

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Begin with the first step, as always."""

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        """Return the latents as they are: noise and signal have the weights that the network knows."""
        return sample

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor, return_dict: bool = True) -> Any:
        """Keep the error of a prediction; return the latents of the next step, in the end the clean ones."""
        level, eps = self._steps[len(self.errors)]
        apart = float((sample.float().to(self._z.device) - self.latents).abs().max())
        if not apart < _ROUNDING:
            raise ConfigError(
                f"the pipeline changes latents that it is given, by up to {apart:.3g}: its losses can't be read"
            )
        error = model_output.float().to(self._z.device) - level.target(self._z, eps)
        self.errors.append(float(error.square().mean()))
        after = self.latents.to(sample)
        return SimpleNamespace(prev_sample=after) if return_dict else (after,)


@dataclass(frozen=True)
class PipelineLikelihood:
    """Losses of a pipeline, which is loaded with the first clip."""

    options: PipelineOptions
    """Which one, with which weights."""

    def __post_init__(self) -> None:
        """Check the class of the pipeline, as far as the model's folder names it.

        Raises:
            ConfigError: losses of it are not read.
        """
        if self._kind is not None:
            _family(self._kind)

    @property
    def _kind(self) -> str | None:
        """The class of the pipeline; None for a model on the hub, until it is loaded."""
        return self.options.pipeline or described(self.options.model).get("pipeline")

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights and options that losses depend on.

        Raises:
            ConfigError: there is no such model or checkpoint.
        """
        o = self.options
        settings = [self._kind, o.lora_scale, o.max_frames, o.width, o.height, o.fps, o.dtype]
        return digest([VERSION, weights_hash(o.model, o.checkpoint), settings, LEVELS, DRAWS])

    def loss(self, video: Video, prompt: str) -> float:
        """Return the mean loss of a clip given its prompt, without guidance; lower is likelier.

        The clip is brought to the rate that the model was trained at, where that is known and none is set, and to the size and frame
        count that it can make: frames that are too many are left out at the end. One that is longer than the clips that the pipeline
        makes by default is read in windows, each of which begins anew.

        Raises:
            ConfigError: the pipeline can't be loaded, or its losses are not read.
        """
        loaded = load(self.options)
        family = _family(type(loaded.pipeline).__name__)
        levels = levels_of(loaded.pipeline.scheduler, family.flow)
        fps = self.options.fps or (video.fps if "frame_rate" in loaded.rules.arguments else None) or loaded.rules.fps
        clip = resample(video, fps) if fps and fps != video.fps else video
        size = loaded.rules.size(self.options.height or clip.size[0], self.options.width or clip.size[1])
        frames = resize(clip.frames, size)
        longest = fitting(self._longest(loaded), loaded.rules, loaded.pipeline)

        def of_window(window: Frames) -> float:
            count = fitting(len(window), loaded.rules, loaded.pipeline)
            # A clip of fewer frames than the least is held at its end.
            whole = window[[min(i, len(window) - 1) for i in range(count)]]
            return sum(errors_of(loaded, family, levels, whole, prompt, clip.fps)) / (len(LEVELS) * DRAWS)

        return mean_over_windows(of_window, frames, longest, 1 + loaded.rules.stride)

    def _longest(self, loaded: Loaded) -> int:
        if self.options.max_frames:
            return self.options.max_frames
        return loaded.rules.default_frames or int(network_of(loaded.pipeline)[1].config.sample_frames)


def errors_of(
    loaded: Loaded, family: Family, levels: list[Level], frames: Frames, prompt: str, fps: float
) -> list[float]:
    """Return the mean squared errors of a pipeline's predictions, a row of `DRAWS` per level, noisiest first.

    frames: of a size and length that it makes.
    """
    pipeline = loaded.pipeline
    own = pipeline.scheduler
    z = encode(family, pipeline, frames)
    comparison = Comparison(z, levels, own.config)
    _, network = network_of(pipeline)
    known = {
        "prompt": prompt,
        "height": frames.shape[1],
        "width": frames.shape[2],
        "num_frames": len(frames),
        "frame_rate": fps,
        "num_inference_steps": len(comparison.timesteps),
        # A guidance-distilled network (HunyuanVideo) takes its scale as an input: the sampler does no guidance there.
        "guidance_scale": None if getattr(network.config, "guidance_embeds", False) else 1.0,
        "latents": comparison.latents.to(network.dtype),
        "output_type": "latent",
    }
    pipeline.scheduler = comparison
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            pipeline(**{k: v for k, v in known.items() if v is not None and k in loaded.rules.arguments})
    finally:
        pipeline.scheduler = own
    if len(comparison.errors) != len(comparison.timesteps):
        counts = f"{len(comparison.errors)} of {len(comparison.timesteps)}"
        raise ConfigError(f"{type(pipeline).__name__} made {counts} predictions: its losses can't be read")
    return comparison.errors


def parse_options(text: str) -> PipelineOptions:
    """Return the options of `MODEL` or `MODEL,option=value,...`.

    Raises:
        ConfigError: an option is unknown or can't be used.
    """
    model, *parts = re.split(r",(?=\w+=)", text)
    hints = hints_of(PipelineOptions)
    values: dict[str, Any] = {"model": model}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in OPTIONS:
            raise unknown("option", name, OPTIONS)
        try:
            values[name] = value if _is_text(hints[name]) else yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"{name}={value}: no value") from error
    return PipelineOptions.of(values)


def _is_text(hint: Any) -> bool:
    return hint is str or get_origin(hint) is Literal or str in get_args(hint)


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise ConfigError(
            f"denoising losses are read of {', '.join(FAMILIES)}, not of {name}; "
            "add pipeline=NAME where the same weights serve one of these"
        )
    return FAMILIES[name]
