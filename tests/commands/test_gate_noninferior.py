"""`sora-eval gate --noninferior`: exit codes, files, pictures beside the verdict, and a clear line for every bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from commands.gate_runs import cases_of, half_right, noise, right, with_clips, write_run

from sora_eval.commands.cli import main


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may themselves run in a CI job."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which all is right, of 3 probes with 12 scenes each; read, don't change."""
    return write_run(tmp_path_factory.mktemp("original") / "run", cases_of(24), right)


def gate(original: Path, candidate: Path, margin: str, out: Path, *more: str) -> int:
    words = ["--baseline", str(original), "--candidate", str(candidate), "--noninferior", margin, "--out", str(out)]
    return main(["gate", *words, *more])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.startswith("sora-eval: ") and text.count("\n") == 1, text
    return text


def junit(out: Path) -> tuple[list[str | None], list[str | None]]:
    """Return the names of the test cases that failed, and of those in error."""
    root = ElementTree.parse(out / "gate.xml").getroot()
    suite = root.find("testsuite")
    assert suite is not None
    failed, lacking = (
        [c.get("name") for c in suite.iter("testcase") if c.find(k) is not None] for k in ("failure", "error")
    )
    assert (suite.get("failures"), suite.get("errors")) == (str(len(failed)), str(len(lacking)))
    return failed, lacking


def test_the_same_scores_are_non_inferior(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(original, original, "0.2", tmp_path) == 0
    out = capsys.readouterr().out
    assert "non-inferior within the margin (overall 0.2); overall +0.000, fell by less than 0.1" in out
    assert "72 of 72 cases, certain after" in out
    assert "no part of the verdict: no clips to compare as pictures: none in the baseline and the candidate" in out
    assert junit(tmp_path) == ([], [])
    assert "## sora-eval gate: non-inferior" in (tmp_path / "gate.md").read_text()
    page = (tmp_path / "gate.html").read_text()
    assert "<h1>sora-eval gate: non-inferior</h1>" in page and "no clips to compare as pictures" in page


def test_an_engine_that_breaks_one_probe_is_inferior(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", cases_of(24), lambda c: 1.0 - (c.probe == "bite"))
    assert gate(original, run, "0.1", tmp_path) == 1
    assert (
        "inferior by more than the margin: overall (-0.500, margin 0.1), bite (-1.000, margin 0.1)"
        in capsys.readouterr().out
    )
    assert junit(tmp_path)[0] == ["overall", "bite"]
    assert "| INFERIOR |" in (tmp_path / "gate.md").read_text()
    assert "sora-eval gate: inferior" in (tmp_path / "gate.html").read_text()


def test_undecided_is_no_pass_and_says_how_many_cases_are_missing(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate(original, original, "0.05", tmp_path) == 3
    out = capsys.readouterr().out
    assert "undecided with the cases that there are: neither side of the margin is shown (overall 0.05)" in out
    assert (
        "about 161 more cases would decide if they went like these, 54 of each probe (suite.count, in both runs)" in out
    )
    assert junit(tmp_path) == ([], ["overall"])
    # The forecast is right: 24 + 54 of each probe decide, a few less do not.
    for count, code in ((78, 0), (72, 3)):
        more = write_run(tmp_path / str(count), cases_of(count), right)
        assert gate(more, more, "0.05", tmp_path) == code
    assert gate(original, original, "0.2", tmp_path, "--set", "probe_margin=0.2") == 3
    assert junit(tmp_path) == ([], ["count", "covered", "bite"])
    assert gate(original, original, "0.2", tmp_path, "--set", "probe_margin=0.3") == 0


def test_a_generator_in_place_of_a_run_is_stopped_as_soon_as_it_is_certain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", cases_of(24, ("bite",)), right)
    (tmp_path / "blank_for_the_gate.py").write_text(
        "import numpy as np\n\n\ndef nothing(prompt, *, height, width, frames, fps, seed, conditioning):\n"
        "    return np.full((frames, height, width, 3), 200, np.uint8)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["--baseline", str(run), "--noninferior", "0.2", "--out", str(tmp_path / "out"), "generator=callable"]
    assert main(["gate", *words, "generator.target=blank_for_the_gate:nothing"]) == 1
    assert 0 < len(list((tmp_path / "out" / "scores").rglob("*.json"))) < 24
    assert "inferior by more than the margin: overall (-1.000" in capsys.readouterr().out


def test_pictures_change_no_verdict(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clips of noise beside equal scores: far apart as pictures, and non-inferior."""
    rng = np.random.default_rng(0)
    a, b = (with_clips(tmp_path / name, {i: noise(rng) for i in range(3)}) for name in ("a", "b"))
    assert gate(a, b, "0.2", tmp_path) == 0
    out = capsys.readouterr().out
    assert "0 of 3 clips are the same bytes; means over 3 clips: PSNR " in out
    assert "0 of 3 clips are the same bytes" in (tmp_path / "gate.html").read_text()
    assert gate(a, b, "0.2", tmp_path, "--pixels", "0") == 0
    assert "same bytes" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("margin", "options", "message"),
    [
        ("small", [], "margin must be a number between 0 and 1"),
        ("0", [], "margin must be a number between 0 and 1"),
        ("1", [], "margin must be a number between 0 and 1"),
        ("nan", [], "margin must be a number between 0 and 1"),
        ("0.1", ["--set", "drop=0.2"], "unknown option 'drop'"),
        ("0.1", ["--set", "margins.bitte=0.2"], "unknown probe in gate: margins 'bitte': did you mean bite"),
        ("0.1", ["--set", "margins.orbit=0.2"], "unknown probe in gate: margins 'orbit'"),
        ("0.1", ["--set", "margins.overall=0.2"], "the margin of the overall score is `margin`"),
        ("0.1", ["generator=oracle"], "or --noninferior MARGIN and --out RUN, and no --candidate"),
    ],
)
def test_options_that_mean_nothing(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], margin: str, options: list[str], message: str
) -> None:
    assert gate(original, original, margin, tmp_path, *options) == 2
    assert message in one_line(capsys)


def test_another_seed_is_no_comparison(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reseeded = [replace(c, seed=c.seed + 1) for c in cases_of(24)]
    assert gate(original, write_run(tmp_path / "run", reseeded, half_right), "0.1", tmp_path) == 2
    assert "cannot be compared" in one_line(capsys)
