"""What a rewriting loses is found, and what it says in other words is not taken for a loss."""

import doctest
import re

import pytest

import sora_eval.prompting.checker
from sora_eval import registry
from sora_eval.prompting.checker import lost
from sora_eval.types import Profile

COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
SMALL = Profile("small", 64, 64, 17, 8, 5)


@pytest.fixture(scope="module")
def prompts():
    """Every wording of sixteen cases of each bundled probe."""
    found = [c.prompt for name in registry.probe_names() for c in registry.probe(name).cases(16, SMALL, "t2v")]
    return list(dict.fromkeys(found))


def _replaced(text, words):
    return re.sub(rf"\b({'|'.join(words)})\b", lambda m: words[m[0]], text)


def test_a_prompt_loses_nothing_to_itself(prompts):
    assert len(prompts) > 300
    assert [p for p in prompts if lost(p, p)] == []


def test_swapped_sides_are_found(prompts):
    swapped = {p: _replaced(p, {"left": "right", "right": "left"}) for p in prompts}
    sided = {p: q for p, q in swapped.items() if p != q}
    assert len(sided) > 300
    missed = [p for p, q in sided.items() if not lost(p, q)]
    # Where a text of two sides is its own mirror image but for what a pronoun means.
    assert len(missed) <= len(sided) // 50, missed


@pytest.mark.parametrize("shift", [1, 3, 5])
def test_another_colour_is_found(prompts, shift):
    for prompt in prompts:
        here = [c for c in COLOURS if re.search(rf"\b{c}\b", prompt)]
        for i, colour in enumerate(here):
            other = COLOURS[(COLOURS.index(colour) + shift + i) % len(COLOURS)]
            if other != colour:
                assert lost(prompt, _replaced(prompt, {colour: other})), (prompt, colour, other)


def test_another_number_is_found(prompts):
    words = {"two": "three", "three": "four", "four": "five", "five": "six"}
    changed = {p: re.sub(r"\d+(\.\d+)?", lambda m: f"{float(m[0]) + 1:g}", _replaced(p, words)) for p in prompts}
    numbered = {p: q for p, q in changed.items() if p != q}
    assert len(numbered) > 50
    assert [p for p, q in numbered.items() if not lost(p, q)] == []


def test_a_sentence_that_is_left_out_is_found(prompts):
    for prompt in prompts:
        _first, _, rest = prompt.partition(". ")
        assert not rest or lost(prompt, rest), prompt


PAIR = "The camera moves slowly towards a blue cylinder on the right and an orange ball on the left."
CREATURE = (
    "From the left a purple ball-shaped creature comes up to a round cyan cookie, takes a big bite out of its left edge and goes back "
    "to the left."
)
DROPS = (
    "A purple ball 5.5 metres up on the left and a red ball 2 metres up on the right are dropped at the same moment."
)
COUNT = "A row of three orange cylinders; a red screen slides past them from left to right."
HAND = "A figure with cyan hair, a green shirt and purple gloves stands facing us and raises its right hand."
PAN = "A red cone stands on the right of a green ball; the camera pans right and then back to the left."
SAME = [
    (PAIR, "A slow dolly shot: on the left, a glossy orange sphere; on the right, a tall blue cylinder. Soft light."),
    (PAIR, "The camera glides in. A vivid orange ball rests at the left side of the frame, while a blue cylinder stands on the right."),
    (CREATURE, "A purple, ball-shaped creature enters from the left, waddles to a round cyan biscuit, bites a big piece from its left edge "
               "and then heads back to the left, out of frame."),
    (DROPS, "Two spheres hang in the air: a purple ball 5.5 meters up on the left, and a red ball 2 m up on the right. Both are let go."),
    (COUNT, "Three identical orange cylinders stand in a line. A tall red screen glides from the left to the right in front of them."),
    (COUNT, "3 matte orange cylinders in a row, soft studio light. A red panel moves across, left to right, hiding some of them."),
    (HAND, "A friendly character with cyan hair, wearing a green shirt and purple gloves, faces the viewer and lifts the right hand."),
    (PAN, "A green ball stands to the left of a red cone. The camera pans to the right, pauses, then pans back to the left."),
    ("A yellow ball rolls past to the right.", "A small yellow ball, shiny as glass, rolls steadily rightward across the tiles."),
    ("A red ball 1.5 metres wide rolls at 18 degrees.", "The ball is red and 1.5m wide; it rolls down a slope of 18°."),
    ("A pink glass drops from above.", "From above, a delicate pink goblet falls."),
]  # fmt: skip
CHANGED = [
    (PAIR, "On the left stands a blue cylinder; on the right, an orange ball.", "blue cylinder, place right"),
    (PAIR, "A blue cylinder and an orange ball, seen from afar.", "left"),
    (CREATURE, CREATURE.replace("left edge", "right edge"), "edge"),
    (DROPS, DROPS.replace("5.5", "2.0").replace(" 2 ", " 5.5 "), "purple ball"),
    (COUNT, COUNT.replace("three", "four"), "3 cylinder"),
    (COUNT, COUNT.replace("from left to right", "from right to left"), "red screen, direction right"),
    (HAND, HAND.replace("right hand", "left hand"), "hand, part right"),
    (HAND, HAND.replace("purple gloves", "white gloves"), "purple"),
    (PAN, PAN.replace("pans right and then back to the left", "pans left and then back to the right"), "camera"),
    ("A red ball rolls.", "A red ball rolls. A blue ball follows it.", "one in blue too"),
    ("A red ball above a green cube.", "A red ball below a green cube.", "red ball, place above"),
]


@pytest.mark.parametrize(("original", "rewritten"), SAME)
def test_other_words_for_the_same_are_no_loss(original, rewritten):
    assert lost(original, rewritten) == ()


@pytest.mark.parametrize(("original", "rewritten", "names"), CHANGED)
def test_a_change_is_named(original, rewritten, names):
    assert any(names in line for line in lost(original, rewritten)), lost(original, rewritten)


def test_the_example_holds():
    assert doctest.testmod(sora_eval.prompting.checker).failed == 0
