"""Stored cases are asked again by any version: what it no longer knows is named, the rest goes on."""

import json

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.config import parse, with_cases, without_truth
from sora_eval.errors import ConfigError
from sora_eval.prompting.case_sets import stored_set
from sora_eval.runs.naming import run_folder
from sora_eval.runs.protocol import differing, protocol_hash, protocol_of
from sora_eval.runs.reader import read_run
from sora_eval.stats.samples import sampled
from sora_eval.types import Video
from sora_eval.video import write_h264
from sora_eval.world.palette import COLOURS

SMALL = registry.profile("small")
CASES = registry.probe("relation").cases(2, SMALL, "t2v") + registry.probe("count").cases(2, SMALL, "t2v")


def stored(tmp_path, rows, name="cases.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def changed(case, **values):
    return {**case.to_json(), **values}


def test_the_cases_come_back_as_they_were(tmp_path):
    path = stored(tmp_path, [c.to_json() for c in CASES])
    found = stored_set(str(path))
    assert list(found.cases) == CASES == list(stored_set(str(tmp_path)).cases)
    assert set(found.probes) == {"relation", "count"}
    assert (found.profile.height, found.profile.frames, found.modes, found.count) == (64, 17, ("t2v",), 2)
    assert list(stored_set(str(path), 2).cases) == sampled(CASES, 2)


def test_what_is_not_known_any_more_is_left_out_and_said(tmp_path):
    unknown = [
        changed(CASES[0], id="a", probe="later"),
        changed(CASES[0], id="b", scene={"family": "later", "params": {}}),
        changed(CASES[0], id="c", scene={**CASES[0].scene, "params": {**CASES[0].scene["params"], "later": 1}}),
        changed(CASES[0], id="d", later=1),
        changed(CASES[0], id="e", scene=CASES[2].scene),
        changed(CASES[0], id="f", scene={}),
    ]
    found = stored_set(str(stored(tmp_path, [*unknown, CASES[1].to_json()])))
    assert list(found.cases) == [CASES[1]]
    assert len(found.left_out) == 6
    for number, (line, name) in enumerate(zip(found.left_out, "abcdef", strict=True), start=1):
        assert f":{number}: case {name} is left out" in line
    with pytest.raises(ConfigError, match="no case of it is known"):
        stored_set(str(stored(tmp_path, unknown)))


def test_the_layout_of_the_file_is_not_part_of_its_hash(tmp_path):
    one = stored_set(str(stored(tmp_path, [c.to_json() for c in CASES])))
    (tmp_path / "other.jsonl").write_text(
        "\n\n".join(json.dumps(c.to_json(), indent=None, sort_keys=True) for c in CASES[::-1])
    )
    other = stored_set(str(tmp_path / "other.jsonl"))
    assert one.digest == other.digest
    assert one.digest != stored_set(str(stored(tmp_path, [c.to_json() for c in CASES[:2]]))).digest


@pytest.mark.parametrize("text", ["{", "[]\n", "", '{"id": "a"}\n'])
def test_files_that_are_none(tmp_path, text):
    (tmp_path / "cases.jsonl").write_text(text)
    with pytest.raises(ConfigError, match="cases"):
        stored_set(str(tmp_path))


def test_a_case_is_there_once(tmp_path):
    with pytest.raises(ConfigError, match=r":2: .* already"):
        stored_set(str(stored(tmp_path, [CASES[0].to_json()] * 2)))


@pytest.mark.parametrize(
    "word", ["suite=smoke", "suite.count=3", "seed=1", "profile=medium", "world.look=indoor", "prompts.file=natural"]
)
@pytest.mark.parametrize("command", ["run", "plan", "cases"])
def test_both_a_file_and_a_suite_are_refused_in_one_line(tmp_path, word, command, capsys):
    path = stored(tmp_path, [c.to_json() for c in CASES])
    assert main([command, f"cases={path}", word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "leave one of them out" in line


PROMPT = (
    "- {id: rel, prompt: A red ball lies to the left of a blue cube., expect: {relation: red ball left of blue cube}}"
)


@pytest.mark.parametrize("command", ["run", "generate", "cases"])
def test_another_number_of_samples_than_the_file_s_own_is_refused(tmp_path, command, capsys):
    path = stored(tmp_path, [c.to_json() for c in sampled(CASES, 4)])
    for count in (1, 2):
        assert main([command, f"cases={path}", f"samples={count}", f"out={tmp_path / 'out'}"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"has 4 samples per prompt of its own: leave samples={count} out" in line
    for words in ([], ["samples=4"]):
        assert len(with_cases(parse(command, [f"cases={path}", *words])[0])[1].cases) == 4 * len(CASES)


@pytest.mark.parametrize("command", ["run", "plan", "cases", "generate"])
@pytest.mark.parametrize("word", ["prompts.twins=true", "prompts.swapped=true"])
@pytest.mark.parametrize("file", [False, True])
def test_twins_of_prompts_without_a_file_of_prompts_are_refused(tmp_path, command, word, file, capsys):
    path = stored(tmp_path, [c.to_json() for c in CASES])
    assert main([command, word, *[f"cases={path}"] * file, f"out={tmp_path / 'out'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "prompts.twins and prompts.swapped are for prompts=FILE" in line


@pytest.mark.parametrize("word", ["fidelity.metrics=[text_image]", "tracking=true", "fidelity.image_distance=lpips"])
def test_metrics_of_true_clips_can_t_be_asked_of_prompts_without_a_scene(tmp_path, word, capsys):
    (tmp_path / "p.yaml").write_text(PROMPT)
    assert main(["run", f"prompts={tmp_path / 'p.yaml'}", word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{word.partition('=')[0]}= can't be used with prompts.file=" in line and "no true clip" in line
    for none in ("fidelity=null", "fidelity.metrics=[]", "tracking=false"):
        parse("run", [f"prompts.file={tmp_path / 'p.yaml'}", none])


def test_metrics_that_prompts_without_a_scene_lack_are_a_note(tmp_path):
    (tmp_path / "p.yaml").write_text(PROMPT)
    asked = parse("run", [f"prompts.file={tmp_path / 'p.yaml'}"])[0]
    assert without_truth(asked, with_cases(asked)[0]) == (
        "no fidelity and no tracking metrics: prompts without a scene have no true clip to compare with",
    )
    less = parse("run", [f"prompts.file={tmp_path / 'p.yaml'}", "tracking=false", "fidelity=null"])[0]
    assert without_truth(less, with_cases(less)[0]) == ()
    scenes = parse("run", ["suite.count=1", "suite.probes=[relation]"])[0]
    assert without_truth(scenes, with_cases(scenes)[0]) == ()


def test_a_run_of_the_cases_of_a_suite_is_compared_with_that_of_the_suite(tmp_path, capsys):
    rest = ["references=[]", "fidelity=null", "tracking=false", "workers=1"]
    words = ["suite.probes=[relation]", "suite.count=2", "suite.modes=[t2v]"]
    assert main(["run", *words, *rest, f"out={tmp_path / 'suite'}"]) == 0
    strange = changed(CASES[2], id="later", probe="later")
    path = stored(tmp_path, [*(c.to_json() for c in read_run(tmp_path / "suite").cases), strange])
    # Code 1: done, but a case was left out.
    assert main(["run", f"cases={path}", *rest, f"out={tmp_path / 'file'}"]) == 1
    runs = {name: read_run(tmp_path / name) for name in ("suite", "file")}
    assert [r.value for r in runs["file"].rows] == [r.value for r in runs["suite"].rows] == [1.0, 1.0]
    assert any("case later is left out" in line for line in runs["file"].problems)
    protocols = {name: protocol_of(run) for name, run in runs.items()}
    assert len({protocol_hash(p) for p in protocols.values()}) == 1
    assert differing(protocols) == []
    assert main(["baseline", "save", str(tmp_path / "file"), "--out", str(tmp_path / "baseline")]) == 0
    for candidate in runs:
        # 2 cases are too little evidence; 2 would be "cannot be compared".
        assert main(["gate", "--baseline", str(tmp_path / "baseline"), "--candidate", str(tmp_path / candidate)]) == 3


def test_the_folder_of_a_run_is_named_after_the_file(tmp_path):
    path = stored(tmp_path, [c.to_json() for c in CASES], "mine.jsonl")
    config, found = with_cases(parse("run", [f"cases={path}"])[0])
    assert run_folder(config, "oracle") == f"runs/{found.name}-64x64x17/oracle/default/0"
    assert found.name == f"mine@{found.digest[:6]}"


def test_prompts_are_exported_and_a_folder_of_clips_is_judged(tmp_path, capsys):
    (tmp_path / "p.yaml").write_text(PROMPT)
    assert main(["cases", f"prompts={tmp_path / 'p.yaml'}", "prompts.twins=true", f"out={tmp_path / 'mine'}"]) == 0
    assert (tmp_path / "mine" / "manifest.csv").read_text().splitlines() == [
        "case_id,path", "rel,videos/rel.mp4", "rel.twin,videos/rel.twin.mp4",
    ]  # fmt: skip
    assert main(["run", f"prompts={tmp_path / 'p.yaml'}", f"out={tmp_path / 'run'}"]) == 2
    assert "choose a model" in capsys.readouterr().err
    # What a model drew for both: the ball on the left.
    frame = np.full((96, 128, 3), 200, np.uint8)
    frame[40:60, 20:40], frame[40:60, 80:100] = COLOURS["red"], COLOURS["blue"]
    for name in ("rel", "rel.twin"):
        write_h264(tmp_path / "mine" / "videos" / f"{name}.mp4", Video(np.repeat(frame[None], 17, axis=0), 8.0), 10)
    words = [f"prompts={tmp_path / 'p.yaml'}", "prompts.twins=true", f"out={tmp_path / 'run'}"]
    assert main(["run", *words, "generator=folder", f"generator.path={tmp_path / 'mine'}"]) == 1
    assert {row.case: row.value for row in read_run(tmp_path / "run").rows} == {"rel": 1.0, "rel.twin": 0.0}
