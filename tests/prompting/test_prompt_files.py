"""Files of prompts: every wrong row is named, twins are real mirrors, and the bundled sets say what they expect."""

import re

import pytest
import yaml
from docs.pages import DOCS, fenced

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.probes.natural.expectations import KINDS, Count, Motion, PassBehind, Relation, from_json, read, to_json
from sora_eval.prompting.prompt_files import bundled_sets, prompt_cases, read_prompts, with_swapped, with_twins
from sora_eval.prompting.statements import OPPOSITE, Statements
from sora_eval.prompting.contradictions import contradiction
from sora_eval.prompting.twins import mirrored, reordered

SMALL = registry.profile("small")
BUNDLED = {suite: read_prompts(f"natural/{suite}") for suite in bundled_sets()}
ROWS = [row for rows in BUNDLED.values() for row in rows]


def written(tmp_path, text, name="p.yaml"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def sides(prompt):
    return [s.value for s in Statements(prompt).sides]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_each_bundled_prompt_states_what_it_expects_and_its_twin_the_opposite(row):
    (twin,) = (r for r in ROWS if r.id == row.twin)
    assert twin.twin == row.id
    assert contradiction(row.prompt, row.expect) == ""
    assert contradiction(row.prompt, twin.expect) != ""
    if isinstance(row.expect, Count):
        assert sorted([row.expect.number, twin.expect.number])[1] == min(row.expect.number, twin.expect.number) + 1
    else:
        assert sides(twin.prompt) == [OPPOSITE[s] for s in sides(row.prompt)] != []


@pytest.mark.parametrize("suite", BUNDLED)
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
    ],
)
def test_phrases(kind, phrase, expected):
    assert read(kind, phrase) == expected == from_json(to_json(expected))


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
    assert {type(row.expect) for row in rows} == set(KINDS.values())
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
