"""Denoising losses of real pipeline classes: 0 for a network that knows the answer, by the pipelines' own samplers and autoencoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sora_eval.audit.scorers import ScoredClip, load_scorer
from sora_eval.errors import ConfigError
from sora_eval.types import Frames, Video

diffusers = pytest.importorskip("diffusers")

from pipelines import tiny

from sora_eval.generator.denoising import DRAWS, LEVELS, noises
from sora_eval.generator.pipelines import likelihood, loading
from sora_eval.generator.pipelines.latents import FAMILIES, encode
from sora_eval.generator.pipelines.likelihood import Comparison, PipelineLikelihood, errors_of, levels_of, parse_options
from sora_eval.generator.pipelines.loading import Loaded, load, network_of
from sora_eval.generator.pipelines.options import PipelineOptions

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = sorted(FAMILIES)
PROMPT = "a red ball"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    loading._LOADED.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = tiny.saved(name, tmp_path_factory.mktemp(name))
        return made[name]

    return of


def frames(seed: int = 0, count: int = 9, size: tuple[int, int] = (32, 32)) -> Frames:
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def loaded(folder: Callable[[str], Path], name: str) -> Loaded:
    found = load(PipelineOptions(model=str(folder(name))))
    vae = found.pipeline.vae
    if name == "LTXPipeline":
        # Its buffers are zeros and ones in a new model, which no mistake would show in.
        vae.latents_mean.copy_(torch.linspace(-1, 1, len(vae.latents_mean)))
        vae.latents_std.copy_(torch.linspace(0.5, 2, len(vae.latents_std)))
        vae.register_to_config(scaling_factor=0.7)
    return found


def answering(pipeline: Any, answer: Callable[[Tensor, float], Tensor]) -> list[tuple[float, Tensor]]:
    """Let the network of a pipeline answer (latents, timestep) by a function; return the list of what it will be given."""
    given = []
    is_unet = getattr(pipeline, "unet", None) is not None

    def forward(*args: Any, **kwargs: Any) -> Any:
        x = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        t = kwargs["timestep"] if "timestep" in kwargs else args[1]
        t = float(torch.as_tensor(t).flatten()[0])
        given.append((t, x))
        out = answer(x.double(), t).float()
        return diffusers.models.unets.unet_3d_condition.UNet3DConditionOutput(out) if is_unet else (out,)

    network_of(pipeline)[1].forward = forward
    return given


def answers(pipeline: Any, z: Tensor, flow: bool) -> dict[str, Callable[[Tensor, float], Tensor]]:
    """Return what networks that know the clip predict of it, by what they are trained to predict."""
    z = z.double()

    def noise(x: Tensor, t: float) -> Tensor:
        if flow:
            return (x - (1 - t / 1000) * z) / (t / 1000)
        kept = pipeline.scheduler_of_model.alphas_cumprod[round(t)].double()
        return (x - kept.sqrt() * z) / (1 - kept).sqrt()

    def v(x: Tensor, t: float) -> Tensor:
        kept = pipeline.scheduler_of_model.alphas_cumprod[round(t)].double()
        return kept.sqrt() * noise(x, t) - (1 - kept).sqrt() * z

    found = {"epsilon": noise, "sample": lambda x, t: z}
    if flow:
        return {**found, "flow": lambda x, t: (x - z) / (t / 1000), "reversed": lambda x, t: (z - x) / (t / 1000)}
    return {**found, "v_prediction": v, "reversed": lambda x, t: -v(x, t)}


RIGHT = {name: "flow" if FAMILIES[name].flow else "v_prediction" for name in NAMES} | {"AnimateDiffPipeline": "epsilon"}


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_knows_the_clip_has_no_loss_and_samples_the_clip(
    folder: Callable[[str], Path], name: str
) -> None:
    own, family = loaded(folder, name), FAMILIES[name]
    pipeline = own.pipeline
    pipeline.scheduler_of_model = pipeline.scheduler
    z = encode(family, pipeline, frames())
    levels = levels_of(pipeline.scheduler, family.flow)
    found, sampled = {}, {}
    for kind, answer in answers(pipeline, z, family.flow).items():
        answering(pipeline, answer)
        found[kind] = max(errors_of(own, family, levels, frames(), PROMPT, 8.0))
        # The pipeline's own scheduler is the judge of sign, scale and parameterisation: from noise it leads to the clip, or it doesn't.
        settings = {"num_inference_steps": 10, "guidance_scale": 1.0, "output_type": "latent", "num_frames": 9}
        start = torch.Generator().manual_seed(7)
        made = pipeline(PROMPT, height=32, width=32, generator=start, **settings).frames
        sampled[kind] = float((made - z).square().mean() / z.square().mean())
    assert [kind for kind, error in found.items() if error < 1e-6] == [RIGHT[name]], found
    assert min((error, kind) for kind, error in sampled.items())[1] == RIGHT[name], sampled
    assert sampled[RIGHT[name]] < 1e-3 if name != "AnimateDiffPipeline" else sampled[RIGHT[name]] < 0.1, sampled
    apart = 0.5 * float(z.square().mean().clamp(max=1))
    assert all(error > apart for kind, error in found.items() if kind != RIGHT[name]), found
