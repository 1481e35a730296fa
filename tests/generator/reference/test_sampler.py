from dataclasses import replace

import numpy as np
import pytest
import torch

from sora_eval.data.heldout import members
from sora_eval.data.shards import FPS
from sora_eval.errors import ConfigError
from sora_eval.generator.reference import model
from sora_eval.generator.reference.autoencoder import STRIDE
from sora_eval.generator.reference.options import GRID, Options
from sora_eval.generator.reference.sampler import PromptWarning, Sampler, fit, grid_size, restore_detail
from sora_eval.generator.reference.transformer import PATCH, Transformer
from sora_eval.world.families import draw, family
from sora_eval.world.render import camera_of

WORDS = "A red ball rolls to the left."


def clip(frames=17, size=(32, 32), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, *size, 3), dtype=np.uint8)


@pytest.mark.parametrize(("frames", "size"), [(1, (32, 32)), (7, (32, 64)), (17, (64, 32)), (25, (32, 32))])
def test_any_duration_and_size(sampler, frames, size):
    video = sampler.text_to_video(WORDS, frames, size)
    assert video.frames.shape == (frames, *size, 3)
    assert video.fps == 8


def test_seed_and_options_decide_and_nothing_else(sampler):
    one = sampler.text_to_video(WORDS, 5, (32, 32), seed=4).frames
    assert np.array_equal(one, sampler.text_to_video(WORDS, 5, (32, 32), seed=4).frames)
    assert not np.array_equal(one, sampler.text_to_video(WORDS, 5, (32, 32), seed=5).frames)
    assert not np.array_equal(one, sampler.text_to_video("A blue cube stands still.", 5, (32, 32), seed=4).frames)


@pytest.fixture(scope="module")
def threads():
    """Sets how many threads torch uses, and afterwards as many as before."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_no_byte_and_stays_what_it_was(sampler, threads):
    given = clip(9, (64, 64))
    found = []
    for number in (1, 2, 3):
        threads(number)
        made = [
            sampler.text_to_video(WORDS, 9, (64, 64)),
            sampler.continue_video(given, WORDS, 9),
            sampler.extend(given, WORDS, 4, backward=True),
        ]
        found.append([v.frames for v in made])
        assert torch.get_num_threads() == number
        z = sampler._encode(given)
        found[-1].append(z.numpy())
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_an_image_is_a_clip_of_one_frame(sampler):
    image = sampler.text_to_image(WORDS, (32, 48), seed=2)
    assert image.shape == (32, 48, 3)
    assert np.array_equal(image, sampler.text_to_video(WORDS, 1, (32, 48), seed=2).frames[0])


def test_what_is_given_comes_back_as_the_autoencoder_shows_it(sampler):
    given = clip(9)
    z = sampler._encode(given)
    shown = sampler._decode(z)
    for words in (WORDS, ""):
        made = sampler.continue_video(given, words, 17)
        assert made.frames.shape == (17, 32, 32, 3)
        assert np.abs(made.frames[:9].astype(int) - shown).max() <= 1
    # Frames that do not fill a chunk are not read.
    assert np.array_equal(
        sampler.continue_video(given[:8], "", 17, 3).frames, sampler.continue_video(given[:5], "", 17, 3).frames
    )


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("more", [1, 16, 30])
def test_extension_keeps_the_clip(sampler, backward, more):
    given = clip(17)
    made = sampler.extend(given, WORDS, more, backward=backward).frames
    assert len(made) == 17 + more
    assert np.array_equal(made[more:] if backward else made[:17], given)


def test_a_short_clip_can_be_extended(sampler):
    for frames in (1, 3, 5):
        for backward in (False, True):
            assert len(sampler.extend(clip(frames), "", 4, backward=backward).frames) == frames + 4


def test_loop_and_transition(sampler):
    a, b = clip(17, seed=1), clip(9, seed=2)
    loop = sampler.loop(a, WORDS).frames
    assert np.array_equal(loop[:17], a)
    assert len(loop) > 17
    joined = sampler.connect(a, b).frames
    assert np.array_equal(joined[:17], a)
    assert np.array_equal(joined[-9:], b)
    assert len(joined) == 17 + 20 + 9
    with pytest.raises(ConfigError, match="one size"):
        sampler.connect(a, clip(9, (32, 48)))


def test_a_long_video_comes_in_pieces(sampler):
    pieces = list(sampler.long_video(WORDS, 60, (32, 32)))
    assert sum(len(p) for p in pieces) == 60
    assert max(len(p) for p in pieces) <= 17


def test_generated_context_frames_are_at_the_history_level(sampler, monkeypatch):
    levels, denoise = [], sampler.model.transformer.denoise
    monkeypatch.setattr(
        sampler.model.transformer,
        "denoise",
        lambda z, t, given, *rest: (levels.append(t[given].tolist()), denoise(z, t, given, *rest))[1],
    )
    once = Sampler(sampler.model, Options(steps=1, history_level=0.9))
    list(once.long_video(WORDS, 49, (32, 32)))
    assert levels == [[], *([pytest.approx([0.9] * 5)] * 2)]
    for backward in (False, True):
        levels.clear()
        once.extend(clip(17), WORDS, 32, backward=backward)
        # Frames of the user are clean.
        assert set(levels[0]) == {1.0}
        assert levels[1] == pytest.approx([0.9] * 5)


def test_an_edit_of_strength_0_keeps_the_clip(sampler):
    given = clip(9)
    assert np.array_equal(sampler.edit(given, WORDS, 0).frames, sampler._decode(sampler._encode(given)))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        sampler.edit(given, WORDS, 1.5)


def test_an_edit_of_little_strength_keeps_more_than_one_of_much():
    # By a trained network: the last step goes where the network says, and one that knows nothing leads anywhere.
    trained = Sampler(model.load("base"), Options(steps=4))
    given = members("single", 1)[0].frames
    kept = trained.reconstruct(given).astype(float)
    near, far = (trained.edit(given, WORDS, s).frames.astype(float) for s in (0.05, 0.95))
    assert np.abs(near - kept).mean() < np.abs(far - kept).mean()


def test_actions(sampler):
    start = clip(1)[0]
    made = sampler.rollout(start, ["forward"] * 10 + ["turn left"] * 10).frames
    assert len(made) == 21
    other = sampler.rollout(start, ["forward"] * 10 + ["turn right"] * 10).frames
    assert np.array_equal(made[0], start)
    assert not np.array_equal(made, other)
    with pytest.raises(ConfigError, match="jump"):
        sampler.rollout(start, ["jump"])


def test_what_is_read_otherwise_is_said(sampler):
    with pytest.warns(PromptWarning, match="not know: dinosaur"):
        sampler.text_to_video("a red dinosaur", 1, (32, 32))
    with pytest.warns(PromptWarning, match="30x50 does not fit the grid of 16 pixels: 32x48 is made"):
        assert sampler.text_to_video(WORDS, 1, (30, 50)).size == (32, 48)
    assert grid_size((16, 64)) == (16, 64)


def test_bad_input(sampler):
    for prompt in ("", "   "):
        with pytest.raises(ConfigError, match="prompt is empty"):
            sampler.text_to_video(prompt)
    with pytest.raises(ConfigError, match="at least 1 frame"):
        sampler.text_to_video(WORDS, 0)
    with pytest.raises(ConfigError, match="at least 1"):
        sampler.text_to_video(WORDS, 1, (0, 16))
    with pytest.raises(ConfigError, match="uint8"):
        fit(np.zeros((1, 16, 16, 3)))


def test_alpha_is_laid_over_white():
    image = np.zeros((1, 16, 16, 4), np.uint8)
    image[0, :8, :, 3] = 255
    found = fit(image)
    assert found.shape == (1, 16, 16, 3)
    assert (found[0, :8] == 0).all()
    assert (found[0, 8:] == 255).all()


def test_the_length_of_a_prompt_changes_nothing_for_its_neighbours(sampler):
    # Clips are sampled one by one: an answer is the same alone and beside others.
    alone = sampler.text_to_video(WORDS, 5, (32, 32), 1).frames
    sampler.text_to_video("A purple cone, a red ball and a cyan cube stand still.", 5, (32, 32), 2)
    assert np.array_equal(sampler.text_to_video(WORDS, 5, (32, 32), 1).frames, alone)


def test_what_stands_still_keeps_its_detail():
    true = clip(1, seed=3)[0]
    shown = np.clip(true.astype(int) + np.random.default_rng(0).integers(-9, 10, true.shape), 0, 255).astype(np.uint8)
    assert np.abs(restore_detail(shown[None], shown, true)[0].astype(int) - true).max() == 0
    other = 255 - shown
    changed = np.abs(other.astype(int) - shown).max(axis=-1) > 40
    assert np.array_equal(restore_detail(other[None], shown, true)[0][changed], other[changed])


def test_an_extension_goes_on_from_the_last_frame(sampler, monkeypatch):
    asked = []
    encode = type(sampler)._encode
    monkeypatch.setattr(type(sampler), "_encode", lambda self, frames: asked.append(frames) or encode(self, frames))
    for frames in (1, 3, 5, 8, 17):
        given = clip(frames)
        sampler.extend(given, "", 4)
        assert np.array_equal(asked[-1][-1], given[-1])


def test_a_clip_joined_again_is_its_own_up_to_the_cut(sampler):
    given = clip(33)
    whole = sampler.rejoin(given, 17)
    assert whole.shape == given.shape
    assert np.array_equal(whole[:17], given[:17])
    assert not np.array_equal(whole[17:], given[17:])


def test_a_warning_gives_the_frames_of_the_whole_take(sampler):
    # Two chunks of either clip, 5 and 8 frames, and six between.
    with pytest.warns(PromptWarning, match="this one has 37: make the transition shorter"):
        sampler.connect(clip(9), clip(9), WORDS, frames=24)


def test_the_grid_of_the_options_is_that_of_the_networks():
    assert GRID == STRIDE * PATCH


def test_late_steps_may_go_without_guidance(sampler, monkeypatch):
    sizes, denoise = [], sampler.model.transformer.denoise
    monkeypatch.setattr(
        sampler.model.transformer, "denoise", lambda z, *rest: (sizes.append(len(z)), denoise(z, *rest))[1]
    )
    clips = {}
    for until in (1.0, 0.4):
        sizes.clear()
        made = Sampler(sampler.model, Options(steps=8, guided_until=until))
        clips[until] = made.text_to_video("A red ball rolls to the left.", 5, (32, 32), 3).frames
        # Levels of eight steps: 0, .05, .1, .17, .25, .36, .5, .7.
        assert sizes == ([2] * 8 if until == 1 else [2] * 6 + [1] * 2)
    assert not np.array_equal(clips[1.0], clips[0.4])


def test_camera_poses_need_a_model_that_reads_them(sampler):
    camera = camera_of(family("room").build(draw("room", 0, 0)[0], 2.0), np.arange(17) / FPS, (64, 64))
    with pytest.raises(ConfigError, match="reads no camera poses"):
        sampler.text_to_video("A red ball.", camera=camera)
    torch.manual_seed(0)
    reads = Transformer(replace(sampler.model.transformer.config, camera=8)).eval()
    reads.load_state_dict(sampler.model.transformer.state_dict(), strict=False)
    made = Sampler(replace(sampler.model, transformer=reads), Options(steps=2))
    plain = made.text_to_video("A red ball.", 9, (32, 32), 1).frames
    assert np.array_equal(made.text_to_video("A red ball.", 9, (32, 32), 1, camera).frames, plain)
    torch.nn.init.normal_(reads.camera_embed.weight)
    assert not np.array_equal(made.text_to_video("A red ball.", 9, (32, 32), 1, camera).frames, plain)
    assert len(made.continue_video(plain[:5], "A red ball.", 9, 1, camera).frames) == 9
