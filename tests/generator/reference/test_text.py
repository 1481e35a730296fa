import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sora_eval import registry
from sora_eval.data.vocabulary import words_of, world_vocabulary
from sora_eval.generator.reference.text import LENGTH, TextEncoder, expand
from sora_eval.world.families import FAMILIES, common
from sora_eval.world.families.params import Style
from sora_eval.world.palette import COLOURS

SETTING = common.setting(Style("slate", "white", "noon"), common.LEVEL)
TURNED = {"left", "right", "up", "down", "closer", "away", "front", "behind", "above", "below", "forward", "towards"}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_word_of_the_world_is_known(name):
    vocabulary, family = world_vocabulary(), FAMILIES[name]
    for i in range(200):
        rng = np.random.default_rng([i, 77])
        params = family.sample(rng)
        for long in (False, True):
            assert vocabulary.unknown(family.caption(params, rng, long=long)) == []
        assert vocabulary.unknown(family.setting(params)) == []


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(FAMILIES)), number=st.integers(0, 10**6), seed=st.integers(0, 10**6))
def test_the_expander_keeps_every_word_and_adds_no_other_meaning(name, number, seed):
    rng = np.random.default_rng(number)
    prompt = FAMILIES[name].caption(FAMILIES[name].sample(rng), rng)
    text = expand(prompt, seed)
    assert text.lower().startswith(prompt.lower().rstrip("."))
    assert expand(prompt, seed) == text
    added = words_of(text[len(prompt) :])
    # What is added names no new colour of a thing, no number and no direction; the light's side is no direction of a thing.
    assert set(added) & set(COLOURS) <= set(words_of(prompt)) & set(COLOURS)
    assert not any(re.fullmatch(r"\d+(\.\d+)?", w) for w in added)
    without_light = re.sub(r"light from (the left|the right|above)", "", text[len(prompt) :])
    assert not set(words_of(without_light)) & TURNED


def test_the_expander_adds_what_is_left_open_and_nothing_twice():
    text = expand("a red ball rolls to the left", 3)
    assert text.startswith("A red ball rolls to the left.")
    assert "The red ball is" in text
    assert "tiles" in text
    assert text.count("camera") == 1
    long = "A red ball rolls to the left. The red ball is small and plain. The camera does not move."
    assert expand(long, 3).count("The red ball is") == 1
    assert len({expand("a red ball stands still", s) for s in range(20)}) > 5


@pytest.mark.parametrize("seed", range(20))
def test_the_expander_contradicts_nothing_that_is_said(seed):
    lit = "A red ball rolls to the left, with light from the left."
    assert words_of(expand(lit, seed)).count("light") == 1
    assert (
        expand("The floor is dark grey and the backdrop is slate. A red cube stands still.", seed).count("floor") == 1
    )
    assert expand(f"A red ball stands still. {SETTING}", seed).count("tiles") == 1
    assert "tiles" in expand("A red cone stands on the floor and does not move.", seed)


@pytest.mark.parametrize("name", registry.probe_names())
def test_the_suites_own_prompts_stay_as_they_are(name):
    (case, *_) = registry.probe(name).cases(1, registry.profile("small"), "t2v")
    assert expand(case.prompt, 1) == case.prompt


@pytest.mark.parametrize("name", FAMILIES)
def test_a_camera_that_moves_is_never_said_to_stand_still(name):
    rng, family = np.random.default_rng([6, *name.encode()]), FAMILIES[name]
    for _ in range(40):
        params = family.sample(rng)
        short, long = family.caption(params, rng), family.caption(params, rng, long=True)
        added = expand(short, 1)[len(short) :]
        assert "camera does not move" not in added or "does not move" in long or "still picture" in short
        assert "blocks" not in short or added.strip(" .") == ""


def test_an_expanded_prompt_is_never_longer_than_what_is_read():
    for name, family in FAMILIES.items():
        rng = np.random.default_rng([5, *name.encode()])
        for _ in range(30):
            params = family.sample(rng)
            prompt = f"{family.caption(params, rng)} {family.setting(params)}"
            assert len(words_of(expand(prompt))) <= max(LENGTH, len(words_of(prompt)))


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="empty"):
        expand("  ")


def test_unknown_words_are_named_once():
    assert world_vocabulary().unknown("A red dinosaur eats a dinosaur.") == ["dinosaur", "eats"]


def test_padding_has_no_influence():
    torch.manual_seed(0)
    encoder = TextEncoder(50, 16, 2, 2, 24, pooled=8)
    ids = torch.randint(2, 50, (1, 9))
    padded = torch.nn.functional.pad(ids, (0, 15))
    (a, _, p), (b, known, q) = encoder(ids), encoder(padded)
    assert torch.allclose(a, b[:, :9], atol=1e-5)
    assert torch.allclose(p, q, atol=1e-5)
    assert known.sum() == 9


def test_the_lights_and_floors_that_are_added_are_the_worlds():
    words = {w for s in range(40) for w in words_of(expand("a red ball stands still", s))}
    assert {w for light in common.SAMPLED_LIGHTS for w in words_of(common.LIGHT_WORDS[light])} <= words
