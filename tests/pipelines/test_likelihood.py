"""Denoising losses of real pipeline classes: 0 for a network that knows the answer, by the pipelines' own samplers and autoencoders."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sora_eval.audit.scorers import ScoredClip, load_scorer
from sora_eval.commands import cli
from sora_eval.errors import ConfigError
from sora_eval.generator.simulator import Violation, true_video
from sora_eval.registry import probe, profile
from sora_eval.types import Frames, Video

pytest.importorskip("diffusers")

import diffusers
from pipelines import tiny

from sora_eval.generator.denoising import DRAWS, LEVELS, noises
from sora_eval.generator.pipelines import likelihood, loading
from sora_eval.generator.pipelines.latents import FAMILIES, Family, encode
from sora_eval.generator.pipelines.likelihood import Comparison, PipelineLikelihood, errors_of, levels_of, parse_options
from sora_eval.generator.pipelines.loading import Loaded, load, network_of
from sora_eval.generator.pipelines.options import PipelineOptions

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = sorted(FAMILIES)
PROMPT = "a red ball"


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


def answers(scheduler: Any, z: Tensor, flow: bool) -> dict[str, Callable[[Tensor, float], Tensor]]:
    """Return what networks that know the clip predict of it, by what they are trained to predict."""
    z = z.double()

    def noise(x: Tensor, t: float) -> Tensor:
        if flow:
            return (x - (1 - t / 1000) * z) / (t / 1000)
        kept = scheduler.alphas_cumprod[round(t)].double()
        return (x - kept.sqrt() * z) / (1 - kept).sqrt()

    def v(x: Tensor, t: float) -> Tensor:
        kept = scheduler.alphas_cumprod[round(t)].double()
        return kept.sqrt() * noise(x, t) - (1 - kept).sqrt() * z

    found = {"epsilon": noise, "sample": lambda x, t: z}
    if flow:
        return {**found, "flow": lambda x, t: (x - z) / (t / 1000), "reversed": lambda x, t: (z - x) / (t / 1000)}
    return {**found, "v_prediction": v, "reversed": lambda x, t: -v(x, t)}


def unipc() -> Any:
    """Return the scheduler that Wan's models come with."""
    return diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)


def dpm() -> Any:
    return diffusers.CogVideoXDPMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )


VARIANTS: dict[str, tuple[str, Callable[[], Any] | None, str]] = {
    "Wan": ("WanPipeline", None, "flow"),
    "Wan, UniPC": ("WanPipeline", unipc, "flow"),
    "LTX": ("LTXPipeline", None, "flow"),
    "HunyuanVideo": ("HunyuanVideoPipeline", None, "flow"),
    "CogVideoX": ("CogVideoXPipeline", None, "v_prediction"),
    "CogVideoX, DPM": ("CogVideoXPipeline", dpm, "v_prediction"),
    "AnimateDiff": ("AnimateDiffPipeline", None, "epsilon"),
}
"""Class, scheduler (None for that of the model) and what the network predicts."""


def prepared(folder: Callable[[str], Path], variant: str) -> tuple[Loaded, Family, str]:
    """Return the pipeline of a variant with its scheduler, its family, and what its network predicts."""
    name, scheduler, predicted = VARIANTS[variant]
    own = loaded(folder, name)
    if scheduler is not None:
        own.pipeline.scheduler = scheduler()
    return own, FAMILIES[name], predicted


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_network_that_knows_the_clip_has_no_loss_and_samples_the_clip(
    folder: Callable[[str], Path], variant: str
) -> None:
    own, family, right = prepared(folder, variant)
    pipeline = own.pipeline
    z = encode(family, pipeline, frames())
    levels = levels_of(pipeline.scheduler, family.flow)
    settings = {"num_inference_steps": 10, "guidance_scale": 1.0, "output_type": "latent", "num_frames": 9}
    found, sampled = {}, {}
    for kind, answer in answers(pipeline.scheduler, z, family.flow).items():
        answering(pipeline, answer)
        found[kind] = max(errors_of(own, family, levels, frames(), PROMPT, 8.0))
        # The pipeline's own scheduler is the judge of sign, scale and parameterisation: from noise it leads to the clip, or it doesn't.
        made = pipeline(PROMPT, height=32, width=32, generator=torch.Generator().manual_seed(7), **settings).frames
        sampled[kind] = float((made - z).square().mean() / z.square().mean())
    assert found[right] < 1e-6, found
    apart = 0.5 * float(z.square().mean().clamp(max=1))
    assert all(error > apart for kind, error in found.items() if kind != right), found
    assert min(sampled, key=lambda kind: sampled[kind]) == right, sampled
    # AnimateDiff's last step is at a level that is not clean.
    assert sampled[right] < (0.1 if right == "epsilon" else 1e-3), sampled


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_network_is_given_what_the_scheduler_makes_of_the_clip_and_the_same_noises(
    folder: Callable[[str], Path], variant: str
) -> None:
    own, family, _ = prepared(folder, variant)
    pipeline = own.pipeline
    z = encode(family, pipeline, frames())
    levels = levels_of(pipeline.scheduler, family.flow)
    given = answering(pipeline, lambda x, t: x)
    errors_of(own, family, levels, frames(), PROMPT, 8.0)
    assert len(given) == len(LEVELS) * DRAWS
    for i, (t, x) in enumerate(given):
        eps = noises(tuple(z.shape))[i % DRAWS]
        torch.testing.assert_close(x, with_noise(pipeline.scheduler, z, eps, t), atol=2e-6, rtol=1e-5)
    assert sorted({t for t, _ in given}, reverse=True) == [level.timestep for level in levels]


def with_noise(scheduler: Any, z: Tensor, eps: Tensor, t: float) -> Tensor:
    """Return latents with noise as a scheduler of diffusers makes them."""
    if type(scheduler).__name__.startswith("FlowMatch"):
        at_all = type(scheduler).from_config(scheduler.config, shift=1.0)
        at_all.set_timesteps(sigmas=np.array([t / 1000]))
        noisy: Tensor = at_all.scale_noise(z, at_all.timesteps[:1], eps)
    elif scheduler.config.prediction_type == "flow_prediction":
        at_all = type(scheduler).from_config(scheduler.config, flow_shift=1.0)
        at_all.set_timesteps(sigmas=np.array([t / 1000]))
        noisy = at_all.add_noise(z, eps, at_all.timesteps[:1])
    else:
        noisy = scheduler.add_noise(z, eps, torch.tensor([int(t)]))
    return noisy


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_decodes_the_latents_of_a_clip_to_what_its_autoencoder_makes_of_it(
    folder: Callable[[str], Path], name: str
) -> None:
    own, family = loaded(folder, name), FAMILIES[name]
    pipeline, clip = own.pipeline, frames()
    z = encode(family, pipeline, clip)
    comparison = Comparison(z, levels_of(pipeline.scheduler, family.flow)[:1], pipeline.scheduler.config)
    pipeline.scheduler = comparison
    settings = {"num_inference_steps": DRAWS, "guidance_scale": 1.0, "output_type": "pt", "num_frames": len(clip)}
    # In the end a Comparison hands the clean latents over.
    by_pipeline = pipeline(PROMPT, height=32, width=32, latents=comparison.latents, **settings).frames
    pixels = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    with torch.no_grad():
        if name == "AnimateDiffPipeline":
            one_by_one = pixels[0].transpose(0, 1)
            decoded = pipeline.vae.decode(pipeline.vae.encode(one_by_one).latent_dist.mode()).sample[None]
        else:
            decoded = pipeline.vae.decode(pipeline.vae.encode(pixels).latent_dist.mode()).sample.transpose(1, 2)
    assert by_pipeline.shape == (1, len(clip), 3, 32, 32)
    torch.testing.assert_close(by_pipeline, (decoded / 2 + 0.5).clamp(0, 1), atol=1e-5, rtol=1e-4)


def test_both_networks_of_a_pipeline_are_asked_at_their_own_levels(folder: Callable[[str], Path]) -> None:
    own = loaded(folder, "WanPipeline")
    one = own.pipeline
    torch.manual_seed(1)
    second = type(one.transformer).from_config(one.transformer.config)
    parts = {k: getattr(one, k) for k in ("vae", "transformer", "scheduler", "tokenizer", "text_encoder")}
    two = diffusers.WanPipeline(**parts, transformer_2=second, boundary_ratio=0.6)
    family, levels = FAMILIES["WanPipeline"], levels_of(one.scheduler, flow=True)
    first = errors_of(own, family, levels, frames(), PROMPT, 16.0)
    both = errors_of(replace(own, pipeline=two), family, levels, frames(), PROMPT, 16.0)
    noisy = sum(level.timestep >= 600 for level in levels) * DRAWS
    assert both[:noisy] == first[:noisy]
    assert not set(both[noisy:]) & set(first[noisy:])


def test_a_network_with_a_time_per_patch_has_the_errors_of_one_with_a_time_per_clip(
    folder: Callable[[str], Path],
) -> None:
    own = loaded(folder, "WanPipeline")
    parts = {k: getattr(own.pipeline, k) for k in ("vae", "transformer", "scheduler", "tokenizer", "text_encoder")}
    expanded = replace(own, pipeline=diffusers.WanPipeline(**parts, expand_timesteps=True))
    family, levels = FAMILIES["WanPipeline"], levels_of(own.pipeline.scheduler, flow=True)
    one = errors_of(own, family, levels, frames(), PROMPT, 16.0)
    assert errors_of(expanded, family, levels, frames(), PROMPT, 16.0) == pytest.approx(one, rel=1e-4)


def test_patches_of_several_latents_are_packed_as_the_pipeline_unpacks_them(folder: Callable[[str], Path]) -> None:
    pipeline, family = loaded(folder, "LTXPipeline").pipeline, FAMILIES["LTXPipeline"]
    shape = (3, 8, 8)  # 9 frames of 32 x 32
    plain = pipeline._unpack_latents(encode(family, pipeline, frames()), *shape)
    pipeline.transformer_spatial_patch_size, pipeline.transformer_temporal_patch_size = 2, 3
    packed = encode(family, pipeline, frames())
    loading._LOADED.clear()
    torch.testing.assert_close(pipeline._unpack_latents(packed, 1, 4, 4, 2, 3), plain)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_clip_has_the_same_loss_and_the_pipeline_is_left_as_it_was(
    folder: Callable[[str], Path], name: str
) -> None:
    own = loaded(folder, name)
    scheduler = own.pipeline.scheduler
    model = PipelineLikelihood(PipelineOptions(model=str(folder(name)), max_frames=9))
    size = (32, 32) if name == "LTXPipeline" else (16, 16)
    video = Video(frames(0, 9, size), own.rules.fps or 8.0)
    loss = model.loss(video, PROMPT)
    assert model.loss(video, PROMPT) == loss
    assert np.isfinite(loss)
    assert loss != model.loss(Video(frames(1, 9, size), video.fps), PROMPT)
    assert loss != model.loss(video, "a blue cube")
    assert own.pipeline.scheduler is scheduler
    whole = np.concatenate([video.frames, video.frames])
    assert model.loss(Video(whole, video.fps), PROMPT) == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_rounds_the_loss_and_no_more(folder: Callable[[str], Path], name: str) -> None:
    own = {"model": str(folder(name)), "max_frames": 9, "fps": 8.0}
    video = Video(frames(0, 9), 8.0)
    exact = PipelineLikelihood(PipelineOptions(**own, dtype="float32")).loss(video, PROMPT)
    rounded = PipelineLikelihood(PipelineOptions(**own, dtype="bfloat16")).loss(video, PROMPT)
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.02)


def test_a_sibling_with_the_same_weights_serves(folder: Callable[[str], Path]) -> None:
    model, video = folder("LTXConditionPipeline"), Video(frames(0, 9), 8.0)
    with pytest.raises(ConfigError, match="pipeline=NAME"):
        load_scorer(f"likelihood:diffusers:{model}")
    value, reason = load_scorer(f"likelihood:diffusers:{model},pipeline=LTXPipeline").value(
        ScoredClip(video, PROMPT, video)
    )
    assert value is not None, reason


@pytest.mark.parametrize(
    ("name", "options", "clip", "read"),
    [
        # Rates: Wan makes 16 frames per second, CogVideoX 8, LTX is told the clip's.
        ("WanPipeline", {}, (9, (50, 90), 8.0), [(17, 48, 96)]),
        ("WanPipeline", {"height": 32, "width": 48, "fps": 8.0}, (12, (50, 90), 8.0), [(9, 32, 48)]),
        ("WanPipeline", {"max_frames": 9, "fps": 8.0}, (16, (32, 32), 8.0), [(9, 32, 32), (5, 32, 32)]),
        ("WanPipeline", {"max_frames": 9, "fps": 8.0}, (13, (32, 32), 8.0), [(9, 32, 32)]),
        ("WanPipeline", {"fps": 8.0}, (1, (32, 32), 8.0), [(1, 32, 32)]),
        ("CogVideoXPipeline", {}, (34, (32, 32), 16.0), [(17, 32, 32)]),
        ("LTXPipeline", {}, (20, (42, 42), 12.0), [(17, 40, 40)]),
        ("AnimateDiffPipeline", {}, (20, (32, 32), 8.0), [(16, 32, 32), (4, 32, 32)]),
    ],
)
def test_clips_are_brought_to_what_the_pipeline_makes(
    folder: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: dict[str, Any],
    clip: tuple[int, tuple[int, int], float],
    read: list[tuple[int, int, int]],
) -> None:
    shapes = []

    def errors(own: Any, family: Any, levels: Any, window: Frames, prompt: str, fps: float) -> list[float]:
        shapes.append(window.shape[:3])
        return [1.0] * len(LEVELS) * DRAWS

    monkeypatch.setattr(likelihood, "errors_of", errors)
    count, size, fps = clip
    video = Video(frames(0, count, size), fps)
    assert PipelineLikelihood(PipelineOptions(model=str(folder(name)), **options)).loss(video, PROMPT) == 1.0
    assert shapes == read


def test_latent_frames_that_a_network_joins_in_pairs_are_whole_ones(folder: Callable[[str], Path]) -> None:
    own = loaded(folder, "CogVideoXPipeline")
    own.pipeline.transformer.register_to_config(patch_size_t=2)
    found = [likelihood.fitting(n, own.rules, own.pipeline) for n in (1, 4, 5, 12, 13, 49, 81)]
    assert found == [5, 5, 5, 5, 13, 45, 77]


def test_options_of_a_scorer_are_those_of_the_generator(folder: Callable[[str], Path]) -> None:
    model = folder("WanPipeline")
    options = parse_options(
        f"{model},title=5,height=480,fps=12.5,compile=false,device=cuda:1,checkpoint=a,b.safetensors"
    )
    assert (options.model, options.title, options.height, options.fps) == (str(model), "5", 480, 12.5)
    assert (options.device, options.checkpoint) == ("cuda:1", "a,b.safetensors")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("{CogVideoXImageToVideoPipeline}", "not of CogVideoXImageToVideoPipeline"),
        ("{WanPipeline},steps=4", "unknown option 'steps'"),
        ("{WanPipeline},height=[", "height=[: no value"),
        ("{WanPipeline},height=tall", "height must be a whole number"),
        ("{WanPipeline},checkpoint=none.safetensors", "checkpoint=none.safetensors: no such file"),
        ("{WanPipeline}/vae", "no model_index.json"),
    ],
)
def test_what_cannot_be_a_scorer_is_one_line(folder: Callable[[str], Path], target: str, reason: str) -> None:
    class Folders(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return str(folder(name))

    with pytest.raises(ConfigError) as error:
        load_scorer("likelihood:diffusers:" + target.format_map(Folders()))
    assert reason in str(error.value)
    assert "\n" not in str(error.value) and "generator." not in str(error.value)


def test_a_scheduler_of_another_kind_of_model_is_refused(folder: Callable[[str], Path]) -> None:
    video = Video(frames(), 8.0)
    for name, scheduler in (
        ("WanPipeline", diffusers.UniPCMultistepScheduler()),
        ("WanPipeline", diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True)),
        ("CogVideoXPipeline", diffusers.FlowMatchEulerDiscreteScheduler()),
    ):
        own = loaded(folder, name)
        before, own.pipeline.scheduler = own.pipeline.scheduler, scheduler
        with pytest.raises(ConfigError, match="is not for a model"):
            PipelineLikelihood(PipelineOptions(model=str(folder(name)))).loss(video, PROMPT)
        own.pipeline.scheduler = before


def test_a_pipeline_that_does_something_else_with_the_latents_is_refused(
    folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, video = PipelineLikelihood(PipelineOptions(model=str(folder("WanPipeline")))), Video(frames(), 16.0)
    prepare = diffusers.WanPipeline.prepare_latents
    with monkeypatch.context() as changed:
        changed.setattr(diffusers.WanPipeline, "prepare_latents", lambda *a, **k: 1.1 * prepare(*a, **k))
        with pytest.raises(ConfigError, match="changes latents"):
            model.loss(video, PROMPT)
    with monkeypatch.context() as changed:
        changed.setattr(diffusers.WanPipeline, "interrupt", True)
        with pytest.raises(ConfigError, match="made 0 of 20 predictions"):
            model.loss(video, PROMPT)
    assert np.isfinite(model.loss(video, PROMPT))


def test_a_pipeline_is_a_scorer_of_the_audit(folder: Callable[[str], Path]) -> None:
    model = folder("WanPipeline")
    scorer, video = load_scorer(f"likelihood:diffusers:{model},title=tiny"), Video(frames(), 16.0)
    assert (scorer.name, scorer.higher_is_better, scorer.alone) == ("likelihood tiny", True, True)
    loss = PipelineLikelihood(PipelineOptions(model=str(model))).loss(video, PROMPT)
    assert scorer.value(ScoredClip(video, PROMPT, video)) == (-loss, "")
    other = load_scorer(f"likelihood:diffusers:{model},height=48")
    assert other.name == "likelihood WanPipeline"
    assert other.fingerprint != scorer.fingerprint


def test_a_pipeline_that_cannot_be_loaded_is_tried_once(
    folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, video = load_scorer(f"likelihood:diffusers:{folder('WanPipeline')},device=tpu9"), Video(frames(), 16.0)
    tried = []

    def counted(options: PipelineOptions) -> Loaded:
        tried.append(options)
        return load(options)

    monkeypatch.setattr(likelihood, "load", counted)
    for _ in range(3):
        value, reason = scorer.value(ScoredClip(video, PROMPT, video))
        assert value is None and "device=tpu9" in reason and "generator." not in reason
    assert len(tried) == 1


def test_a_network_trained_on_a_clip_finds_it_likelier_than_the_clip_that_breaks_it(
    folder: Callable[[str], Path],
) -> None:
    own = loaded(folder, "WanPipeline")
    (case,) = probe("relation").cases(1, profile("small"), "t2v", seed=3)
    true, broken = true_video(case), next(Violation("swapped_sides", 1.0).generate([case]))
    assert isinstance(broken, Video)
    model = PipelineLikelihood(PipelineOptions(model=str(folder("WanPipeline")), fps=8.0, max_frames=17))
    untrained = model.loss(true, case.prompt)
    z = encode(FAMILIES["WanPipeline"], own.pipeline, true.frames)
    with torch.no_grad():
        text = own.pipeline.encode_prompt(case.prompt, do_classifier_free_guidance=False)[0]
    network, noise = own.pipeline.transformer, torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(120):
        eps, sigma = torch.randn(z.shape, generator=noise), torch.rand((), generator=noise)
        predicted = network((1 - sigma) * z + sigma * eps, 1000 * sigma[None], text, return_dict=False)[0]
        optimiser.zero_grad()
        (predicted - (eps - z)).square().mean().backward()
        optimiser.step()
    losses = {video is true: model.loss(video, case.prompt) for video in (true, broken)}
    loading._LOADED.clear()
    assert losses[True] < min(losses[False], untrained), (losses, untrained)


@pytest.mark.slow
def test_an_audit_of_two_pipelines_and_a_formula(
    folder: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tail = "max_frames=17,fps=8,height=16,width=16,title"
    names = [f"likelihood:diffusers:{folder(n)},{tail}={n}" for n in ("WanPipeline", "CogVideoXPipeline")]
    args = [
        f"scorers={json.dumps(['ssim_first_frame', *names])}",
        "suite.probes=[relation]",
        "suite.count=1",
        "workers=2",
    ]
    args += [f"out={tmp_path / 'out'}", f"cache={tmp_path / 'cache'}"]
    assert cli.main(["audit", *args]) in (0, 1), capsys.readouterr().err
    audit = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    scorers = ["ssim_first_frame", "likelihood WanPipeline", "likelihood CogVideoXPipeline"]
    assert [s["name"] for s in audit["scorers"]] == scorers
    rows = [(r["scorer"], r["condition"], r["severity"]) for r in audit["preferences"] if r["scenes"]]
    assert {(s, "swapped_sides", 1.0) for s in scorers} <= set(rows)
    assert len(rows) == len(scorers) * len([r for r in rows if r[0] == scorers[0]])
