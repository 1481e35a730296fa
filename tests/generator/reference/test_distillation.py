from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from sora_eval.generator.reference import diffusion
from sora_eval.generator.reference.distillation.trajectory import Condition, guided, targets, trajectory
from sora_eval.generator.reference.options import CheckpointOptions, Options
from sora_eval.generator.reference.sampler import Sampler, _Window

SPREAD = 0.5


def gaussian(z, t):
    """The best prediction for data N(0, s^2), a multiple of z."""
    t = t[..., None, None, None]
    return z * t * SPREAD**2 / (t**2 * SPREAD**2 + (1 - t) ** 2)


@pytest.mark.parametrize("start", [0.0, 0.4])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_student_that_predicts_its_targets_ends_where_the_teacher_ends(steps, start):
    eps, known = torch.randn(2, 3, 4, 2, 2), torch.randn(2, 3, 4, 2, 2)
    given = torch.tensor([[True, False, False], [False, False, False]])
    teacher, student = Options(steps=8), Options(steps=steps, order=1)
    passed = trajectory(gaussian, eps, known, given, teacher, 8 // steps, start)
    assert len(passed) == steps + 1
    assert torch.equal(passed[-1], diffusion.sample(gaussian, eps, known, given, teacher, start))
    levels = diffusion.schedule(student, start).tolist()
    wanted = dict(zip(levels[:-1], targets(passed, levels), strict=True))
    if start == 0:
        # The trajectory is linear in the noise, so that a student of one factor per level can be perfect.
        free = ~given[:, :, None, None, None].expand(eps.shape)
        for z, clean in zip(passed[:-1], wanted.values(), strict=True):
            factor = (clean[free] @ z[free]) / (z[free] @ z[free])
            assert torch.allclose(clean[free], factor * z[free], atol=1e-4)

    def perfect(_z, t):
        return wanted[min(wanted, key=lambda now: abs(now - float(t.min())))]

    sampled = diffusion.sample(perfect, eps, known, given, student, start)
    assert torch.allclose(sampled, passed[-1], atol=1e-5)
    # The teacher itself does not get there in as few steps.
    assert not torch.allclose(diffusion.sample(gaussian, eps, known, given, student, start), passed[-1], atol=1e-3)


def test_each_target_leads_one_euler_step_to_the_next_state():
    levels = [0.0, 0.1, 0.5, 1.0]
    passed = [torch.randn(1, 2, 4, 2, 2) for _ in levels]
    for (z, after), (now, then), clean in zip(pairwise(passed), pairwise(levels), targets(passed, levels), strict=True):
        assert torch.allclose(z + (then - now) * (clean - z) / (1 - now), after, atol=1e-5)
    assert torch.allclose(targets(passed, levels)[-1], passed[-1], atol=1e-6)


@pytest.mark.parametrize("history", [1.0, 1.5])
def test_the_teacher_of_a_batch_draws_the_samplers_clips(sampler, history):
    """Text alone, an image, a clip, both ends, and nothing at all, each in one batch as `Sampler` draws it by itself."""
    m, options = sampler.model, Options(steps=4, history=history)
    alone = Sampler(m, options)
    captions = ["a red ball rolls to the left", "a blue cube", "a cyan cone stands still", "a ball", ""]
    given = torch.zeros(5, 3, dtype=torch.bool)
    given[1, 0] = given[2, :2] = given[3, 0] = given[3, 2] = True
    known = torch.randn(5, 3, 16, 4, 4) * given[:, :, None, None, None]
    eps = torch.cat([torch.randn(1, 3, 16, 4, 4, generator=torch.Generator().manual_seed(i)) for i in range(5)])
    clip = given.sum(dim=1) > 1
    without = [c if several else "" for c, several in zip(captions, clip.tolist(), strict=True)]
    with torch.no_grad():
        text, none = (m.transformer.text_encoder(m.words.encode(c, 96)) for c in (captions, without))
        condition = Condition(given, text, none, torch.zeros(5, 3, 4, dtype=torch.long), torch.zeros(5, 3, 4, 8))
        last = trajectory(guided(m.transformer, condition, eps, options), eps, known, given, options, 2)[-1]
    for i, caption in enumerate(captions):
        assert torch.allclose(last[i], alone._sample(caption, _Window(known[i], given[i]), i), atol=1e-4), caption


def test_options_of_sampling_are_the_checkpoints_own_until_others_are_asked_for():
    assert CheckpointOptions().sampling({}) == Options()
    own = {"steps": 4, "guidance": 1.0, "order": 1}
    assert CheckpointOptions().sampling(own) == replace(Options(), steps=4, guidance=1.0, order=1)
    assert CheckpointOptions(steps=8, history=1.5).sampling(own) == Options(8, 1.0, history=1.5, order=1)
