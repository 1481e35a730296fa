"""Files of prompts: every wrong row is named, twins are real mirrors, and the bundled sets say what they expect."""

import re

import pytest
import yaml
from docs.pages import DOCS, fenced

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.probes.natural.expectations import (
    KINDS,
    Camera,
    Count,
    Cover,
    Fall,
    Hands,
    LeaveAndReturn,
    Motion,
    PassBehind,
    Push,
    Relation,
    Revisit,
    Shot,
    Throw,
    from_json,
    read,
    to_json,
)
from sora_eval.probes.natural.takes import LongTake
from sora_eval.probes.natural.words import OPPOSITE
from sora_eval.prompting.camera_words import stated_moves
from sora_eval.prompting.contradictions import contradiction
from sora_eval.prompting.prompt_files import bundled_sets, prompt_cases, read_prompts, with_swapped, with_twins
from sora_eval.prompting.statements import Statements
from sora_eval.prompting.twins import mirrored, reordered

SMALL = registry.profile("small")
BUNDLED = {suite: read_prompts(f"natural/{suite}") for suite in bundled_sets()}
ROWS = [row for rows in BUNDLED.values() for row in rows]


def written(tmp_path, text, name="p.yaml"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def sides(prompt):
    return [s.value for s in Statements(prompt).sides]


TWINS = [row for row in ROWS if row not in BUNDLED["long_range"]]
"""Nothing in a long take has a side, so that its prompts have no twins."""


@pytest.mark.parametrize("row", BUNDLED["long_range"], ids=lambda row: row.id)
def test_each_long_take_states_what_it_expects_and_has_its_own_length(row):
    assert (contradiction(row.prompt, row.expect), row.twin, row.expect.mirrored()) == ("", "", None)
    (case,) = prompt_cases([row], SMALL, twins=True)
    assert case.frames == round(row.expect.seconds * SMALL.fps) + 1
    assert (case.suite, case.probe) == ("long_range", "natural_long_take")
    assert "one shot" in contradiction(row.prompt.rpartition(", in ")[0], row.expect)


def test_long_takes_are_asked_for_by_name_and_the_other_sets_stay_as_they_were():
    assert {len(BUNDLED["long_range"])} == {10}
    assert not {row.id for row in BUNDLED["long_range"]} & {row.id for row in read_prompts("natural")}
    assert {row.expect.seconds for row in BUNDLED["long_range"]} == {5, 10, 20, 30, 60}


@pytest.mark.parametrize("row", TWINS, ids=lambda row: row.id)
def test_each_bundled_prompt_states_what_it_expects_and_its_twin_the_opposite(row):
    (twin,) = (r for r in ROWS if r.id == row.twin)
    assert twin.twin == row.id
    assert contradiction(row.prompt, row.expect) == ""
    assert contradiction(row.prompt, twin.expect) != ""
    if isinstance(row.expect, Count):
        assert sorted([row.expect.number, twin.expect.number])[1] == min(row.expect.number, twin.expect.number) + 1
    elif getattr(row.expect, "to", getattr(row.expect, "side", "")) in ("left", "right", "above", "below"):
        assert sides(twin.prompt) == [OPPOSITE[s] for s in sides(row.prompt)] != []
    elif isinstance(row.expect, Camera) and isinstance(twin.expect, Camera) and row.id.startswith(("dolly", "zoom")):
        assert row.expect.mirrored() == twin.expect


@pytest.mark.parametrize("suite", [suite for suite in BUNDLED if suite != "long_range"])
def test_a_bundled_set_has_sixty_different_prompts_with_both_orders_of_mention(suite):
    rows = BUNDLED[suite]
    assert len({row.prompt for row in rows}) == len(rows) >= 60
    for row in rows:
        if isinstance(row.expect, Relation):
            names = (row.expect.a, row.expect.b)
            order = sorted(names, key=row.prompt.lower().index)
            (other,) = (
                r
                for r in rows
                if r.scene == row.scene and r.id in (f"{row.id}.swapped", row.id.removesuffix(".swapped")) and r != row
            )
            assert sorted(names, key=other.prompt.lower().index) == order[::-1]
            assert other.expect == row.expect


def test_words_that_are_no_sides_allow_no_twin():
    assert mirrored("A dog stands right behind a cat, to the left of a cup.", Relation("dog", "left", "cup")) is None
    assert mirrored("One apple lies on a table.", Count(1, "apple")) is None
    assert mirrored("A ball moves from left to right.", Motion("ball", "right")) == "A ball moves from right to left."


@pytest.mark.parametrize(
    ("prompt", "move", "to", "twin"),
    [
        ("The camera zooms in on a dog in a park.", "zoom", "in", "The camera zooms out on a dog in a park."),
        ("The camera moves back, away from them.", "dolly", "out", None),
        ("The camera zooms in on a dog, closer and closer.", "zoom", "in", None),
        ("The camera moves forward, towards the house.", "dolly", "in", None),
        ("The camera tilts up along a tower, up to its top.", "tilt", "up", None),
        ("A path leads into a wood. The camera moves back.", "dolly", "out", "A path leads into a wood. The camera moves forward."),
    ],
)  # fmt: skip
def test_a_camera_whose_direction_is_said_twice_has_no_twin(prompt, move, to, twin):
    assert contradiction(prompt, Camera(to, move)) == ""
    assert mirrored(prompt, Camera(to, move)) == twin


@pytest.mark.parametrize(
    ("name", "refused"),
    [("a.s1", True), ("a.s20", True), ("a.s0", False), ("a.s1b", False), ("a_s1", False), ("s1", False)],
)
def test_an_id_is_not_that_of_a_further_sample(tmp_path, name, refused):
    """A folder of videos reads `.sK` at the end of an id as sample K of the prompt before it."""
    rows = [
        {"id": i, "prompt": "A red ball is to the left of a cat.", "expect": {"relation": "red ball left of cat"}}
        for i in ("b", name)
    ]
    path = written(tmp_path, yaml.safe_dump(rows))
    if not refused:
        assert [row.id for row in read_prompts(path)] == ["b", name]
        return
    with pytest.raises(
        ConfigError,
        match=rf"row 2: its id {re.escape(name)} ends in \.s\d+, as ids of further samples do: rename it, such as a_s",
    ):
        read_prompts(path)


def test_a_state_may_have_a_hyphen():
    apple = read("change", "apple from whole to half-eaten")
    assert contradiction("A whole apple is half-eaten at the end.", apple) == ""
    assert "becomes half-eaten" in contradiction("A whole apple is eaten.", apple)


def test_the_other_order_means_the_same():
    words = "The small dog sits to the left of a cat."
    assert reordered(words, Relation("dog", "left", "cat")) == "A cat sits to the right of the small dog."
    assert reordered("Left of a cat and a cat, a dog sits.", Relation("dog", "left", "cat")) is None


@pytest.mark.parametrize(
    ("kind", "phrase", "expected"),
    [
        ("relation", "The dog is to the left of the cat", Relation("dog", "left", "cat")),
        ("relation", "red cup above blue bowl", Relation("red cup", "above", "blue bowl")),
        ("motion", "ball to the right", Motion("ball", "right")),
        ("count", "3 people", Count(3, "person")),
        ("pass_behind", "dog behind car", PassBehind("dog", "car")),
        ("pass_behind", "dog behind fire hydrant to the left", PassBehind("dog", "fire hydrant", "left")),
        ("camera", "pan left", Camera("left", "pan")),
        ("camera", "dolly in", Camera("in", "dolly")),
        ("camera", "still", Camera("", "still")),
        ("revisit", "away to the left and back", Revisit("left")),
        ("revisit", "away and back", Revisit()),
        ("shot", "two", Shot("two")),
        ("hands", "left hand of the woman", Hands("left", "woman")),
        ("cover", "bench by bus to the right", Cover("bench", "bus", "right")),
        ("leave_and_return", "dog to the left", LeaveAndReturn("dog", "left")),
        ("leave_and_return", "dog", LeaveAndReturn("dog")),
        ("fall", "apple", Fall("apple")),
        ("throw", "teddy bear to the right", Throw("teddy bear", "right")),
        ("push", "car by a man to the left", Push("car", "man", "left")),
        ("long_take", "a dog for 10 s", LongTake("dog", 1, 10)),
        ("long_take", "Two wine glasses for 60 seconds.", LongTake("wine glass", 2, 60)),
    ],
)
def test_phrases(kind, phrase, expected):
    assert read(kind, phrase) == expected == from_json(to_json(expected))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_an_expectation_is_read_from_its_own_phrase(row):
    assert read(to_json(row.expect)["kind"], row.expect.phrase) == row.expect
    assert row.expect.seen({"side": 1.0, "returns": 1.0, "bounces": 1.0})


def test_a_camera_of_an_earlier_version_is_a_pan_or_a_tilt():
    assert from_json({"kind": "camera", "to": "left"}) == Camera("left", "pan")
    assert from_json({"kind": "camera", "to": "up"}).phrase == "tilt up"


@pytest.mark.parametrize(
    ("kind", "phrase"),
    [
        ("camera", "pan up"),
        ("camera", "still left"),
        ("camera", "fly left"),
        ("camera", 3),
        ("revisit", "back"),
        ("shot", "three"),
        ("hands", "hand"),
        ("throw", "ball"),
        ("push", "car to the left"),
        ("topple", "vase up"),
        ("change", "candle"),
        ("count", "eleven dogs"),
        ("fall", {"a": 1}),
        ("long_take", "dog"),
        ("long_take", "dog for 4 s"),
        ("long_take", "dog for 61 s"),
        ("jump", "dog"),
    ],
)
def test_a_phrase_of_another_form_is_one_line(kind, phrase):
    with pytest.raises(ConfigError) as caught:
        read(kind, phrase)
    assert "\n" not in str(caught.value)
    assert kind in str(caught.value) or "number" in str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "moves"),
    [
        ("The camera pans slowly to the left over a street.", ["pan left"]),
        ("The camera tilts up along a tower.", ["tilt up"]),
        ("The camera moves in a park around a bench to the right.", ["orbit right"]),
        ("A drone flies forward over a lake.", ["dolly in"]),
        ("The lens zooms out; the camera stays where it is.", ["zoom out"]),
        ("The camera does not move while a ball rolls to the left.", ["still"]),
        ("The camera follows a ball that rolls to the left.", []),
        ("The camera pans to the left and then tilts down.", ["pan left", "tilt down"]),
        ("The camera pans from left to right.", ["pan right"]),
        ("The camera pans left to right.", ["pan right"]),
        ("The camera pans left, then right.", ["pan left", "pan right"]),
        ("The camera zooms in on a dog and then out.", ["zoom in", "zoom out"]),
        ("The camera zooms in and then back out.", ["zoom in", "zoom out"]),
        ("The camera is slowly panning to the left past a car on the right.", ["pan left"]),
        ("The camera is standing on a tripod.", []),
    ],
)
def test_moves_of_the_camera_in_words(prompt, moves):
    assert [f"{s.moves[0]} {s.to}".strip() for s in stated_moves(prompt)] == moves


@pytest.mark.parametrize(
    ("prompt", "kind", "phrase", "why"),
    [
        ("The camera pans to the left.", "camera", "pan right", "not to pan right"),
        ("The camera pans left, then right.", "camera", "pan left", "is to pan right in its words"),
        ("The camera moves towards a car.", "camera", "zoom in", "not to zoom in"),
        ("A street at night.", "camera", "still", "what the camera does"),
        ("The camera pans to the left and back.", "revisit", "away to the right and back", "left in its words"),
        ("The camera pans to the left.", "revisit", "away to the left and back", "comes back"),
        ("A dog on a beach.", "shot", "one", "whether it is one shot"),
        ("A woman waves with her left hand.", "hands", "right hand of woman", "not right"),
        ("A bench and a bus.", "cover", "bench by bus", "is hidden"),
        ("A dog runs out of the picture to the left.", "leave_and_return", "dog to the left", "comes back"),
        ("An apple lies on a table.", "fall", "apple", "falls"),
        ("An apple lies on a table and falls.", "rest", "apple", "falls"),
        ("A ball bounces to the left.", "bounce", "ball to the right", "not to right"),
        ("A ball is thrown to the left.", "throw", "ball to the right", "not to right"),
        ("A man pushes a car.", "push", "car by man to the left", "no side"),
        ("A candle burns down.", "change", "candle from lit to burnt out", "becomes burnt out"),
        ("A dog lies on a lawn.", "long_take", "dog for 10 s", "whether it is one shot"),
        ("A dog lies on a lawn in one shot.", "long_take", "two dogs for 10 s", "how many"),
        ("Three dogs lie on a lawn in one shot.", "long_take", "two dogs for 10 s", "say 3"),
        ("A dog lies on a lawn in one shot of 20 seconds.", "long_take", "dog for 10 s", "20 seconds"),
        ("A vase stands on the left.", "topple", "vase to the left", "tips over"),
    ],
)
def test_a_prompt_that_does_not_say_what_is_expected(prompt, kind, phrase, why):
    assert why in contradiction(prompt, read(kind, phrase))


def test_every_wrong_row_is_named(tmp_path):
    rows = [
        {"prompt": "A dog sits to the left of a cat.", "expect": {"relation": "dog right of cat"}},
        {"prompt": "A dog sits.", "expect": {"relation": "dog left of cat"}},
        {"prompt": "A dog waves.", "expect": {"hands": "left"}},
        {"prompt": "A dog jumps.", "expect": {"jump": "up"}},
        "words",
        {"prompt": "Three dogs sit.", "expect": {"count": "4 dogs"}},
        {"id": "../x", "prompt": "Three dogs sit.", "expect": {"count": "3 dogs"}},
    ]
    with pytest.raises(ConfigError) as caught:
        read_prompts(written(tmp_path, yaml.safe_dump(rows)))
    assert re.findall(r"row (\d)", str(caught.value)) == [str(i) for i in range(1, 8)]


def test_yaml_and_csv_of_the_page_are_read(tmp_path):
    page = DOCS / "prompts.md"
    (text,) = fenced(page, "yaml")
    rows = read_prompts(written(tmp_path, text))
    assert len({type(row.expect) for row in rows}) == 6
    table = re.findall(r"^\| `(\w+)` \|", page.read_text(), re.MULTILINE)
    assert {name for name in table if name in KINDS} == set(KINDS)
    (text,) = fenced(page, "csv")
    rows = read_prompts(written(tmp_path, text, "p.csv"))
    assert [row.id for row in rows] == ["dog_cat", "apples"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("p.yaml", "a: ["), ("p.yaml", "a: 1"), ("p.csv", "id\nx"), ("p.csv", "prompt,colour\na,b"), ("p.csv", "prompt,count\na")],
)  # fmt: skip
def test_files_that_are_none(tmp_path, name, text):
    with pytest.raises(ConfigError):
        read_prompts(written(tmp_path, text, name))


def test_cases_of_twins_share_a_cluster(tmp_path):
    rows = read_prompts(
        written(tmp_path, "- {prompt: A dog sits to the left of a cat., expect: {relation: dog left of cat}}")
    )
    cases = prompt_cases(rows, SMALL, twins=True, swapped=True)
    assert [c.id for c in cases] == ["prompt001", "prompt001.swapped", "prompt001.twin", "prompt001.twin.swapped"]
    assert len({c.cluster for c in cases}) == 1
    assert {c.twin for c in cases} == {c.id for c in cases}
    assert with_swapped(with_twins(with_swapped(with_twins(rows)))) == with_swapped(with_twins(rows))
