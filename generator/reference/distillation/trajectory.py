"""The teacher's sampling trajectories of a batch, and what a student of fewer steps has to predict along them.

Progressive distillation (Salimans and Ho 2022, arXiv:2202.00512) of a guided teacher (Meng et al. 2023, arXiv:2210.03142): one step of the
student leads where several of the teacher lead. The states are those of the teacher's own sampling, with its solver, instead of clips
with noise added: guidance leads away from these, and a sampler never sees them.

Shapes: B clips, K chunks, C channels, latents of h x w.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from sora_eval.generator.reference import diffusion
from sora_eval.generator.reference.options import Options
from sora_eval.generator.reference.text import EncodedText
from sora_eval.generator.reference.transformer import Transformer

Predict = Callable[[Tensor, Tensor], Tensor]
"""Latents (B, K, C, h, w) and their levels (B, K) to clean latents."""


@dataclass(frozen=True)
class Condition:
    """What the clips of a batch are sampled from."""

    given: Tensor
    """(B, K), True for conditioning chunks."""
    text: EncodedText
    """Encoded captions."""
    without: EncodedText
    """Captions of the unconditional branch of guidance: empty ones, but the same where a clip of several chunks is given."""
    actions: Tensor
    """(B, K, 4) index per frame."""
    camera: Tensor
    """(B, K, 4, 8) pose per frame."""

    def repeat(self, times: int) -> Condition:
        """Return the condition of the same clips several times over."""
        text, without = (EncodedText(*(_again(part, times) for part in t)) for t in (self.text, self.without))
        return Condition(
            _again(self.given, times), text, without, _again(self.actions, times), _again(self.camera, times)
        )


def guided(network: Transformer, c: Condition, eps: Tensor, options: Options) -> Predict:
    """Return the prediction of a network with guidance, as `Sampler` makes it for one clip. eps: the noise that sampling begins with."""
    clip = c.given.sum(dim=1) > 1  # (B,)
    scale = torch.where(clip, options.history, options.guidance).to(eps)[:, None, None, None, None]
    rows = torch.nonzero((scale.flatten() != 1) & (c.given.any(dim=1) | (c.text.mask.sum(dim=1) > 1)))[:, 0]
    hold, free = c.given[:, :, None, None, None], torch.zeros_like(c.given)
    text = EncodedText(*(part[rows] for part in c.without))
    with_text, with_none = network.keys_values(c.text), network.keys_values(text) if len(rows) else []

    def predict(z: Tensor, t: Tensor) -> Tensor:
        clean = network.denoise(z, t, c.given, c.text, c.actions, c.camera, with_text).float()
        if not len(rows) or float(t.min()) >= options.guided_until:
            return clean
        z, t, blank = torch.where(hold, eps, z), t.masked_fill(c.given, 0.0), torch.zeros_like(c.camera)
        none = network.denoise(z[rows], t[rows], free[rows], text, c.actions[rows], blank[rows], with_none).float()
        clean[rows] = none + scale[rows] * (clean[rows] - none)
        return clean

    return predict


def trajectory(
    predict: Predict, eps: Tensor, known: Tensor, given: Tensor, options: Options, every: int, start: float = 0.0
) -> list[Tensor]:
    """Return the states of sampling after every `every` steps: the first is where it begins, the last the clip.

    The other arguments are those of `diffusion.sample`.
    """
    passed: list[Tensor] = []

    def noted(z: Tensor, t: Tensor) -> Tensor:
        passed.append(z)
        return predict(z, t)

    last = diffusion.sample(noted, eps, known, given, options, start)
    return [*passed[::every], last]


def targets(passed: Sequence[Tensor], levels: Sequence[float]) -> list[Tensor]:
    """Return the clean latent for each state but the last by which one Euler step leads from it to the next.

    z_then = z_now + (then - now) (x - z_now) / (1 - now), solved for x.
    """
    return [
        z_now + (1 - now) / (then - now) * (z_then - z_now)
        for (z_now, z_then), (now, then) in zip(pairwise(passed), pairwise(levels), strict=True)
    ]


def _again(part: Tensor, times: int) -> Tensor:
    return part.repeat(times, *[1] * (part.ndim - 1))
