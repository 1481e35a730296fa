"""A bundle holds a run; whatever was done to it since is found and named in one line."""

import hashlib
import io
import json
import shutil
import stat
import zipfile

import numpy as np
import pytest
from recipe.conftest import SMALL

from sora_eval.commands.cli import main
from sora_eval.prompting.prompt_files import read_prompts
from sora_eval.recipe.bundle import unpack
from sora_eval.runs import sharding, store
from sora_eval.runs.reader import read_run
from sora_eval.types import Video
from sora_eval.video import write_h264
from sora_eval.world.palette import COLOURS


@pytest.fixture(scope="module")
def bundle(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "run.zip"
    assert main(["bundle", str(made), f"out={path}"]) == 0
    return path


def _verdict(path, capsys, *words):
    code = main(["verify", str(path), "share=1", "seed=1", "workers=1", *words])
    return code, capsys.readouterr().out.strip().splitlines()[-1]


def _rewritten(bundle, out, change, keep_index=False):
    """Write a bundle again with `change(files)`, names to bytes; its index is made right, as whoever cheats would."""
    with zipfile.ZipFile(bundle) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(files.pop("bundle.json"))
    change(files)
    if not keep_index:
        index["files"] = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**files, "bundle.json": json.dumps(index).encode()}.items():
            archive.writestr(name, content)
    return out


def _rows(files):
    return [json.loads(line) for line in files["scores.jsonl"].splitlines()]


def _store_rows(files, rows):
    """Change the scores everywhere: in scores.jsonl, the summary and the card."""
    from sora_eval.runs.reader import score_row
    from sora_eval.stats.summary import summarise

    files["scores.jsonl"] = "".join(json.dumps(r) + "\n" for r in rows).encode()
    files["summary.json"] = json.dumps(summarise([score_row(r) for r in rows]).to_json()).encode()
    card = json.loads(files["card.json"])
    values = {r["case"]: r["value"] for r in rows}
    for row in card["cases"]:
        row["score"] = values[row["case"]]
    files["card.json"] = json.dumps(card).encode()


def test_a_bundle_is_verified(bundle, capsys):
    code, verdict = _verdict(bundle, capsys)
    assert code == 0
    assert verdict.startswith("VERIFIED: all hashes hold, 8 of 8 clips scored again (seed 1), largest difference 0")


def test_a_bundle_unpacks_to_the_run(bundle, made, tmp_path):
    assert len(unpack(bundle, tmp_path).files) == len(zipfile.ZipFile(bundle).namelist()) - 1
    assert read_run(tmp_path).rows == read_run(made).rows
    assert main(["reproduce", str(tmp_path / "card.json"), f"out={tmp_path / 'again'}", "workers=1"]) == 0


def test_the_share_is_chosen_by_the_seed(bundle, capsys):
    assert main(["verify", str(bundle), "share=.25", "seed=3", "workers=1"]) == 0
    assert "2 of 8 clips scored again (seed 3)" in capsys.readouterr().out


def test_a_manipulated_score_is_found(bundle, tmp_path, capsys):
    def better(files):
        rows = _rows(files)
        for row in rows:
            if row["value"] is not None:
                row["value"] = 1.0 - row["value"]
        _store_rows(files, rows)

    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", better), capsys)
    assert code == 1
    assert "the stored score is" in verdict


def test_a_score_in_the_place_of_a_reason_is_found(bundle, tmp_path, capsys):
    def judged(files):
        rows = _rows(files)
        failed = next(r for r in rows if r["value"] is None)
        failed.update(value=1.0, reason="", failure="")
        _store_rows(files, rows)

    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", judged), capsys)
    assert code == 1
    assert "the clip's is not judged" in verdict


def test_a_swapped_clip_is_found(bundle, tmp_path, capsys):
    def swap(files):
        rows = _rows(files)
        judged = next(r for r in rows if r["value"] is not None)
        other = next(r for r in rows if r["value"] != judged["value"])
        files[judged["video"]], files[other["video"]] = files[other["video"]], files[judged["video"]]

    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", swap), capsys)
    assert code == 1
    assert "the stored score is" in verdict


@pytest.mark.parametrize("name", ["summary.json", "card.json"])
def test_results_of_other_scores_are_found(bundle, tmp_path, capsys, name):
    def change(files):
        text = files[name].decode()
        key = '"score": 0' if name == "summary.json" else '"score": '
        at = text.index(key) + len('"score": ')
        files[name] = f"{text[:at]}9{text[at:]}".encode() if name == "summary.json" else text.replace(
            text[at : text.index(",", at)], "0.987"
        ).encode()  # fmt: skip

    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", change), capsys)
    assert code == 1
    assert ("summary.json is not the summary" if name == "summary.json" else "card has other scores") in verdict


def test_another_expectation_is_found(bundle, tmp_path, capsys):
    def easier(files):
        cases = [json.loads(line) for line in files["cases.jsonl"].splitlines()]
        cases[0]["prompt"] = "A ball."
        files["cases.jsonl"] = "".join(json.dumps(c) + "\n" for c in cases).encode()

    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", easier), capsys)
    assert code == 1
    assert "1 of 8 cases are not those of the suite" in verdict


def test_left_out_cases_are_found(bundle, tmp_path, capsys):
    def fewer(files):
        cases = files["cases.jsonl"].splitlines()[1:]
        files["cases.jsonl"] = b"\n".join(cases)
        _store_rows_of(files)

    def _store_rows_of(files):
        gone = json.loads(files["scores.jsonl"].splitlines()[0])["case"]
        card = json.loads(files["card.json"])
        card["cases"] = [r for r in card["cases"] if r["case"] != gone]
        files["card.json"] = json.dumps(card).encode()
        _store_rows(files, [r for r in _rows(files) if r["case"] != gone])

    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", fewer), capsys)
    assert code == 1
    assert "of 8 cases of the suite are left out" in verdict


def test_changed_bytes_are_found(bundle, tmp_path, capsys):
    def change(files):
        files["report.md"] += b" "

    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", change, keep_index=True), capsys)
    assert code == 1
    assert "report.md has other bytes than when the bundle was written" in verdict


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_found(bundle, tmp_path, capsys, share):
    content = bundle.read_bytes()
    (tmp_path / "b.zip").write_bytes(content[: int(len(content) * share)])
    code, verdict = _verdict(tmp_path / "b.zip", capsys)
    assert code == 1
    assert "b.zip: truncated" in verdict


def test_a_damaged_byte_is_found(bundle, tmp_path, capsys):
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "b.zip").write_bytes(content)
    assert _verdict(tmp_path / "b.zip", capsys)[0] == 1


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "videos/../../evil", "a\\..\\evil", "C:/evil", "a//b", "./a", "a/"]
)
def test_a_path_that_leads_outside_is_found(bundle, tmp_path, capsys, name):
    path = tmp_path / "inner" / "b.zip"
    path.parent.mkdir()
    shutil.copy(bundle, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(name, b"")
    before = set(tmp_path.rglob("*"))
    code, verdict = _verdict(path, capsys)
    assert code == 1
    assert "leads outside" in verdict or "is no plain path" in verdict
    assert set(tmp_path.rglob("*")) == before


def test_a_link_is_found(bundle, tmp_path, capsys):
    shutil.copy(bundle, tmp_path / "b.zip")
    info = zipfile.ZipInfo("videos/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
        archive.writestr(info, "/etc/passwd")
    code, verdict = _verdict(tmp_path / "b.zip", capsys)
    assert code == 1
    assert "is a link or no plain file" in verdict


def test_a_file_that_is_there_twice_is_found(bundle, tmp_path, capsys):
    shutil.copy(bundle, tmp_path / "b.zip")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
        archive.writestr("scores.jsonl", b"{}")
    code, verdict = _verdict(tmp_path / "b.zip", capsys)
    assert code == 1
    assert "scores.jsonl is there twice" in verdict


def test_a_zip_bomb_is_found(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"0" * 50_000_000)
        archive.writestr("bundle.json", b"{}")
    code, verdict = _verdict(tmp_path / "b.zip", capsys)
    assert code == 1
    assert "is compressed (50000000 bytes from" in verdict


def test_overlapping_entries_are_found(tmp_path, capsys):
    """Entries that share one stored content: each may be believed, and together they are larger than the archive."""
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("bundle.json", b"0" * 100_000)
    raw = (tmp_path / "one.zip").read_bytes()
    start = zipfile.ZipFile(io.BytesIO(raw)).start_dir
    directory, end = raw[start:-22], bytearray(raw[-22:])
    entries = directory + b"".join(directory.replace(b"bundle.json", b"bundle.%04d" % i) for i in range(19))
    end[8:10] = end[10:12] = (20).to_bytes(2, "little")
    end[12:16] = len(entries).to_bytes(4, "little")
    (tmp_path / "b.zip").write_bytes(raw[:start] + entries + bytes(end))
    code, verdict = _verdict(tmp_path / "b.zip", capsys)
    assert code == 1
    assert "zip bomb" in verdict


def test_a_clip_of_gigabytes_in_kilobytes_is_found(bundle, tmp_path, capsys):
    import numpy as np

    from sora_eval.types import Video
    from sora_eval.video import write_h264

    write_h264(tmp_path / "large.mp4", Video(np.zeros((2000, 64, 64, 3), np.uint8), 8.0))

    def bomb(files):
        rows = _rows(files)
        files[next(r["video"] for r in rows if r["value"] is not None)] = (tmp_path / "large.mp4").read_bytes()

    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", bomb), capsys)
    assert code == 1
    assert "limit here" in verdict


def test_another_tracker_is_said_and_foreign_code_not_run(bundle, tmp_path, capsys):
    def older(files):
        manifest = json.loads(files["manifest.json"])
        manifest["versions"]["tracker"] = "1"
        files["manifest.json"] = json.dumps(manifest).encode()

    def foreign(files):
        manifest = json.loads(files["manifest.json"])
        manifest["config"]["tracker"] = {"_target_": "os.system"}
        files["manifest.json"] = json.dumps(manifest).encode()

    assert main(["verify", str(_rewritten(bundle, tmp_path / "a.zip", older)), "workers=1"]) == 0
    assert "judged with tracker world 1, and here is another one" in capsys.readouterr().out
    code, verdict = _verdict(_rewritten(bundle, tmp_path / "b.zip", foreign), capsys)
    assert code == 1
    assert "would run code that is not sora-eval's own" in verdict


def test_files_of_a_user_are_in_the_bundle_as_copies(made, tmp_path, capsys):
    clips = tmp_path / "clips"
    rows = read_run(made).rows
    (clips / "videos").mkdir(parents=True)
    lines = ["case_id,path"]
    for row in rows:
        shutil.copy(made / row.video, clips / "videos" / f"{row.case}.mkv")
        lines.append(f"{row.case},videos/{row.case}.mkv")
    (clips / "manifest.csv").write_text("\n".join(lines) + "\n")
    run = tmp_path / "run"
    assert main(["run", "generator=folder", f"generator.path={clips}", *SMALL, f"out={run}"]) in (0, 1)
    assert main(["bundle", str(run), f"out={tmp_path / 'b.zip'}"]) == 0
    shutil.rmtree(clips)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        records = [n for n in archive.namelist() if n.endswith(".source.json")]
        assert len(records) == 8
        for name in records:
            assert str(tmp_path) not in archive.read(name).decode()
    assert _verdict(tmp_path / "b.zip", capsys)[0] == 0


PLAIN = ["fidelity=null", "tracking=false", "players=0", "workers=1"]
SIDES = """
- {id: rel, prompt: A red ball lies to the left of a blue cube., expect: {relation: red ball left of blue cube}}
- {id: two, prompt: Two red cups stand on a table., expect: {count: 2 red cups}}
"""


def _first_prompt_changed(files):
    cases = [json.loads(line) for line in files["cases.jsonl"].splitlines()]
    cases[0]["prompt"] = "A ball."
    files["cases.jsonl"] = "".join(json.dumps(c) + "\n" for c in cases).encode()


def _left_out(files):
    manifest = json.loads(files["manifest.json"])
    manifest["problems"].append("cases.jsonl:9: case later is left out: unknown probe 'later'")
    files["manifest.json"] = json.dumps(manifest).encode()


def _folder(path, case):
    """Return a folder with a clip of a red ball to the left of a blue cube as the answer to one case."""
    frame = np.full((64, 64, 3), 200, np.uint8)
    frame[26:38, 12:24], frame[26:38, 42:54] = COLOURS["red"], COLOURS["blue"]
    path.mkdir()
    write_h264(path / "a.mp4", Video(np.repeat(frame[None], 17, axis=0), 8.0), 10)
    (path / "manifest.csv").write_text(f"case_id,path\n{case},a.mp4\n")
    return ["generator=folder", f"generator.path={path}"]


@pytest.mark.parametrize("samples", [1, 2])
def test_cases_of_a_file_have_its_hash(made, tmp_path, capsys, samples):
    words = ["references=[]", f"samples={samples}", *PLAIN]
    assert main(["run", "generator=careless", f"cases={made}", *words, f"out={tmp_path / 'run'}"]) == 0
    path = tmp_path / "run.zip"
    assert main(["bundle", str(tmp_path / "run"), f"out={path}"]) == 0
    case_set = read_run(tmp_path / "run").manifest["hashes"]["case_set"]
    assert main(["verify", str(path), "seed=1", "workers=1"]) == 0
    assert f"compare its hash with {case_set}" in capsys.readouterr().out
    code, verdict = _verdict(_rewritten(path, tmp_path / "a.zip", _first_prompt_changed), capsys)
    assert code == 1 and "the cases are not those of run: their hash differs" in verdict
    # A line that the run left out is part of the file's hash, and of no case.
    both = _rewritten(_rewritten(path, tmp_path / "b.zip", _first_prompt_changed), tmp_path / "c.zip", _left_out)
    assert main(["verify", str(both), "seed=1", "workers=1"]) == 0
    assert "1 lines of run were left out of the run" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["own", "natural/left_right"])
def test_prompts_are_those_of_their_file_or_of_the_bundled_set(tmp_path, capsys, file):
    case = "rel" if file == "own" else read_prompts(file)[0].id
    if file == "own":
        file = str(tmp_path / "p.yaml")
        (tmp_path / "p.yaml").write_text(SIDES)
    words = [
        f"prompts={file}",
        "prompts.twins=true",
        *_folder(tmp_path / "clips", case),
        *PLAIN,
        f"out={tmp_path / 'run'}",
    ]
    # 1: all other cases have no video.
    assert main(["run", *words]) == 1
    path = tmp_path / "run.zip"
    assert main(["bundle", str(tmp_path / "run"), f"out={path}"]) == 0
    code, verdict = _verdict(path, capsys)
    assert (code, verdict.partition(":")[0]) == (0, "VERIFIED")
    assert _verdict(_rewritten(path, tmp_path / "a.zip", _first_prompt_changed), capsys)[0] == 1


def test_scores_of_many_clips_are_in_the_bundle(tmp_path, capsys, monkeypatch):
    for module in (store, sharding):
        monkeypatch.setattr(module, "MANY", 4)
    assert main(["run", "generator=careless", *SMALL, f"out={tmp_path / 'run'}"]) == 0
    assert not (tmp_path / "run" / "scores.jsonl").exists()
    assert main(["bundle", str(tmp_path / "run"), f"out={tmp_path / 'b.zip'}"]) == 0
    code, verdict = _verdict(tmp_path / "b.zip", capsys)
    assert code == 0 and "8 of 8 clips scored again" in verdict


def test_what_can_not_be_bundled_is_one_line(run, tmp_path, capsys):
    assert main(["bundle", str(tmp_path / "nowhere")]) == 2
    assert main(["bundle", str(run), f"out={run / 'b.zip'}"]) == 2
    assert "lies in the run's folder" in capsys.readouterr().err
    next((run / "videos").rglob("*.mkv")).unlink()
    assert main(["bundle", str(run), f"out={tmp_path / 'b.zip'}"]) == 2
    assert not (tmp_path / "b.zip").exists()
