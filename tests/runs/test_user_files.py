"""A run of a folder of videos keeps records of the user's files: every page and metric reads the files, and says when they are gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sora_eval.commands.cli import main
from sora_eval.runs.reader import read_run
from sora_eval.video import read_clip

SCORED = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=2", "references=[oracle]", "workers=1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a folder of videos and a finished run of it."""
    root = tmp_path_factory.mktemp("project")
    assert main(["generate", "generator=careless", *SCORED[:3], f"out={root / 'theirs'}"]) == 0
    assert run(root) in (0, 1)
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "project")
    return tmp_path / "project"


def run(root: Path, *more: str) -> int:
    words = ["generator=folder", f"generator.path={root / 'theirs'}", "fidelity.metrics=[motion]", *SCORED]
    return main(["run", *words, f"out={root / 'run'}", *more])


def files(root: Path, suffix: str) -> list[Path]:
    return sorted((root / "run" / "videos" / "theirs").glob(f"*{suffix}"))


def test_a_run_keeps_no_copy_and_is_finished_for_good(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(files(made, ".source.json")) == 2 and not files(made, ".mkv")
    rows = [r for r in read_run(made / "run").rows if r.generator == "theirs"]
    assert all(r.video.endswith(".source.json") and r.value is not None for r in rows)
    assert len(read_clip(made / "run" / rows[0].video)) > 16
    tracking = [json.loads(line) for line in (made / "run" / "tracking.jsonl").read_text().splitlines()]
    assert all(t["values"] for t in tracking)
    assert json.loads((made / "run" / "fidelity.json").read_text())
    capsys.readouterr()
    assert run(made) in (0, 1)
    assert "nothing to do" in capsys.readouterr().out


def test_a_page_says_that_a_clip_is_gone_and_keeps_its_score(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The project was copied: its run finds the files beside it, not those of the first.
    before = (project / "run" / "scores.jsonl").read_bytes()
    for clip in (project / "theirs" / "videos").iterdir():
        clip.unlink()
    for record in files(project, ".source.json"):
        record.write_text(json.dumps({**json.loads(record.read_text()), "given": "theirs/gone.mp4"}))
    assert main(["report", str(project / "run")]) == 0
    page = (project / "run" / "report.html").read_text()
    assert page.count("theirs/gone.mp4: the clip is no longer there") >= 2
    assert (project / "run" / "scores.jsonl").read_bytes() == before
    assert main(["view", str(project / "run"), "--out", str(project / "view.html")]) == 0
    assert "the clip is no longer there" in (project / "view.html").read_text()


def test_a_file_with_other_content_is_judged_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = sorted((project / "theirs" / "videos").iterdir())
    first.write_bytes(second.read_bytes())
    shutil.rmtree(project / "run")
    assert run(project) in (0, 1)
    first.write_bytes(b"no video")
    capsys.readouterr()
    assert run(project) == 1
    assert f"{first}: not a readable video" in capsys.readouterr().err
    rows = {r.case: r for r in read_run(project / "run").rows if r.generator == "theirs"}
    assert sorted(r.value is None for r in rows.values()) == [False, True]


def test_a_copy_lets_the_run_stand_alone(project: Path) -> None:
    # The run is finished, and is given the files all the same.
    assert run(project, "video.store=copy") in (0, 1)
    assert len(files(project, ".mp4")) == 2
    shutil.rmtree(project / "theirs")
    rows = [r for r in read_run(project / "run").rows if r.generator == "theirs"]
    assert all(len(read_clip(project / "run" / r.video)) > 16 for r in rows)
    assert main(["report", str(project / "run")]) == 0
    assert "no longer there" not in (project / "run" / "report.html").read_text()


def test_shards_made_elsewhere_are_merged_and_still_find_the_files(project: Path) -> None:
    shutil.rmtree(project / "run")
    words = ["generator=folder", f"generator.path={project / 'theirs'}", "fidelity.metrics=[motion]", *SCORED]
    parts = [project / "a" / "b" / f"part{i}" for i in (1, 2)]
    for i, part in enumerate(parts, start=1):
        assert main(["run", *words, f"shard={i}/2", f"out={part}"]) in (0, 1)
        for record in part.rglob("*.source.json"):
            record.write_text(json.dumps({**json.loads(record.read_text()), "given": "gone"}))
    assert main(["merge", *map(str, parts), "--out", str(project / "run")]) in (0, 1)
    shutil.rmtree(project / "a")
    rows = [r for r in read_run(project / "run").rows if r.generator == "theirs"]
    assert len(rows) == 2 and all(len(read_clip(project / "run" / r.video)) > 16 for r in rows)


def test_clips_of_earlier_versions_are_read_where_they_are_stored(project: Path) -> None:
    from sora_eval.video import write_ffv1

    run_folder = project / "run"
    lines = []
    for line in (run_folder / "scores.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["generator"] == "theirs":
            record = run_folder / row["video"]
            stored = record.with_name(record.name.replace(".source.json", ".mkv"))
            write_ffv1(stored, read_clip(record))
            record.unlink()
            row["video"] = stored.relative_to(run_folder).as_posix()
        lines.append(json.dumps(row))
    (run_folder / "scores.jsonl").write_text("\n".join(lines) + "\n")
    shutil.rmtree(project / "theirs")
    assert main(["report", str(run_folder)]) == 0
    assert "no longer there" not in (run_folder / "report.html").read_text()
