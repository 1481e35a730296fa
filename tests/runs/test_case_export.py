"""What is exported can be answered elsewhere and comes back through the folder generator."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sora_eval.errors import ConfigError
from sora_eval.generator.folder import Folder
from sora_eval.runs.case_export import PROMPT_COLUMNS, export_cases
from sora_eval.types import Case, Frames, Video
from sora_eval.video import read_video, write_h264

T2V = Case(
    id="a.t2v.0001",
    suite="suite",
    probe="probe",
    mode="t2v",
    prompt='a "red", round\nball é',
    size=(32, 48),
    fps=24.0,
    frames=4,
    given=0,
    seed=7,
    scene={"family": "drop", "params": {"x": 1.5}},
    expect={"colour": "red"},
    cluster="a",
)
CASES = [T2V, replace(T2V, id="a.i2v.0001", mode="i2v", given=1), replace(T2V, id="a.v2v.0001", mode="v2v", given=3)]


def given_frames(case: Case) -> Frames:
    return np.random.default_rng(case.given).integers(0, 256, (case.given, *case.size, 3), dtype=np.uint8)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rows(path: Path) -> Sequence[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_file_says_what_the_case_says(tmp_path: Path) -> None:
    folder = export_cases(CASES, tmp_path / "out", given_frames)
    assert folder == tmp_path / "out"
    assert list(contents(folder)) == [
        "README.txt",
        "cases.jsonl",
        "conditioning/a.i2v.0001.png",
        "conditioning/a.v2v.0001.mkv",
        "conditioning/a.v2v.0001.mp4",
        "conditioning/made.json",
        "manifest.csv",
        "prompts.csv",
    ]
    prompts = rows(folder / "prompts.csv")
    assert tuple(prompts[0]) == PROMPT_COLUMNS
    assert prompts[2] == {
        "case_id": "a.v2v.0001",
        "prompt": T2V.prompt,
        "mode": "v2v",
        "height": "32",
        "width": "48",
        "fps": "24.0",
        "frames": "4",
        "seed": "7",
        "given": "3",
        "conditioning": "conditioning/a.v2v.0001.mkv",
    }
    assert [row["conditioning"] for row in prompts[:2]] == ["", "conditioning/a.i2v.0001.png"]
    lines = (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    assert [Case.from_json(json.loads(line)) for line in lines] == CASES
    assert len((folder / "README.txt").read_text().splitlines()) == 7
    assert "cases=FOLDER/cases.jsonl" in (folder / "README.txt").read_text()
    assert "a model that returns only the continuation needs them put in front" in (folder / "README.txt").read_text()


def test_the_conditioning_is_lossless(tmp_path: Path) -> None:
    folder = export_cases(CASES, tmp_path, given_frames) / "conditioning"
    assert np.array_equal(np.asarray(Image.open(folder / "a.i2v.0001.png")), given_frames(CASES[1])[0])
    clip = read_video(folder / "a.v2v.0001.mkv")
    assert np.array_equal(clip.frames, given_frames(CASES[2]))
    assert clip.fps == 24.0
    assert read_video(folder / "a.v2v.0001.mp4").frames.shape == clip.frames.shape


def test_the_same_cases_give_the_same_bytes(tmp_path: Path) -> None:
    first = contents(export_cases(CASES, tmp_path / "one", given_frames))
    assert contents(export_cases(CASES, tmp_path / "two", given_frames)) == first
    assert contents(export_cases(CASES, tmp_path / "one", given_frames)) == first


def test_a_stopped_export_resumes_with_prompts_in_place_and_renders_what_is_missing(tmp_path: Path) -> None:
    rendered: list[str] = []

    def counted(case: Case, stop: str = "") -> Frames | None:
        if case.id == stop:
            raise KeyboardInterrupt
        rendered.append(case.id)
        return given_frames(case)

    with pytest.raises(KeyboardInterrupt):
        export_cases(CASES, tmp_path / "one", partial(counted, stop="a.v2v.0001"))
    assert len(rows(tmp_path / "one" / "prompts.csv")) == len(CASES)
    export_cases(CASES, tmp_path / "one", counted)
    # A prompt-only case needs no frames, and frames that are there are not rendered again.
    assert rendered == ["a.i2v.0001", "a.v2v.0001"]
    whole = contents(export_cases(CASES, tmp_path / "two", given_frames))
    assert contents(tmp_path / "one") == whole
    rendered.clear()
    export_cases(CASES, tmp_path / "one", counted, version="2")
    export_cases([CASES[0], replace(CASES[1], prompt="Another."), CASES[2]], tmp_path / "one", counted, version="2")
    assert rendered == ["a.i2v.0001", "a.v2v.0001", "a.i2v.0001"]


def test_several_processes_write_the_same_bytes(tmp_path: Path) -> None:
    cases = [replace(CASES[i % 3], id=f"c{i}", cluster=f"c{i}") for i in range(30)]
    one = contents(export_cases(cases, tmp_path / "one", given_frames))
    assert contents(export_cases(cases, tmp_path / "two", given_frames, workers=2)) == one


def test_the_videos_come_back_through_the_folder_generator(tmp_path: Path) -> None:
    folder = export_cases(CASES, tmp_path, given_frames)
    for case in CASES:
        frames = np.full((case.frames, *case.size, 3), 40 * (case.given + 1), np.uint8)
        write_h264(folder / "videos" / f"{case.id}.mp4", Video(frames, case.fps))
    generator = Folder(folder, cases=[case.id for case in CASES])
    assert generator.problems == []
    for case, found in zip(CASES, generator.generate(CASES), strict=True):
        assert isinstance(found, Video)
        assert abs(int(found.frames.mean()) - 40 * (case.given + 1)) <= 1


def test_a_filled_in_manifest_is_kept(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("case_id,path\na.t2v.0001,mine.mp4\n")
    export_cases(CASES, tmp_path, given_frames)
    assert rows(tmp_path / "manifest.csv") == [{"case_id": "a.t2v.0001", "path": "mine.mp4"}]


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"prompt": "Another."}, {"frames": 5}, {"size": (32, 32)}, {"fps": 8.0}]
)
def test_videos_of_other_cases_are_never_given_new_prompts(tmp_path: Path, change: dict[str, Any]) -> None:
    export_cases(CASES, tmp_path, given_frames)
    (tmp_path / "videos" / ".DS_Store").write_bytes(b"")
    # Without videos, nothing is lost.
    export_cases([replace(T2V, seed=9)], tmp_path, given_frames)
    export_cases(CASES, tmp_path, given_frames)
    write_h264(tmp_path / "videos" / "a.t2v.0001.mp4", Video(np.zeros((4, 32, 48, 3), np.uint8), 24.0))
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=r"holds videos of other cases \(a\.t2v\.0001 among 1\): name another folder"):
        export_cases([replace(T2V, **change), *CASES[1:]], tmp_path, given_frames)
    assert contents(tmp_path) == before
    # What a probe expects changes no video.
    export_cases([replace(T2V, expect={"colour": "blue"}, twin="b"), *CASES[1:]], tmp_path, given_frames)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_an_export_of_more_cases_appends_their_rows_to_the_manifest(tmp_path: Path, end: str) -> None:
    export_cases(CASES[:2], tmp_path, given_frames)
    # Filled in: with a column more, and without the case whose video could not be made.
    own = "fps, path ,case_id" + (end or "\n") + '12,"mine, é.mp4",a.t2v.0001' + end
    (tmp_path / "manifest.csv").write_text(own, encoding="utf-8", newline="")
    for _ in range(2):
        export_cases([*CASES, replace(T2V, id="a.t2v.0001.s1", sample=1)], tmp_path, given_frames)
    more = ["", ",videos/a.v2v.0001.mp4,a.v2v.0001", ",videos/a.t2v.0001.s1.mp4,a.t2v.0001.s1", ""]
    line = end or "\n"
    expected = own.removesuffix(line) + line.join(more)
    assert (tmp_path / "manifest.csv").read_bytes().decode() == expected


def test_a_row_that_names_its_sample_in_a_column_is_not_appended_again(tmp_path: Path) -> None:
    export_cases(CASES[:1], tmp_path, given_frames)
    own = "case_id,path,sample\na.t2v.0001,x.mp4,0\na.t2v.0001,y.mp4,1\n"
    (tmp_path / "manifest.csv").write_text(own)
    export_cases(
        [replace(T2V, id=f"a.t2v.0001{e}", sample=k) for k, e in enumerate(("", ".s1", ".s2"))], tmp_path, given_frames
    )
    assert (tmp_path / "manifest.csv").read_text() == f"{own}a.t2v.0001.s2,videos/a.t2v.0001.s2.mp4,2\n"


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".hidden", "a b"])
def test_an_id_that_is_no_file_name_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="the id is no file name"):
        export_cases([*CASES, replace(T2V, id=name)], tmp_path / "out", given_frames)
    assert not (tmp_path / "out").exists()


def test_an_id_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"case 'a\.t2v\.0001' is there twice"):
        export_cases([T2V, T2V], tmp_path, given_frames)


def test_conditioning_that_doesn_t_fit_the_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"case 'a\.v2v\.0001': 3 frames are given, the conditioning has 1"):
        export_cases(CASES[2:], tmp_path, lambda case: given_frames(case)[:1])
    with pytest.raises(ConfigError, match=r"case 'a\.i2v\.0001': 1 frames are given, the conditioning has 0"):
        export_cases(CASES[1:2], tmp_path, lambda case: None)


def test_both_ends_of_a_transition_are_files_of_their_own(tmp_path):
    frames = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.full((1, 16, 16, 3), 40, np.uint8)
    cases = [
        replace(CASES[2], id="a.connect.0000", mode="connect", given=4),
        replace(CASES[2], id="a.interpolate.0000", mode="interpolate", given=2),
    ]
    folder = export_cases(cases, tmp_path, lambda case: frames[: case.given])
    names = {p.name for p in (folder / "conditioning").iterdir()}
    assert {"a.connect.0000.mkv", "a.connect.0000.first.mp4", "a.connect.0000.last.mp4"} <= names
    assert np.array_equal(np.asarray(Image.open(folder / "conditioning" / "a.interpolate.0000.last.png")), frames[1])
    assert "CASE.first.png" in (folder / "README.txt").read_text()
    assert "extend_back" not in (export_cases(CASES, tmp_path / "other", given_frames) / "README.txt").read_text()
