"""What differs between two runs is named, and the parts of the difference add up."""

import json

import pytest
from recipe.conftest import SMALL

from sora_eval.commands.cli import main
from sora_eval.recipe.explain import SAME, explain
from sora_eval.recipe.rescoring import judge_of
from sora_eval.recipe.settings import differences
from sora_eval.runs.baseline import read_scored


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other") / "run"
    assert main(["run", "generator=careless", "generator.rate=1.0", *SMALL, f"out={folder}"]) == 0
    return folder


def _explained(a, b, most=100):
    first, second = read_scored(a), read_scored(b)
    return explain(first, second, judge_of(first.run), most)


def test_a_run_and_itself_differ_in_nothing(made):
    found = _explained(made, made)
    assert found.settings == ()
    assert [(s.what, s.cases, s.part) for s in found.shares] == [(SAME, 8, 0.0)]
    assert found.judging is not None
    assert (found.judging.stored, found.judging.judging, found.judging.changed_first) == (0.0, 0.0, 0)


def test_settings_and_prompts_that_differ_are_named(made, other):
    found = _explained(made, other, most=0)
    named = {d.group: d.name for d in found.settings}
    assert {"model", "prompts", "command"} == named.keys()
    assert "generator.rate" in {d.name for d in found.settings}
    assert [s.what for s in found.shares] == ["prompt as sent"]
    assert found.judging is None


def test_parts_add_up_and_belong_to_their_cases(run, other):
    """Two of the cases were sent as written: they make a group of their own."""
    for name in ("left_right.relation.t2v.0000", "left_right.relation.t2v.0001"):
        (run / f"prompts/{name}.json").unlink()
    found = _explained(run, other, most=0)
    assert {s.what: s.cases for s in found.shares} == {"prompt as sent": 6, SAME: 2}
    overall = found.scores[0]
    assert sum(s.part for s in found.shares) == pytest.approx(overall.mean)
    assert sum(s.part for s in found.shares) == pytest.approx(sum(s.mean * s.cases for s in found.shares) / 8)


def test_a_changed_judgement_is_no_difference_of_the_clips(made, run):
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    judged = [r for r in lines if r["value"] is not None]
    judged[0]["value"] -= 0.5
    (run / "scores.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines))
    found = _explained(made, run)
    assert found.scores[0].mean > 0
    assert found.judging is not None
    assert found.judging.generating == 0.0
    assert found.judging.judging == pytest.approx(found.scores[0].mean)
    assert (found.judging.changed_first, found.judging.changed_second) == (0, 1)


def test_the_command_prints_a_table_and_writes_json(made, other, tmp_path, capsys):
    assert main(["explain", str(made), str(other), f"out={tmp_path / 'why.json'}", "rescore=2", "workers=1"]) == 0
    out = capsys.readouterr().out
    for text in (
        "Settings that differ",
        "generator.rate: 0.5 in A, 1.0 in B",
        "prompt as sent",
        "goes with the judging",
    ):
        assert text in out
    stored = json.loads((tmp_path / "why.json").read_text())
    assert stored["judging"]["cases"] == 2
    assert len(stored["scores"]) == 3


@pytest.mark.parametrize("word", ["rescore=many", "rescore=-1", "colour=red", "seed", "workers=0"])
def test_a_wrong_option_is_one_line(made, capsys, word):
    assert main(["explain", str(made), str(made), word]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_note_on_long_clips_that_older_runs_lack_is_no_difference() -> None:
    def run(**recipe: object) -> dict[str, object]:
        return {"generators": [{"kind": "model", "name": "m", "fingerprint": "f", "recipe": recipe}]}

    assert differences(run(steps=4), run(steps=4, long_clips="by extension")) == []
    (found,) = differences(run(long_clips="beyond 9 frames"), run(long_clips="beyond 17 frames"))
    assert (found.group, found.name) == ("sampling", "recipe.long_clips")
