"""Folders of videos and their prompts: what is a clip, what is left out, which rows can be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fidelity.tiny import clips

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError
from sora_eval.fidelity.folders import ignored_files, list_videos, read_prompts
from sora_eval.runs.case_export import export_cases
from sora_eval.video import write_ffv1


def test_a_folder_is_read_by_names(tmp_path: Path) -> None:
    for name in ("b.mkv", "a.mkv"):
        write_ffv1(tmp_path / name, clips(1, 0)[0])
    (tmp_path / "notes.txt").write_text("no video")
    found = list_videos(tmp_path)
    assert list(found) == ["a", "b"]
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(ConfigError, match="have one name"):
        list_videos(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="there is no video in it"):
        list_videos(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no such folder"):
        list_videos(tmp_path / "gone")


def test_what_is_left_out_of_a_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "clips"
    for name in ("a.mkv", "b.mkv", "sub.mp4/c.mkv", "up/d.mkv"):
        write_ffv1(place / name, clips(1, 0)[0])
    (tmp_path / "up").symlink_to(place / "up")
    (place / "linked.mkv").symlink_to("../up/d.mkv")
    (place / "._a.mkv").write_bytes(b"\0\5\26\7Mac OS X")
    (place / ".DS_Store").write_bytes(b"")
    os.mkfifo(place / "pipe.mp4")
    for i in range(7):
        (place / f"{i}.webm.part").write_bytes(b"")
    (place / os.fsdecode(b"l\xe9\n.txt")).write_bytes(b"")
    assert list(list_videos(place)) == ["a", "b", "linked"]
    assert ignored_files(place) == [
        f"{place}: 1 left out, hidden: ._a.mkv",
        f"{place}: 8 left out, no video by its ending (.mp4, .mkv, .webm, .mov, .avi, .gif, .m4v): "
        "0.webm.part, 1.webm.part, 2.webm.part, 3.webm.part, 4.webm.part and 3 more",
        f"{place}: 1 left out, a named pipe, not a file: pipe.mp4",
        f"{place}: 2 left out, a subfolder: only the folder itself is read: sub.mp4, up",
    ]
    assert main(["fidelity", str(place), str(place), "--metrics", "motion"]) == 0
    assert capsys.readouterr().err.count("note: ") == 4
    with pytest.raises(ConfigError, match=r"there is no video in it .*; its subfolder 'clips' holds some: name that"):
        list_videos(tmp_path)
    (place / "b.mkv").unlink()
    (place / "b.mkv").symlink_to("gone.mkv")
    with pytest.raises(ConfigError, match=r"'b\.mkv' is a link to 'gone\.mkv', which is not there"):
        list_videos(place)


def test_names_in_either_unicode_form_are_one(tmp_path: Path) -> None:
    (tmp_path / "e\u0301.mkv").write_bytes(b"clip")
    assert list(list_videos(tmp_path)) == ["\u00e9"]
    (tmp_path / "\u00e9.mp4").write_bytes(b"clip")
    with pytest.raises(ConfigError, match="have one name"):
        list_videos(tmp_path)


def test_prompts_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("\ufeffname,prompt\na.v2,one\nb.mp4,two\nc,\n", encoding="utf-8")
    found = read_prompts(path, ["a.v2", "b", "c"])
    assert found.by_clip == {"a.v2": "one", "b": "two"}
    assert found.problems == (f"{path}, row 4: 'c' has no prompt: add it",)
    with pytest.raises(ConfigError, match="none of its names is that of a clip, such as x"):
        read_prompts(path, ["x", "y"])
    path.write_bytes("name,prompt\na,caf\u00e9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"can't be read as CSV in UTF-8"):
        read_prompts(path, ["a"])
    with pytest.raises(ConfigError, match=r"gone\.csv: can't be read \(No such file"):
        read_prompts(tmp_path / "gone.csv", ["a"])


@pytest.mark.parametrize(
    ("rows", "found", "words"),
    [
        ('one.mp4,"a, b"\nclips/two.MKV,c\n', {"one": "a, b", "two": "c"}, []),
        ("clips\\one.mp4, a\ntwo,b\n\n", {"one": "a", "two": "b"}, []),
        ('one,"a\nb"\ntwo,"say ""c"""\n', {"one": "a\nb", "two": 'say "c"'}, []),
        (
            "one,a\nonn,b\n",
            {"one": "a"},
            ["row 3: there is no clip 'onn': did you mean 'one'?", "no row for 1 of 2 clips: two"],
        ),
        # Only the ending of a video is taken from a name: it may have dots.
        ("one,a\ntwo.v2,b\n", {"one": "a"}, ["row 3: there is no clip 'two.v2'", "no row for 1 of 2 clips: two"]),
        ("one,a\ntwo,b\none.mp4,c\n", {"two": "b"}, ["row 4: 'one' has another prompt in row 2; neither is used"]),
        ("one,a\ntwo,b\none,a\n", {"one": "a", "two": "b"}, ["row 4: 'one' has the same prompt in row 2"]),
        ("one,a\ntwo\n,c\n", {"one": "a"}, ["row 3: 'two' has no prompt (1 of 2 fields)", "row 4: no name"]),
    ],
)
def test_a_row_of_prompts_that_can_t_be_used_is_named(
    tmp_path: Path, rows: str, found: dict[str, str], words: list[str]
) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"name,prompt\n{rows}", encoding="utf-8")
    prompts = read_prompts(path, ["one", "two"])
    assert prompts.by_clip == found
    assert len(prompts.problems) == len(words)
    for problem, text in zip(prompts.problems, words, strict=True):
        assert problem.startswith(str(path))
        assert text in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "name,prompt\none,A ball, rolling\n",
            "row 2: 3 fields, the header has 2: put a prompt that has commas in quotes",
        ),
        ('name,prompt\none,"A ball\ntwo,b\n', "not CSV (unexpected end of data): is a quote not closed?"),
        ('name,prompt\none,"A ball" b\n', "row 2: not CSV ("),
        ("name;prompt\none;A ball\n", "the header has name;prompt: separate columns by commas, not by semicolons"),
        ("name\tprompt\none\tA ball\n", "not by tabs"),
        ("name,text\none,a\n", "the columns name (or case_id) and prompt are needed, the header has name, text"),
        ("name,prompt,prompt\none,a,b\n", "the column prompt is there twice"),
        ("", "the header has none"),
        ("name,prompt\n", "none of its names is that of a clip"),
    ],
)
def test_prompts_that_would_be_cut_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_prompts(path, ["one", "two"])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_rows_without_a_clip_are_few_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("name,prompt\none,a\n" + "".join(f"{i:03},a\n" for i in range(300)), encoding="utf-8")
    problems = read_prompts(path, ["one"]).problems
    assert len(problems) == 11
    assert problems[-1].endswith("row 13 and later: 290 more name no clip: 010, 011, 012, 013, 014 and 285 more")


def test_the_prompts_of_exported_cases_are_read(tmp_path: Path) -> None:
    cases = registry.probe("motion").cases(2, registry.profile("small"), "t2v")
    export_cases(cases, tmp_path, lambda case: None)
    found = read_prompts(tmp_path / "prompts.csv", [case.id for case in cases])
    assert found.by_clip == {case.id: case.prompt for case in cases}
    assert found.problems == ()
