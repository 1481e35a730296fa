"""A faulty row of a manifest costs its own case, says where it is, and leaves the others alone."""

from __future__ import annotations

import codecs
import errno
import json
import os
import pickle
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sora_eval.errors import ConfigError, ManifestError
from sora_eval.generator.base import Delivery, Generator
from sora_eval.generator.folder import Folder
from sora_eval.types import Case, Failure, Video
from sora_eval.video import write_ffv1, write_h264

CASE = Case(
    id="a.0001",
    suite="suite",
    probe="probe",
    mode="t2v",
    prompt="a ball",
    size=(32, 48),
    fps=24.0,
    frames=4,
    given=0,
    seed=7,
    scene={},
    expect={},
    cluster="a",
)


def clip(value: int, frames: int = 4, size: tuple[int, int] = (32, 48), fps: float = 24.0) -> Video:
    return Video(np.full((frames, *size, 3), value, np.uint8), fps)


def folder_with(path: Path, manifest: str | bytes, name: str = "manifest.csv") -> Path:
    """A folder with a.mkv (grey 10), b.mkv (grey 20) and the manifest."""
    write_ffv1(path / "a.mkv", clip(10))
    write_ffv1(path / "b.mkv", clip(20))
    (path / name).write_bytes(manifest.encode() if isinstance(manifest, str) else manifest)
    return path


def answer(folder: Folder, case: Case = CASE) -> Video | Failure:
    (found,) = folder.generate([case])
    return found


def grey(found: Video | Failure) -> int:
    assert isinstance(found, Video), found
    return int(found.frames[0, 0, 0, 0])


def test_each_case_gets_its_video_in_order(tmp_path: Path) -> None:
    folder = Folder(folder_with(tmp_path, "case_id,path\nb.0001,b.mkv\na.0001,a.mkv\n"), name="mine")
    assert isinstance(folder, Generator)
    assert (folder.name, folder.kind, folder.problems) == ("mine", "model", [])
    found = folder.generate([CASE, replace(CASE, id="nobody"), replace(CASE, id="b.0001")])
    first, second, third = found
    assert (grey(first), grey(third)) == (10, 20)
    assert second == Failure("no video for this case in manifest.csv")


def test_the_default_name_is_a_file_name(tmp_path: Path) -> None:
    place = tmp_path / "my model (v2)"
    assert Folder(folder_with(place, "case_id,path\n")).name == "my-model-v2-"


def test_nothing_is_written_to_the_folder(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,a.mkv\nb.0001,nope.mkv\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    folder = Folder(tmp_path)
    answer(folder)
    folder.fingerprint(CASE)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_fingerprint_follows_the_bytes_and_the_rate(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n")
    prints = [Folder(tmp_path).fingerprint(CASE), Folder(tmp_path, name="other").fingerprint(CASE)]
    (tmp_path / "manifest.csv").write_text("case_id,path,fps\na.0001,a.mkv,12\n")
    prints.append(Folder(tmp_path).fingerprint(CASE))
    write_ffv1(tmp_path / "a.mkv", clip(11))
    prints.append(Folder(tmp_path).fingerprint(CASE))
    (tmp_path / "a.mkv").unlink()
    prints.append(Folder(tmp_path).fingerprint(CASE))
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


def test_the_manifest_s_rate_overrides_the_container_s(tmp_path: Path) -> None:
    found = answer(Folder(folder_with(tmp_path, "case_id,path,fps\na.0001,a.mkv,12.5\n")))
    assert isinstance(found, Video)
    assert found.fps == 12.5


def test_the_row_with_the_case_s_seed_is_taken(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path,seed\na.0001,a.mkv,1\na.0001,b.mkv,7\n")
    folder = Folder(tmp_path)
    assert grey(answer(folder)) == 20
    assert grey(answer(folder, replace(CASE, seed=1))) == 10
    assert answer(folder, replace(CASE, seed=2)) == Failure("no video for seed 2 of this case in manifest.csv")
    (tmp_path / "manifest.csv").write_text("case_id,path,seed\na.0001,a.mkv,1\n")
    assert grey(answer(Folder(tmp_path))) == 10  # the only one


@pytest.mark.parametrize(
    "manifest",
    [
        codecs.BOM_UTF8 + b"case_id,path\r\na.0001,a.mkv\r\n",
        b"\r\ncase_id , path\r\n\r\n a.0001 , a.mkv \r\n",
        b'path,note,case_id\n"a.mkv","one,\ntwo",a.0001',
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, manifest: bytes) -> None:
    folder = Folder(folder_with(tmp_path, manifest))
    assert grey(answer(folder)) == 10
    assert folder.problems == []


def test_jsonl_is_read_like_csv(tmp_path: Path) -> None:
    text = '{"case_id": "a.0001", "path": "a.mkv", "seed": 7, "fps": 10}\n\n{"case_id": "a.0001", "path": "b.mkv"}\n'
    found = answer(Folder(folder_with(tmp_path, codecs.BOM_UTF8 + text.encode(), "manifest.jsonl")))
    assert grey(found) == 10
    assert isinstance(found, Video)
    assert found.fps == 10.0


def test_a_manifest_from_elsewhere_has_paths_relative_to_the_folder(tmp_path: Path) -> None:
    folder_with(tmp_path / "videos", "case_id,path\n")
    (tmp_path / "other.csv").write_text("case_id,path\na.0001,b.mkv\n")
    assert grey(answer(Folder(tmp_path / "videos", manifest=tmp_path / "other.csv"))) == 20


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.0001,nope.mkv,,", "no file 'nope.mkv'"),
        ("a.0001,,,", "no path"),
        ("a.0001,/etc/hostname,,", "the path '/etc/hostname' is absolute"),
        ("a.0001,C:\\clips\\a.mkv,,", "is absolute"),
        ("a.0001,../outside.mkv,,", "the path '../outside.mkv' leads out of the folder"),
        ("a.0001,link.mkv,,", "outside.mkv', outside of the folder; set generator.links=true to follow it"),
        ("a.0001,sub/up/outside.mkv,,", "'sub/up' is a link to "),
        ("a.0001,sub/up/videos/../videos/../outside.mkv,,", "outside of the folder; write the path without '..'"),
        ("a.0001,gone.mkv,,", "is a link to 'nowhere.mkv', which is not there"),
        ("a.0001,circle.mkv,,", "is a link to 'circle.mkv', which leads nowhere"),
        ("a.0001,sub,,", "the path 'sub' is a folder, not a video file"),
        ("a.0001,pipe.mkv,,", "the path 'pipe.mkv' is a named pipe, not a video file"),
        ("a.0001,._b.mkv,,", "'._b.mkv' is metadata of macOS (AppleDouble), not a video"),
        ("a.0001,..\\outside.mkv,,", "leads out of the folder"),
        ("a.0001,\\outside.mkv,,", "is absolute"),
        ("a.0001,videos\\a.mkv,,", "no file 'videos\\a.mkv', with backslashes read as separators too"),
        ("a.0001,a\0.mkv,,", "no file 'a\\x00.mkv'"),
        (f"a.0001,{'a' * 5000}.mkv,,", "no file 'aaa"),
        ("a.0001,a.mkv,seven,", "the seed 'seven' is no whole number"),
        ("a.0001,a.mkv,,fast", "the fps 'fast' is no number"),
        ("a.0001,a.mkv,,0", "the fps '0' is not between 0.1 and 1000"),
        ("a.0001,a.mkv,,-24", "the fps '-24' is not between 0.1 and 1000"),
        ("a.0001,a.mkv,,1e-6", "the fps '1e-6' is not between 0.1 and 1000"),
        ("a.0001,a.mkv,,1e300", "the fps '1e300' is not between 0.1 and 1000"),
        ("a.0001,a.mkv,,1_0", "the fps '1_0' is no number"),
        ("a.0001,a.mkv,1_0,", "the seed '1_0' is no whole number"),
        ("a.0001,a.mkv,,nan", "the fps 'nan' is not between 0.1 and 1000"),
    ],
)
def test_a_faulty_row_fails_its_case_and_no_other(tmp_path: Path, row: str, words: str) -> None:
    write_ffv1(tmp_path / "outside.mkv", clip(99))
    place = folder_with(tmp_path / "videos", f"case_id,path,seed,fps\nb.0001,b.mkv,,\n{row}\n")
    (place / "link.mkv").symlink_to(tmp_path / "outside.mkv")
    (place / "gone.mkv").symlink_to("nowhere.mkv")
    (place / "circle.mkv").symlink_to("circle.mkv")
    (place / "sub").mkdir()
    (place / "sub" / "up").symlink_to("../..")
    (place / "._b.mkv").write_bytes(b"\0\5\26\7Mac OS X")
    os.mkfifo(place / "pipe.mkv")
    folder = Folder(place)
    (problem,) = folder.problems
    assert problem.startswith(f"{place / 'manifest.csv'}, row 3: ")
    assert words in problem
    assert "\n" not in problem
    failure, other = folder.generate([CASE, replace(CASE, id="b.0001")])
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("manifest.csv, row 3: ")
    assert words in failure.reason
    assert grey(other) == 20


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,link.mkv\n")
    (tmp_path / "link.mkv").symlink_to(tmp_path / "b.mkv")
    folder = Folder(tmp_path)
    assert grey(answer(folder)) == 20
    assert folder.problems == []


def test_a_link_out_of_the_folder_is_followed_when_asked(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "videos", "case_id,path\na.0001,up/scratch/c.mkv\nb.0001,zero.mkv\n")
    write_ffv1(tmp_path / "scratch" / "c.mkv", clip(30))
    (place / "up").symlink_to("..")
    (place / "zero.mkv").symlink_to("/dev/zero")
    folder = Folder(place, links=True)
    assert grey(answer(folder)) == 30
    (problem,) = folder.problems
    assert "the path 'zero.mkv' is a device, not a video file" in problem
    with pytest.raises(ConfigError, match=r"generator\.links must be true or false, got maybe"):
        Folder(place, links="maybe")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("on_disk", "written"),
    [
        (unicodedata.normalize("NFD", "é/ü.mkv"), "é/ü.mkv"),
        ("é/ü.mkv", unicodedata.normalize("NFD", "é/ü.mkv")),
        ("clips/c.mkv", "clips\\c.mkv"),
        ("clips/c.mkv", ".\\clips\\c.mkv"),
        ("clips\\c.mkv", "clips\\c.mkv"),
        ("C:/12:30.mkv", "C:/12:30.mkv"),
        ("sub/c.mkv", "./sub//../sub/c.mkv"),
    ],
)
def test_a_path_is_found_as_it_is_meant(tmp_path: Path, on_disk: str, written: str) -> None:
    folder_with(tmp_path, f"case_id,path\na.0001,{written}\n")
    # Written elsewhere, for whoever writes clips must not have to cope with such a name.
    write_ffv1(tmp_path / "c.mkv", clip(30))
    (tmp_path / on_disk).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "c.mkv").rename(tmp_path / on_disk)
    folder = Folder(tmp_path)
    assert folder.problems == []
    assert grey(answer(folder)) == 30


def test_names_alike_but_for_their_unicode_form_are_not_guessed(tmp_path: Path) -> None:
    # Two accents on one letter, in three orders and forms that are the same text.
    forms = ["e\u0301\u0323.mkv", "\u00e9\u0323.mkv", "\u1eb9\u0301.mkv"]
    folder_with(tmp_path, f"case_id,path\na.0001,{forms[0]}\n")
    for name in forms[1:]:
        (tmp_path / name).write_bytes(b"clip")
    (problem,) = Folder(tmp_path).problems
    assert "names that differ only in Unicode form: " in problem


def test_a_name_that_is_not_utf_8_is_found_from_json(tmp_path: Path) -> None:
    folder_with(tmp_path, '{"case_id": "a.0001", "path": "l\\udce9.bin"}\n', "manifest.jsonl")
    (tmp_path / os.fsdecode(b"l\xe9.bin")).write_bytes(b"no video")
    folder = Folder(tmp_path)
    assert folder.problems == []
    assert isinstance(answer(folder), Failure)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"a.0001,b.mkv", "'a.0001' is there already in row 2, which is used"),
        (b",b.mkv", "no case_id; the row is left out"),
        (b"b.0001,clips, final,b.mkv", "4 fields, the header has 2"),
        (b"b.0001,caf\xe9.mkv", "not UTF-8 at byte 10; the row is left out"),
        (b'b.0001,"b.mkv', "not CSV (unexpected end of data): is a quote not closed?; the row is left out"),
        (b'b.0001,"b.mkv"x', "not CSV ("),
        (b"b.0001,b.mkv" + b"x" * 200_000, "not CSV (field larger than field limit"),
        (b"../../b,b.mkv", "the case_id '../../b' is no id"),
        (b"x" * 201 + b",b.mkv", "is no id"),
    ],
)
def test_an_unusable_row_is_left_out_and_named(tmp_path: Path, row: bytes, words: str) -> None:
    folder = Folder(folder_with(tmp_path, b"case_id,path\na.0001,a.mkv\n" + row + b"\nb.0001,b.mkv\n"))
    (problem,) = folder.problems
    assert problem.startswith(f"{tmp_path / 'manifest.csv'}, row 3: ")
    assert words in problem
    assert [grey(found) for found in folder.generate([CASE, replace(CASE, id="b.0001")])] == [10, 20]


def test_rows_that_an_open_quote_takes_in_are_read(tmp_path: Path) -> None:
    folder = Folder(folder_with(tmp_path, 'case_id,path\nc.0001,"c.mkv\nb.0001,b.mkv\na.0001,"a.mkv"\n'))
    (problem,) = folder.problems
    assert problem.startswith(f"{tmp_path / 'manifest.csv'}, row 2: not CSV (")
    assert [grey(found) for found in folder.generate([CASE, replace(CASE, id="b.0001")])] == [10, 20]
    (tmp_path / "manifest.csv").write_text('case_id,path\nc.0001,"c.mkv\nb.0001,b.mkv\nd.0001,d.mkv"\na.0001,a.mkv\n')
    folder = Folder(tmp_path)
    assert "row 2: a line break in a path or id: is a quote not closed?; the row is left out" in folder.problems[0]
    assert [grey(found) for found in folder.generate([CASE, replace(CASE, id="b.0001")])] == [10, 20]


def test_a_repeated_seed_is_a_duplicate_and_another_seed_is_not(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path,seed\na.0001,a.mkv,7\na.0001,b.mkv,8\na.0001,b.mkv,7\n")
    folder = Folder(tmp_path)
    assert folder.problems == [
        f"{tmp_path / 'manifest.csv'}, row 4: 'a.0001' with seed 7 is there already in row 2, which is used"
    ]
    assert grey(answer(folder)) == 10


def test_an_unknown_case_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.001,a.mkv\nzzz,b.mkv\n")
    folder = Folder(tmp_path, cases=["a.0001", "b.0001"])
    assert folder.problems == [
        f"{tmp_path / 'manifest.csv'}, row 2: unknown case 'a.001'; did you mean 'a.0001'?",
        f"{tmp_path / 'manifest.csv'}, row 3: unknown case 'zzz'",
    ]
    assert Folder(tmp_path).problems == []


def test_many_faulty_rows_are_all_named(tmp_path: Path) -> None:
    rows = "".join(f"case{i},gone{i}.mkv\n" for i in range(3000))
    folder_with(tmp_path, f"case_id,path\n{rows}")
    folder = Folder(tmp_path, cases=[f"probe.{i:04}" for i in range(1000)])
    assert len(folder.problems) == 6000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"case_id": "b.0001", "path": ', "not JSON ("),
        ('["b.0001", "b.mkv"]', "a JSON object is needed, got list"),
        ('{"case_id": "b.0001", "file": "b.mkv"}', "no path; the row is left out"),
        ("[" * 100_000, "JSON that is nested too deeply; the row is left out"),
        ('{"case_id": "b.0001", "path": ' + "[" * 100_000, "JSON that is nested too deeply"),
        ('{"case_id": "b.0001", "path": ' + "[" * 400 + "]" * 400 + "}", "the path is a JSON array (case 'b.0001')"),
        ('{"case_id": "b.0001", "path": "b.mkv", "fps": {}}', "the fps is a JSON object (case 'b.0001')"),
        ('{"case_id": ["b.0001"], "path": "b.mkv"}', "no case_id"),
        ('{"case_id": "b.0001", "path": "\\ud800.mkv"}', "no file '\\ud800.mkv'"),
    ],
)
def test_a_broken_json_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    text = f'{line}\n{{"case_id": "a.0001", "path": "a.mkv"}}\n'
    folder = Folder(folder_with(tmp_path, text, "manifest.jsonl"))
    (problem,) = folder.problems
    assert problem.startswith(f"{tmp_path / 'manifest.jsonl'}, row 1: ")
    assert words in problem
    assert grey(answer(folder)) == 10


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (b"case,path\na.0001,a.mkv\n", "manifest.csv, row 1: no column case_id; the header has case, path"),
        (b"id;file\n", "no column case_id and path"),
        (b"", "manifest.csv: empty"),
        (b"case_id;path\n", "separate columns by commas, not by semicolons"),
        (b'"case_id,path\na.0001,a.mkv\n', "manifest.csv, row 1: not CSV"),
        (codecs.BOM_UTF16_LE + "case_id,path\n".encode("utf-16-le"), "manifest.csv: UTF-16; save it as UTF-8"),
    ],
)
def test_a_manifest_that_is_none_is_fatal(tmp_path: Path, manifest: bytes, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        Folder(folder_with(tmp_path, manifest))
    assert words in str(caught.value)


def test_a_missing_folder_or_manifest_is_fatal(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="nowhere: no such folder"):
        Folder(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match=r"no manifest\.csv or manifest\.jsonl"):
        Folder(tmp_path)
    with pytest.raises(ManifestError, match=r"mine\.csv: no such manifest"):
        Folder(tmp_path, manifest=tmp_path / "mine.csv")
    (tmp_path / "manifest.jsonl").write_text('{"id": "a.0001"}\n')
    with pytest.raises(ManifestError, match=r"manifest\.jsonl: no row has both case_id and path"):
        Folder(tmp_path)


def test_of_two_manifests_the_csv_is_used_and_said_so(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n")
    (tmp_path / "manifest.jsonl").write_text('{"case_id": "a.0001", "path": "b.mkv"}\n')
    folder = Folder(tmp_path)
    assert grey(answer(folder)) == 10
    assert folder.problems == [f"{tmp_path}: both manifest.csv and manifest.jsonl are there; manifest.csv is used"]


def test_a_video_that_can_t_be_read_fails_its_case_and_is_noted_once(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,cut.mp4\nb.0001,empty.mp4\nc.0001,b.mkv\n")
    write_h264(tmp_path / "whole.mp4", clip(10))
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    (tmp_path / "empty.mp4").write_bytes(b"")
    folder = Folder(tmp_path)
    cases = [CASE, replace(CASE, id="b.0001"), replace(CASE, id="c.0001")]
    cut, empty, whole = folder.generate(cases)
    assert isinstance(cut, Failure)
    assert "cut.mp4: cut off" in cut.reason and not cut.technical
    assert isinstance(empty, Failure)
    assert "empty.mp4: the file is empty" in empty.reason
    assert grey(whole) == 20
    list(folder.generate(cases))
    manifest = tmp_path / "manifest.csv"
    assert folder.problems == [f"{manifest}, row 2: {cut.reason}", f"{manifest}, row 3: {empty.reason}"]


@pytest.mark.parametrize(
    "broken", ["sora_eval.video.decoding.shown", "sora_eval.video.timestamps._changes", "pathlib.Path.open"]
)
def test_what_the_machine_can_t_read_is_no_answer_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    folder = Folder(folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n"))
    write_ffv1(tmp_path / "a.mkv", clip(10, frames=12))

    def failing(*args: object, **options: object) -> None:
        raise OSError(errno.EIO, "Input/output error") if broken == "pathlib.Path.open" else MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(broken, failing)
        failure = answer(folder)
    assert isinstance(failure, Failure)
    assert failure.technical and "a.mkv: " in failure.reason
    assert grey(answer(folder)) == 10


def test_one_frame_is_a_video_only_when_one_was_asked(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,one.mkv\n")
    write_ffv1(tmp_path / "one.mkv", clip(30, frames=1))
    folder = Folder(tmp_path)
    assert answer(folder) == Failure("'one.mkv' has 1 frame, 4 were requested")
    assert folder.problems == [f"{tmp_path / 'manifest.csv'}, row 2: 'one.mkv' has 1 frame, 4 were requested"]
    assert grey(answer(folder, replace(CASE, frames=1))) == 30


def test_another_size_rate_and_length_is_taken_and_another_aspect_noted(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,big.mkv\nb.0001,tall.mkv\n")
    write_ffv1(tmp_path / "big.mkv", clip(1, frames=9, size=(64, 100), fps=10.0))  # 4% wider
    write_ffv1(tmp_path / "tall.mkv", clip(2, size=(48, 32)))
    folder = Folder(tmp_path)
    big, tall = folder.generate([CASE, replace(CASE, id="b.0001")])
    assert isinstance(big, Video)
    assert (big.size, big.fps, len(big)) == ((64, 100), 10.0, 9)
    assert grey(tall) == 2
    rate, shape = folder.problems
    assert rate == (
        f"{tmp_path / 'manifest.csv'}, row 2: 'big.mkv' has 9 frames at 10 per second; 4 at 24 were requested; it is scored at that rate; "
        "if that rate is wrong, give the right one in the manifest's fps column"
    )
    assert shape.startswith(f"{tmp_path / 'manifest.csv'}, row 3: 'tall.mkv' is 32x48, 48x32 were requested: ")
    # Another process, or a later run, which reads no video, says the same of what was stored.
    later = Folder(tmp_path)
    assert rate in later.reading_problems([(CASE, big.size, len(big), big.fps)])
    assert rate not in later.reading_problems([(replace(CASE, frames=9, fps=10.01), big.size, len(big), big.fps)])
    assert later.input_problems([]) == folder.input_problems([]) == []


def moving(frames: int) -> np.ndarray:
    """A bright square that goes to the right."""
    out = np.full((frames, 32, 48, 3), 20, np.uint8)
    for i in range(frames):
        out[i, 8:24, 2 * i : 2 * i + 12] = 230
    return out


def test_frames_that_repeat_count_once_unless_the_manifest_gives_the_rate(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path,fps\na.0001,slow.mkv,\nb.0001,slow.mkv,24\n")
    write_ffv1(tmp_path / "slow.mkv", Video(np.repeat(moving(17), 3, axis=0), 24.0))
    asked = replace(CASE, frames=17, fps=8.0)
    folder = Folder(tmp_path)
    once, every = folder.generate([asked, replace(asked, id="b.0001")])
    assert isinstance(once, Video)
    assert isinstance(every, Video)
    assert np.array_equal(once.frames, moving(17))
    assert (once.fps, len(every), every.fps) == (8.0, 51, 24.0)
    repeats, rate = folder.problems
    assert (
        "row 2: 'slow.mkv' has frames that repeat (51 at 24 per second): without the repeats, 17 frames at 8 per second; 17 at 8"
        in repeats
    )
    assert repeats.endswith("give the file's rate in the manifest's fps column")
    assert "row 3: 'slow.mkv' has 51 frames at 24 per second; 17 at 8 were requested" in rate
    assert rate.endswith("correct the manifest's fps column")


def test_a_gif_without_times_is_noted_until_the_manifest_gives_its_rate(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path,fps\na.0001,a.gif,\nb.0001,a.gif,24\n")
    first, *others = (Image.fromarray(frame) for frame in moving(4))
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=0)
    folder = Folder(tmp_path)
    assumed, told = folder.generate([CASE, replace(CASE, id="b.0001")])
    assert isinstance(assumed, Video)
    assert isinstance(told, Video)
    assert (assumed.fps, told.fps) == (pytest.approx(10), 24.0)
    (problem,) = folder.problems
    assert (
        "row 2: 'a.gif' has no time for its frames, so 10 fps is assumed: 4 frames at 10 per second; 4 at 24" in problem
    )
    assert problem.endswith("give the right rate in the manifest's fps column")
    # As many as were asked, at the rate that was: it is only a guess all the same.
    assert "10 fps is assumed" in folder.reading_problems([(replace(CASE, fps=10.0), CASE.size, 4, 10.0)])[0]


def test_a_held_frame_is_shown_for_as_long_as_it_is(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,a.gif\n")
    first, *others = (Image.fromarray(frame) for frame in moving(4))
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=[100, 300, 100, 100])
    folder = Folder(tmp_path)
    found = answer(folder, replace(CASE, frames=6, fps=10.0))
    assert isinstance(found, Video)
    assert np.array_equal(found.frames, moving(4)[[0, 1, 1, 1, 2, 3]])
    assert folder.problems == []
    # Asked for at 5 per second, it keeps its own rate; the problem line says so.
    slower = answer(folder, replace(CASE, frames=3, fps=5.0))
    assert isinstance(slower, Video)
    assert np.array_equal(slower.frames, found.frames) and slower.fps == 10.0
    (line,) = folder.problems
    assert "has a variable rate (4 frames): 6 frames at 10 per second; 3 at 5 were requested" in line
    # At 2 per second, at the moments that are asked: 0 and .5 s.
    slowest = answer(folder, replace(CASE, frames=2, fps=2.0))
    assert isinstance(slowest, Video)
    assert np.array_equal(slowest.frames, moving(4)[[0, 3]])


@pytest.mark.parametrize(
    ("path", "fps", "words"),
    [
        ("a.mkv", "1e-6", "the fps '1e-6' is not between 0.1 and 1000 frames per second"),
        ("a.mkv", "1e300", "the fps '1e300' is not between 0.1 and 1000 frames per second"),
        ("a.mkv", "0.1", ""),
        ("thin.mkv", "", "'thin.mkv' is 1x64: too small to be judged"),
        ("long.mkv", "", "long.mkv: more than 1000 frames, the limit here"),
        ("long.mkv", "24", "long.mkv: more than 1000 frames, the limit here"),
        ("still.mkv", "", "still.mkv: it plays for "),
        ("pictures", "", "the path 'pictures' is a folder, not a video file: make a video of an image sequence"),
    ],
)
def test_what_is_beyond_all_measure_fails_its_case_and_no_other(
    tmp_path: Path, path: str, fps: str, words: str
) -> None:
    folder_with(tmp_path, f"case_id,path,fps\na.0001,{path},{fps}\nb.0001,b.mkv,\n")
    (tmp_path / "pictures").mkdir()
    if path in ("thin.mkv", "long.mkv", "still.mkv"):
        kinds = {
            "thin.mkv": clip(1, size=(64, 1)),
            "long.mkv": clip(1, frames=1001, size=(8, 8)),
            "still.mkv": clip(1, 8, fps=0.1),
        }
        write_ffv1(tmp_path / path, kinds[path])
    folder = Folder(tmp_path)
    found, other = folder.generate([CASE, replace(CASE, id="b.0001")])
    assert grey(other) == 20
    if words:
        assert isinstance(found, Failure)
        assert words in found.reason
        (problem,) = folder.problems
        assert words in problem
        assert problem in folder.input_problems([Delivery(CASE, found.reason)])
    else:
        assert isinstance(found, Video)


def test_a_mode_that_the_videos_were_not_made_for_is_refused(tmp_path: Path) -> None:
    folder = Folder(folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n"), modes=["t2v"])
    assert answer(folder, replace(CASE, mode="i2v")) == Failure("the generator has no mode i2v")


def _made_for(folder: Path, *cases: Case) -> None:
    (folder / "cases.jsonl").write_text("".join(json.dumps(case.to_json()) + "\n" for case in cases))


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (replace(CASE, seed=100_000), "a.0001 has seed 100000 there and 7 here; run with the same seed="),
        (
            replace(CASE, frames=9, fps=8.0),
            "a.0001 has fps 8.0 there and 24.0 here, frames 9 there and 4 here; run with the same profile=",
        ),
        (replace(CASE, prompt="a cube"), "a.0001 has another prompt; another version of sora-eval wrote them"),
    ],
)
def test_videos_of_other_cases_are_refused(tmp_path: Path, there: Case, words: str) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n")
    _made_for(tmp_path, there)
    with pytest.raises(ManifestError) as caught:
        Folder(tmp_path, requested=[CASE])
    assert words in str(caught.value)
    assert str(tmp_path / "cases.jsonl") in str(caught.value)


def test_what_a_video_does_not_depend_on_may_differ(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n")
    _made_for(tmp_path, replace(CASE, twin="a.0002", expect={"side": "left"}, cluster="b"))
    asked = replace(CASE, scene={"at": (1, 2)})
    _made_for(tmp_path, replace(asked, twin="a.0002"))
    assert Folder(tmp_path, requested=[asked]).problems == []


def test_cases_that_can_t_be_read_are_fatal(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n")
    for text in ('{"id": ', "[" * 100_000):
        (tmp_path / "cases.jsonl").write_text(text)
        with pytest.raises(ManifestError, match=r"cases\.jsonl: not readable"):
            Folder(tmp_path, requested=[CASE])


@pytest.mark.parametrize(("name", "numbered"), [("suite.probe.t2v.0003", 4), ("castle.0003", 0), ("probe.t2v.0003", 0)])
def test_ids_of_a_user_s_own_number_no_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, numbered: int
) -> None:
    folder = Folder(folder_with(tmp_path, "case_id,path\n"))
    known: list[str] = []
    monkeypatch.setattr(Folder, "__init__", lambda self, cases, **options: known.extend(cases))
    folder.bind([replace(CASE, id=name)])
    assert sum(case_id.startswith("left_right.relation.t2v.") for case_id in known) == numbered
    assert name in known


def test_rows_of_cases_that_are_not_asked_are_nobody_s_problem(tmp_path: Path) -> None:
    folder_with(tmp_path, "case_id,path\na.0001,a.mkv\nb.0001,nope.mkv\nc.0001,nope.mkv\nd.0001,nope.mkv\n")
    _made_for(tmp_path, CASE, replace(CASE, id="c.0001"))
    problems = Folder(tmp_path, cases=["a.0001", "b.0001"], requested=[CASE]).problems
    assert [p.partition(": ")[2] for p in problems] == [
        "no file 'nope.mkv' (case 'd.0001')",
        "unknown case 'd.0001'; did you mean 'c.0001'?",
    ]


def test_a_file_is_read_once_for_its_hash_in_copies_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n"))
    assert folder.capabilities.processes
    first = folder.fingerprint(CASE)
    copy = pickle.loads(pickle.dumps(folder))

    def refuse(*args: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("hashlib.file_digest", refuse)
    assert folder.fingerprint(CASE) == copy.fingerprint(CASE) == first


def test_an_unknown_mode_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown mode 't2w': did you mean t2v"):
        Folder(folder_with(tmp_path, "case_id,path\na.0001,a.mkv\n"), modes=["t2w"])  # type: ignore[list-item]


# Several samples of a case

SECOND = replace(CASE, id="a.0001.s1", seed=8, sample=1)


@pytest.mark.parametrize(
    ("name", "manifest"),
    [
        ("manifest.csv", "case_id,sample,path\na.0001,1,b.mkv\na.0001,0,a.mkv\n"),
        ("manifest.csv", "case_id,path,sample\na.0001,a.mkv,\na.0001.s1,b.mkv,1\n"),
        ("manifest.csv", "case_id,path\na.0001,a.mkv\na.0001.s1,b.mkv\n"),
        (
            "manifest.jsonl",
            '{"case_id": "a.0001", "path": "b.mkv", "sample": 1}\n{"case_id": "a.0001", "path": "a.mkv", "sample": 0}\n',
        ),
    ],
)
def test_samples_of_a_case_are_told_apart_by_column_or_id(tmp_path: Path, name: str, manifest: str) -> None:
    folder = Folder(folder_with(tmp_path, manifest, name), cases=["a.0001", "a.0001.s1"], requested=[CASE, SECOND])
    assert (folder.samples, folder.problems) == (2, [])
    assert [grey(answer(folder, case)) for case in (CASE, SECOND)] == [10, 20]
    assert folder.fingerprint(CASE) != folder.fingerprint(SECOND)


def test_seeds_choose_among_rows_of_one_sample(tmp_path: Path) -> None:
    folder = Folder(folder_with(tmp_path, "case_id,path,seed\na.0001,b.mkv,8\na.0001,a.mkv,7\n"))
    assert (folder.samples, folder.problems) == (1, [])
    assert grey(answer(folder)) == 10
    twice = Folder(folder_with(tmp_path, "case_id,path,sample\na.0001,a.mkv,0\na.0001,b.mkv,0\n"))
    assert len(twice.problems) == 1
    assert "row 3: 'a.0001' is there already in row 2" in twice.problems[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.0001,b.mkv,first", "the sample 'first' is no whole number from 0"),
        ("a.0001,b.mkv,-1", "the sample '-1' is no whole number from 0"),
        ("a.0001,b.mkv,1.5", "the sample '1.5' is no whole number from 0"),
        ("a.0001.s1,b.mkv,2", "the sample is 2 and the id ends in .s1"),
    ],
)
def test_a_row_whose_sample_means_nothing_is_left_out(tmp_path: Path, row: str, words: str) -> None:
    folder = Folder(folder_with(tmp_path, f"case_id,path,sample\na.0001,a.mkv,0\n{row}\n"))
    assert folder.problems == [f"{folder.manifest}, row 3: {words} (case {row.split(',')[0]!r}); the row is left out"]
    assert (folder.samples, grey(answer(folder))) == (1, 10)


def test_samples_counted_from_1_are_refused_and_gaps_are_not_filled(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no row has sample 0; number the samples of a case from 0"):
        Folder(folder_with(tmp_path, "case_id,path,sample\na.0001,a.mkv,1\na.0001,b.mkv,2\n"))
    folder_with(tmp_path, "case_id,path,sample\na.0001,a.mkv,0\na.0001,b.mkv,99\n")
    assert Folder(tmp_path).samples == 1
    (line,) = Folder(tmp_path, cases=["a.0001"], requested=[CASE]).problems
    assert "samples up to 99 are there and the run has 1 per case: 1 videos are not scored; samples=100" in line
