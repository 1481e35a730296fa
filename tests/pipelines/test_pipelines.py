"""Real pipeline classes of diffusers, small and random, generate what cases ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.config import parse
from sora_eval.errors import ConfigError
from sora_eval.probes.selection import select_cases, select_probes
from sora_eval.types import Case, Failure, Video

pytest.importorskip("diffusers")
pytest.importorskip("peft")

from pipelines import tiny

from sora_eval.generator.pipelines import loading
from sora_eval.generator.pipelines.adapter import Pipeline
from sora_eval.generator.pipelines.rules import _native_fps

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.saved("WanPipeline", tmp_path_factory.mktemp("models"))


def cases(mode: Any = "t2v", count: int = 2) -> list[Case]:
    return select_cases(select_probes(None, ("relation",)), registry.profile("small"), (mode,), count, 0, 1)[:count]


def clips(made: Pipeline, of: list[Case]) -> list[Video]:
    got = list(made.generate(of))
    assert all(isinstance(v, Video) for v in got), got
    return [v for v in got if isinstance(v, Video)]


@pytest.mark.parametrize(
    ("name", "modes", "fps"),
    [
        ("WanPipeline", ("t2v",), 16),
        ("CogVideoXImageToVideoPipeline", ("i2v", "v2v"), 8),
        ("CogVideoXVideoToVideoPipeline", ("v2v",), 8),
        ("LTXConditionPipeline", ("t2v", "i2v", "v2v"), 8),
        ("AnimateDiffPipeline", ("t2v",), 8),
    ],
)
def test_pipelines_make_clips_of_the_case_in_their_modes(
    tmp_path: Path, name: str, modes: tuple[str, ...], fps: float
) -> None:
    made = Pipeline(model=str(tiny.saved(name, tmp_path)), steps=2, batch=2)
    assert made.capabilities.modes == modes
    for mode in modes:
        for case, video in zip(cases(mode), clips(made, cases(mode)), strict=True):
            assert video.size == case.size
            assert video.fps == fps
            assert len(video) == round((case.frames - 1) / case.fps * fps) + 1


def test_a_clip_depends_on_its_seed_and_prompt_alone(wan: Path) -> None:
    first, second = cases(count=2)
    alone = clips(Pipeline(model=str(wan), steps=1), [first, second])
    together = clips(Pipeline(model=str(wan), steps=1, batch=2), [first, second])
    for a, b in zip(alone, together, strict=True):
        assert np.abs(a.frames.astype(int) - b.frames).max() <= 1
    (other,) = clips(Pipeline(model=str(wan), steps=1), [replace(first, seed=first.seed + 1)])
    assert np.abs(other.frames.astype(int) - alone[0].frames).mean() > 1


def test_sizes_and_lengths_are_rounded_as_the_pipeline_needs_them(wan: Path) -> None:
    (case,) = cases(count=1)
    (video,) = clips(Pipeline(model=str(wan), steps=1), [replace(case, size=(50, 90), frames=11)])
    assert video.size == (48, 96)
    assert len(video) == 21


def test_an_image_pipeline_continues_the_last_given_frame(tmp_path: Path) -> None:
    from sora_eval.world import conditioning

    made = Pipeline(model=str(tiny.saved("CogVideoXImageToVideoPipeline", tmp_path)), steps=1)
    (case,) = cases("v2v", 1)
    (video,) = clips(made, [case])
    given = conditioning(case)
    assert given is not None
    assert (video.frames[: case.given - 1] == given[:-1]).all()
    assert len(video) == case.frames


def test_whole_weights_and_loras_are_swapped_without_loading_the_rest_again(wan: Path, tmp_path: Path) -> None:
    (case,) = cases(count=1)
    (own,) = clips(Pipeline(model=str(wan), steps=1), [case])
    pipeline = next(iter(loading._LOADED.values())).pipeline
    network = pipeline.transformer
    before = {k: v.clone() for k, v in network.state_dict().items()}
    torch.manual_seed(1)
    changed = {k: v + 0.1 * torch.randn_like(v) for k, v in before.items()}
    save_file(changed, tmp_path / "step-1.safetensors")
    save_file({f"transformer.{k}": v for k, v in changed.items()}, tmp_path / "step-2.safetensors")
    pair = {
        "transformer.blocks.0.attn1.to_q.lora_A.weight": torch.randn(2, 24),
        "transformer.blocks.0.attn1.to_q.lora_B.weight": 5 * torch.randn(24, 2),
    }
    save_file(pair, tmp_path / "lora.safetensors")
    (lora,) = clips(Pipeline(model=str(wan), steps=1, checkpoint=str(tmp_path / "lora.safetensors")), [case])
    assert (lora.frames != own.frames).any()
    weaker = Pipeline(model=str(wan), steps=1, checkpoint=str(tmp_path / "lora.safetensors"), lora_scale=0.1)
    assert (clips(weaker, [case])[0].frames != lora.frames).any()
    (one,) = clips(Pipeline(model=str(wan), steps=1, checkpoint=str(tmp_path / "step-1.safetensors")), [case])
    assert (one.frames != own.frames).any()
    (two,) = clips(Pipeline(model=str(wan), steps=1, checkpoint=str(tmp_path / "step-2.safetensors")), [case])
    assert (two.frames == one.frames).all()
    assert next(iter(loading._LOADED.values())).pipeline is pipeline
    # A LoRA is never added to the weights of another checkpoint.
    (added,) = clips(Pipeline(model=str(wan), steps=1, checkpoint=str(tmp_path / "lora.safetensors")), [case])
    assert (added.frames == lora.frames).all()
    clips(Pipeline(model=str(wan), steps=1, checkpoint=str(tmp_path / "step-1.safetensors")), [case])
    (again,) = clips(Pipeline(model=str(wan), steps=1), [case])
    assert (again.frames == own.frames).all()


def test_the_native_rate_is_that_of_the_models_version() -> None:
    def pipeline(name: str, network: dict[str, Any], config: dict[str, Any]) -> Any:
        return type(
            name,
            (),
            {"transformer": SimpleNamespace(config=SimpleNamespace(**network)), "config": SimpleNamespace(**config)},
        )()

    rates = {
        ("CogVideoXPipeline", 8.0): ({"patch_size_t": None}, {}),
        ("CogVideoXImageToVideoPipeline", 16.0): ({"patch_size_t": 2}, {}),
        ("WanPipeline", 16.0): ({}, {"expand_timesteps": False}),
        ("WanImageToVideoPipeline", 24.0): ({}, {"expand_timesteps": True}),
    }
    for (name, fps), (network, config) in rates.items():
        assert _native_fps(pipeline(name, network, config)) == fps


def test_pictures_are_read_as_well_as_numbers(wan: Path) -> None:
    (case,) = cases(count=1)
    (numbers,) = clips(Pipeline(model=str(wan), steps=1), [case])
    (pictures,) = clips(Pipeline(model=str(wan), steps=1, arguments={"output_type": "pil"}), [case])
    assert (pictures.frames == numbers.frames).all()


def test_fingerprints_follow_weights_and_options(wan: Path, tmp_path: Path) -> None:
    (case,) = cases(count=1)
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    save_file({"a": torch.ones(1)}, tmp_path / "b.safetensors")
    made = [
        Pipeline(model=str(wan)),
        Pipeline(model=str(wan), steps=3),
        Pipeline(model=str(wan), arguments={"sigmas": [1.0]}),
        Pipeline(model=str(wan), checkpoint=str(tmp_path / "a.safetensors")),
        Pipeline(model=str(wan), checkpoint=str(tmp_path / "b.safetensors")),
    ]
    assert len({m.fingerprint(case) for m in made}) == len(made)
    assert Pipeline(model=str(wan), batch=4, device="cpu").fingerprint(case) == made[0].fingerprint(case)
    assert len({m.name for m in made}) == 3


def test_a_batch_is_halved_when_memory_runs_out(wan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Pipeline(model=str(wan), steps=1, batch=4)
    sampled, sizes = Pipeline._sampled, []

    def short(self: Pipeline, loaded: Any, of: list[Case], form: Any) -> Any:
        sizes.append(len(of))
        if len(of) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return sampled(self, loaded, of, form)

    monkeypatch.setattr(Pipeline, "_sampled", short)
    assert len(clips(made, cases(count=4))) == 4
    assert sizes == [4, 2, 1, 1, 2, 1, 1]
    assert "generator.batch=2" in made.problems[0]


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (np.full((2, 64, 64, 3), np.nan), "NaN"),
        (np.zeros((34, 64, 64, 3)), "every frame is black"),
        (np.ones((1, 64, 64, 3)), "1 frame, 33 were requested"),
        (torch.OutOfMemoryError("CUDA"), "generator.offload=model"),
    ],
)
def test_what_is_no_clip_is_named(wan: Path, monkeypatch: pytest.MonkeyPatch, frames: Any, reason: str) -> None:
    def made(*_: Any) -> Any:
        if isinstance(frames, Exception):
            raise frames
        return [frames]

    monkeypatch.setattr(Pipeline, "_sampled", made)
    (answer,) = Pipeline(model=str(wan), steps=1).generate(cases(count=1))
    assert isinstance(answer, Failure)
    assert answer.technical
    assert reason in answer.reason


def test_prompts_that_are_cut_are_a_problem(wan: Path) -> None:
    made = Pipeline(model=str(wan), steps=1, arguments={"max_sequence_length": 16})
    clips(made, cases(count=1))
    assert made.problems == [
        "prompts are longer than the 16 tokens that the pipeline reads: the rest of their words is cut off"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "{folder}"}, "no model_index.json"),
        ({"pipeline": "NoPipeline"}, "has no such pipeline"),
        ({"checkpoint": "{folder}/none.safetensors"}, "no such file or folder"),
        ({"checkpoint": "{folder}/other.safetensors"}, "doesn't fit the transformer"),
        ({"checkpoint": "{folder}/broken.safetensors"}, "can't be read as safetensors"),
        ({"checkpoint": "{folder}/lora.safetensors"}, "the LoRA doesn't fit"),
        ({"scheduler": "NoScheduler"}, "no such scheduler"),
        ({"device": "tpu9"}, "generator.device=tpu9"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(wan: Path, tmp_path: Path, options: dict[str, str], message: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    save_file(
        {"nowhere.lora_A.weight": torch.zeros(1, 1), "nowhere.lora_B.weight": torch.zeros(1, 1)},
        tmp_path / "lora.safetensors",
    )
    (tmp_path / "broken.safetensors").write_bytes(b"<html>")
    values = {k: v.format(folder=tmp_path) for k, v in options.items()}
    with pytest.raises(ConfigError) as error:
        list(Pipeline(**{"model": str(wan), "steps": 1, **values}).generate(cases(count=1)))  # type: ignore[arg-type]
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_line_makes_it(wan: Path) -> None:
    config, _ = parse(
        "run", ["generator=diffusers", f"generator.model={wan}", "generator.steps=1", "generator.title=tiny"]
    )
    made = registry.generator(config.generator)
    assert isinstance(made, Pipeline)
    assert (made.name, made.steps) == ("tiny", 1)


def test_a_sweep_over_loras_ends_though_one_fails(wan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i in (1, 2):
        pair = {
            "transformer.blocks.0.attn1.to_q.lora_A.weight": i * torch.ones(2, 24),
            "transformer.blocks.0.attn1.to_q.lora_B.weight": torch.ones(24, 2),
        }
        save_file(pair, tmp_path / f"lora-step-{i}00.safetensors")
    (tmp_path / "lora-step-300.safetensors").write_bytes(b"<html>")
    words = [
        "run",
        "+sweep=checkpoints",
        "generator=diffusers",
        f"generator.model={wan}",
        "checkpoints=lora-*.safetensors",
    ]
    words += [
        "generator.steps=1",
        "suite.count=1",
        "suite.probes=[relation]",
        "suite.modes=[t2v]",
        "references=[]",
        "fidelity=null",
    ]
    words += ["tracking=false", "hydra.sweep.dir=sweep"]
    assert main(words) == 2
    table = (tmp_path / "sweep" / "leaderboard.csv").read_text()
    assert "lora-step-100" in table
    assert "lora-step-200" in table
    assert (tmp_path / "sweep" / "curves.html").is_file()
    made = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.mkv")}
    assert main(words) == 2
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.mkv")} == made
