"""Names as people and disks have them: what is no UTF-8 or can't be printed ends nothing with a traceback."""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from sora_eval.commands.cli import main
from sora_eval.paths import Finder, encodable, listed, separator, shown

LATIN1 = os.fsdecode(b"l\xe9")
SMALL = [
    "suite=smoke",
    "suite.probes=[motion]",
    "suite.modes=[t2v]",
    "references=[]",
    "fidelity.metrics=[]",
    "players=0",
]


def test_a_name_is_shown_in_one_printable_line() -> None:
    assert shown(LATIN1) == "l\\xe9"
    assert shown("a\nb\x1b[2J\u202ec") == "a\\nb\\x1b[2J\\u202ec"
    assert shown("é 12:30") == "é 12:30"
    assert shown("\ud800") == "\\ud800"
    assert shown("x" * 300) == "x" * 200 + "..."
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert encodable(LATIN1).encode() == b"l\\udce9"
    assert separator(["a", "b;c"]) == ""


def test_a_finder_takes_the_name_as_written_first(tmp_path: Path) -> None:
    for name in ("a\\b.mkv", "a/b.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"clip")
    assert Finder(tmp_path).find("a\\b.mkv") == "a\\b.mkv"
    (tmp_path / "a\\b.mkv").unlink()
    assert Finder(tmp_path).find("a\\b.mkv") == "a/b.mkv"


def test_a_run_whose_folders_are_not_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(LATIN1).mkdir()
    (Path(LATIN1) / "manifest.csv").write_text("case_id,path\nleft_right.motion.t2v.0000,gone.mkv\n")
    folder = [f'generator.path="{LATIN1}"', f'out="{LATIN1}/run"', "workers=1"]
    out = TextIOWrapper(BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["run", "generator=folder", *folder, *SMALL]) == 1
    assert main(["run", "generator=folder", *folder, *SMALL]) == 1
    assert main(["report", f"{LATIN1}/run"]) == 0
    assert main(["baseline", "save", f"{LATIN1}/run", "--out", f"{LATIN1}/base"]) == 0
    assert main(["baseline", "show", f"{LATIN1}/base"]) == 0
    assert main(["leaderboard", f"{LATIN1}/run", "--out", f"{LATIN1}/board"]) == 0
    assert main(["fidelity", LATIN1, LATIN1]) == 2
    out.flush()
    assert b"report: l\\udce9/run/report.html" in out.buffer.getvalue()  # type: ignore[attr-defined]
    said = json.loads(Path(LATIN1, "run", "manifest.json").read_text())
    # JSON keeps the name itself, so that the same command finds its run again.
    assert said["config"]["generator"]["path"] == LATIN1
    assert any(p.startswith(f"{LATIN1}/manifest.csv, row 2: no file 'gone.mkv'") for p in said["problems"])
    for page in ("run/report.html", "run/report.md"):
        assert "l\\udce9/manifest.csv" in Path(LATIN1, page).read_text(encoding="utf-8")
