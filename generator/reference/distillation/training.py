"""Training of the student: the teacher samples a batch, the student learns each of its own steps on these trajectories."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from sora_eval.errors import ConfigError
from sora_eval.generator.reference import diffusion, losses
from sora_eval.generator.reference.dataset import Batch, LatentDataset
from sora_eval.generator.reference.distillation.trajectory import Condition, guided, targets, trajectory
from sora_eval.generator.reference.model import Model
from sora_eval.generator.reference.options import Options
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.reference.train import draw, optimisers_of, write_previews
from sora_eval.generator.reference.transformer import Transformer
from sora_eval.training import loop

EDITS = 0.1
"""Share of batches that begin from a noisy clip and another caption, as edits do: at other levels than those from pure noise."""
MOST_KEPT = 0.7
"""Largest level from which they begin."""


class Distillation:
    """Progressive distillation (arXiv:2202.00512): one Euler step of the student matches several guided steps of the teacher.

    The text encoder stays as it is: words keep their meaning, and teacher and student share it.

    Raises:
        ConfigError: the teacher's steps are no multiple of `steps`.
    """

    def __init__(self, teacher: Model, data: LatentDataset, steps: int, rate: float) -> None:
        self.teacher, self.data, self.rate = teacher, data, rate
        self.teacher_options = Options.of(teacher.sampling)
        if self.teacher_options.steps % steps:
            raise ConfigError(
                f"distil.sampling_steps must divide the {self.teacher_options.steps} steps of the teacher, got {steps}"
            )
        self.options = replace(self.teacher_options, steps=steps, guidance=1.0, history=1.0, order=1)
        """Options of sampling that the student is for."""
        device = loop.device()
        self._sampled = copy.deepcopy(teacher.transformer).to(device)
        self.network: Transformer = copy.deepcopy(self._sampled).requires_grad_(True).train()
        self.network.text_encoder.requires_grad_(False)
        self.network.grounding_head.requires_grad_(False)
        # Batches of the last phase of the curriculum.
        self._first_step = data.recipe.phases[-1].unit * data.unit

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the velocity loss of the student's steps, the mean over them, and that of each for the log."""
        device = next(self.network.parameters()).device
        batch = self.data.batch(self._first_step + step, rank).to(device)
        z = batch.latents  # (B, K, C, h, w)
        noise = loop.noise_of(self.data.seed, step, f"distil {rank}")
        _, given, eps, captions = draw(batch, self.data.phase(self._first_step + step), self.data.recipe, noise)
        edited, kept = torch.rand(2, generator=noise).tolist()
        start = 0.0
        if edited < EDITS:
            given, start, captions = torch.zeros_like(given), MOST_KEPT * kept, captions[1:] + captions[:1]
        n = self.options.steps
        levels = diffusion.schedule(self.options, start).tolist()
        with torch.no_grad(), loop.autocast(device):
            condition = self._condition(batch, given, captions)
            predict = guided(self._sampled, condition, eps, self.teacher_options)
            every = self.teacher_options.steps // n
            states = trajectory(predict, eps, z, condition.given, self.teacher_options, every, start)
        now = torch.tensor(levels[:-1]).to(z).repeat_interleave(len(z))  # (n B,)
        repeated = condition.repeat(n)
        t = torch.where(repeated.given, 1.0, now[:, None])  # (n B, K)
        with loop.autocast(device):
            predicted = self.network.denoise(
                torch.cat(states[:-1]), t, repeated.given, repeated.text, repeated.actions, repeated.camera
            )
        steps = zip(predicted.chunk(n), targets(states, levels), t.chunk(n), strict=True)
        each = [losses.velocity_loss(x, target, level, given) for x, target, level in steps]
        figures = {f"step{i}": float(one.detach()) for i, one in enumerate(each, 1)}
        return torch.stack(each).mean(), {"clips": float(len(z)), **figures}

    def _condition(self, batch: Batch, given: Tensor, captions: list[str]) -> Condition:
        several = (given.sum(dim=1) > 1).tolist()
        unconditional = [caption if clip else "" for caption, clip in zip(captions, several, strict=True)]
        length = self._sampled.config.text_length
        text, no_text = (
            self._sampled.text_encoder(self.teacher.words.encode(c, length).to(given.device))
            for c in (captions, unconditional)
        )
        return Condition(given, text, no_text, batch.actions, batch.camera)

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon for the matrices of blocks and AdamW for the rest, at the recipe's ratio of their rates."""
        r = self.data.recipe
        return optimisers_of(self.network, replace(r, muon=self.rate, adamw=r.adamw * self.rate / r.muon))

    @torch.no_grad()
    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write clips of the sample sheet's prompts by the student's own sampling (PNG)."""
        network = Transformer(self.network.config)
        network.load_state_dict({k: v.cpu() for k, v in weights.items()})
        student = replace(self.teacher, transformer=network.eval())
        write_previews(Sampler(student, self.options), path)
