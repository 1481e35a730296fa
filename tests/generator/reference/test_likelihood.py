"""Denoising loss: lower for clips that keep the world's laws than for those that break them, without sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sora_eval.audit.scorers import ScoredClip, load_scorer
from sora_eval.data.vocabulary import words_of
from sora_eval.errors import ConfigError
from sora_eval.generator.denoising import DRAWS, LEVELS
from sora_eval.generator.reference.evaluation.likelihood import denoising_loss
from sora_eval.generator.reference.model import load
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.registry import probe, profile
from sora_eval.training.tensors import to_tensor
from sora_eval.types import Case, Video


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return probe("relation").cases(6, profile("small"), "t2v", seed=3)


def test_a_clip_of_its_prompt_is_likelier_than_one_of_the_other_side(cases: list[Case]) -> None:
    for case in cases:
        true, swapped = true_video(case), next(Violation("swapped_sides", 1.0).generate([case]))
        assert isinstance(swapped, Video)
        assert denoising_loss("42x", true, case.prompt) < denoising_loss("42x", swapped, case.prompt)


def test_noise_is_less_likely_than_any_clip(cases: list[Case]) -> None:
    noise = next(Control("noise").generate(cases[:1]))
    assert isinstance(noise, Video)
    assert denoising_loss("base", noise, cases[0].prompt) > 2 * denoising_loss(
        "base", true_video(cases[0]), cases[0].prompt
    )


def test_the_same_clip_has_the_same_loss_whatever_its_rate_and_size(cases: list[Case]) -> None:
    true = true_video(cases[0])
    loss = denoising_loss("base", true, cases[0].prompt)
    assert denoising_loss("base", true, cases[0].prompt) == loss
    doubled = Video(np.repeat(true.frames, 2, axis=0), 2 * true.fps)
    assert denoising_loss("base", doubled, cases[0].prompt) == pytest.approx(loss, rel=0.05)
    larger = Video(true.frames.repeat(2, axis=1).repeat(2, axis=2), true.fps)
    assert denoising_loss("base", larger, cases[0].prompt) == pytest.approx(loss, rel=0.02)


def test_a_long_clip_is_read_in_windows(cases: list[Case]) -> None:
    true = true_video(cases[0]).frames
    window = np.concatenate([true, true, true])[:33]
    one = denoising_loss("base", Video(window, 8.0), cases[0].prompt)
    twice = Video(np.concatenate([window, window]), 8.0)
    assert denoising_loss("base", twice, cases[0].prompt) == pytest.approx(one, rel=1e-5)


def test_the_loss_is_the_mean_of_single_passes_over_levels_and_noises(cases: list[Case]) -> None:
    model, true = load("base"), true_video(cases[0])
    caption = Sampler(model).caption(cases[0].prompt)
    ids = model.words.encode([caption], len(words_of(caption)))
    errors = []
    with torch.inference_mode():
        z = model.autoencoder.encode(to_tensor(true.frames)[None])
        given = torch.zeros(1, z.shape[1], dtype=torch.bool)
        none = torch.zeros(1, z.shape[1], 4, dtype=torch.long)
        for level in LEVELS:
            for draw in range(DRAWS):
                eps = torch.randn(z.shape, generator=torch.Generator().manual_seed(draw))
                noisy = level * z + (1 - level) * eps
                clean = model.transformer(noisy, torch.full(given.shape, level), given, ids, none)
                errors.append(float(((clean - z) / (1 - level)).square().mean()))
    assert denoising_loss("base", true, cases[0].prompt) == pytest.approx(np.mean(errors), rel=1e-5)


def test_a_checkpoint_is_a_scorer_of_the_audit(cases: list[Case]) -> None:
    scorer, true = load_scorer("likelihood:base"), true_video(cases[0])
    assert (scorer.name, scorer.higher_is_better) == ("likelihood base", True)
    assert scorer.value(ScoredClip(true, cases[0].prompt, true)) == (-denoising_loss("base", true, cases[0].prompt), "")
    with pytest.raises(ConfigError, match="bsae"):
        load_scorer("likelihood:bsae")
