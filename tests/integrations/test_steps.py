"""Evaluation in a loop of accelerate: the training is the same bit for bit, and trackers get the scores."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from integrations.loops import Network, loader, loss_of, random_states, seeded
from torch import nn

from sora_eval.errors import ConfigError
from sora_eval.integrations.steps import StepEvaluator
from sora_eval.integrations.undisturbed import undisturbed

accelerate = pytest.importorskip("accelerate")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ONE_CASE: dict[str, Any] = {"probes": ["relation"], "modes": ["t2v"], "count": 1}


class Recorder(accelerate.tracking.GeneralTracker):  # type: ignore[name-defined, misc]
    """A tracker of one's own, as accelerate documents them."""

    name = "recorder"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, dict[str, float]]] = []

    @property
    def tracker(self) -> list[tuple[int, dict[str, float]]]:
        return self.lines

    def log(self, values: dict[str, float], step: int | None = None, **kwargs: Any) -> None:
        assert step is not None
        self.lines.append((step, values))


def gradients(network: nn.Module) -> list[torch.Tensor | None]:
    return [None if p.grad is None else p.grad.clone() for p in network.parameters()]


def same(first: Any, second: Any) -> bool:
    """Return whether two nested values are equal, tensors bit for bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def trained(tracker: Recorder | None, folder: Path | None = None) -> tuple[Any, ...]:
    """Train for 6 steps; with a tracker, evaluate after each second one. Return all that the training leaves."""
    seeded()
    accelerator = accelerate.Accelerator(cpu=True, log_with=tracker)
    accelerator.init_trackers("test")
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    network, optimizer, batches = accelerator.prepare(network, optimizer, loader())
    plain = accelerator.unwrap_model(network)
    evaluator = StepEvaluator(
        plain.sample, every_n_steps=2, modules=[plain], log=accelerator.log, folder=folder, name="mine", **ONE_CASE
    )
    network.train()
    plain.layers[3].eval()
    for step, (frames,) in enumerate(batches, start=1):
        optimizer.zero_grad()
        accelerator.backward(loss_of(network, frames))
        before = gradients(network), [m.training for m in network.modules()]
        if tracker is not None:
            scores = evaluator.on_step(step)
            assert (scores is None) == (step % 2 == 1)
        assert same((gradients(network), [m.training for m in network.modules()]), before)
        assert torch.is_grad_enabled()
        optimizer.step()
    accelerator.end_training()
    return network.state_dict(), optimizer.state_dict(), gradients(network), random_states()


def test_a_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    tracker = Recorder()
    assert same(trained(tracker, tmp_path), trained(None))
    assert [step for step, _ in tracker.lines] == [2, 4, 6]
    for _, scores in tracker.lines:
        assert {"sora_eval/score/all", "sora_eval/score/left_right/relation", "sora_eval/seconds"} <= scores.keys()
    assert (tmp_path / "curves.html").is_file()
    steps = [
        json.loads((tmp_path / f"step-{n}" / "manifest.json").read_text())["generators"][0]["step"] for n in (2, 4, 6)
    ]
    assert steps == [2, 4, 6]
    assert "Scores over training step" in (tmp_path / "curves.md").read_text()


def test_another_training_takes_the_folder_of_a_step(tmp_path: Path) -> None:
    rows = []
    for level in (0, 255):
        evaluator = StepEvaluator(_constant(level), every_n_steps=1, folder=tmp_path, name="mine", **ONE_CASE)
        assert evaluator.on_step(1)
        rows.append([json.loads(line) for line in (tmp_path / "step-1" / "scores.jsonl").read_text().splitlines()])
    assert rows[0][0]["video"] != rows[1][0]["video"]


def _constant(level: int) -> Any:
    def model(prompt: str, *, height: int, width: int, frames: int, **more: Any) -> Any:
        return np.full((frames, height, width, 3), level, np.uint8)

    return model


def test_a_failure_costs_the_scores_and_not_the_training() -> None:
    def broken(prompt: str, **more: Any) -> Any:
        random.seed(1)
        torch.manual_seed(1)
        raise RuntimeError("no memory left")

    network = Network().train()
    seeded()
    expected = random_states()
    seeded()
    logged: list[Any] = []
    evaluator = StepEvaluator(broken, every_n_steps=1, modules=[network], log=logged.append, **ONE_CASE)
    with pytest.warns(RuntimeWarning, match="sora-eval: step 1 has no scores: .*no memory left"):
        assert evaluator.on_step(1) == {}
    assert random_states() == expected and not logged and network.training and network.layers[1].training
    with pytest.warns(RuntimeWarning, match="a int can't be evaluated: a pipeline, a function or a generator"):
        assert evaluator.on_step(2, model=3) == {}
    with pytest.raises(ConfigError, match="every_n_steps must be at least 1"):
        StepEvaluator(broken, every_n_steps=0)


@pytest.mark.parametrize(
    ("every", "start", "steps", "due"),
    [
        (3, None, range(1, 10), [3, 6, 9]),
        # Two optimizers count two steps at a time; several batches make one step.
        (3, 0, range(0, 13, 2), [4, 6, 10, 12]),
        (2, 0, [1, 1, 2, 2, 2, 3, 4], [2, 4]),
        # A training that resumes at a multiple has been evaluated there.
        (5, 10, [10, 11, 14, 15], [15]),
        (5, None, [1500, 1501, 1505], [1500, 1505]),
    ],
)
def test_every_multiple_is_due_once(every: int, start: int | None, steps: Any, due: list[int]) -> None:
    evaluator = StepEvaluator(every_n_steps=every)
    if start is not None:
        evaluator.start(start)
    assert [step for step in steps if evaluator.is_due(step)] == due


def test_only_the_main_process_evaluates() -> None:
    evaluator = StepEvaluator(_constant(1), every_n_steps=1, is_main=False, **ONE_CASE)
    assert evaluator.on_step(1) is None


class Merging(nn.Linear):
    """A layer that merges a product into its weights in evaluation mode, as LoRA layers of some packages do."""

    def train(self, mode: bool = True) -> Merging:
        if mode != self.training:
            with torch.no_grad():
                self.weight.add_(0.1 if not mode else -0.1)
        return super().train(mode)


def test_what_an_evaluation_switches_is_put_back() -> None:
    network = nn.Sequential(Merging(2, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    network[2].eval()
    network[0].bias.requires_grad_(False)
    weights = network[0].weight.clone()

    def fail() -> None:
        with undisturbed([network]):
            assert not any(m.training for m in network.modules()) and not torch.is_grad_enabled()
            network.requires_grad_(False)
            raise ValueError("within")

    with pytest.raises(ValueError, match="within"):
        fail()
    assert [m.training for m in network.modules()] == [True, True, True, False]
    assert [p.requires_grad for p in network.parameters()] == [True, False, True, True]
    assert torch.equal(network[0].weight, weights) and torch.is_grad_enabled()


def test_generators_and_memory_of_devices_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: ["state of each"])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", calls.append)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("emptied"))
    with undisturbed():
        assert not calls
    assert calls == [["state of each"], "emptied"]


def test_autocast_casts_with_gradients_again_after_an_evaluation() -> None:
    layer = nn.Linear(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with undisturbed([layer]):
            layer(torch.ones(1, 2))
        layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad is not None


@pytest.fixture
def wan(tmp_path: Path) -> Iterator[Any]:
    """A small Wan pipeline with random weights."""
    diffusers = pytest.importorskip("diffusers")
    pytest.importorskip("peft")
    from pipelines import tiny

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield diffusers.WanPipeline.from_pretrained(tiny.saved("WanPipeline", tmp_path))
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("ignore")
def test_a_pipeline_whose_transformer_and_scheduler_are_in_training(wan: Any) -> None:
    """Flow matching with the scheduler that the pipeline samples with: sampling would set its time steps."""
    start = {k: v.clone() for k, v in wan.transformer.state_dict().items()}

    def trained(evaluated: bool) -> tuple[Any, ...]:
        seeded()
        wan.transformer.load_state_dict(start)
        network, scheduler = wan.transformer.train(), wan.scheduler
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        logged: list[dict[str, float]] = []
        evaluator = StepEvaluator(
            every_n_steps=1,
            options={"steps": 1},
            log=lambda values, step: logged.append(values),
            **ONE_CASE,
        )
        for step in range(1, 3):
            latents, words = torch.randn(1, 16, 2, 4, 4), torch.randn(1, 5, 32)
            at = torch.randint(len(scheduler.timesteps), (1,))
            sigma = scheduler.sigmas[at].view(-1, 1, 1, 1, 1)
            noise = torch.randn_like(latents)
            noisy = (1 - sigma) * latents + sigma * noise
            optimizer.zero_grad()
            made = network(noisy, scheduler.timesteps[at], words, return_dict=False)[0]
            nn.functional.mse_loss(made, noise - latents).backward()
            optimizer.step()
            if evaluated:
                evaluator.on_step(step, wan)
        if evaluated:
            assert len(logged) == 2 and all("sora_eval/score/all" in values for values in logged)
        weights = {k: v.clone() for k, v in network.state_dict().items()}
        return weights, scheduler.timesteps.clone(), scheduler.sigmas.clone(), random_states(), vars(wan).keys()

    plain = trained(False)
    assert same(trained(True)[:4], plain[:4])
    assert wan.transformer.training and not wan.vae.training


def test_nothing_of_the_core_imports_it() -> None:
    """A row of the packaging test's ranks, by running: the command knows no callback, and no callback's framework."""
    import subprocess
    import sys

    code = "import sys, sora_eval.commands.cli, sora_eval.commands.watch, sora_eval.api\n"
    code += "assert not {'lightning', 'accelerate', 'sora_eval.integrations'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
