"""A failure of the model is not a score: marked, asked again, counted apart, never ranked, and no regression."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.leaderboard import made_up_cases, made_up_run

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.evaluation import evaluate
from sora_eval.generator.answers import answers
from sora_eval.generator.base import Capabilities
from sora_eval.reporting import summarise
from sora_eval.reporting.components.text import table
from sora_eval.reporting.leaderboard.entrants import gather
from sora_eval.reporting.leaderboard.standing import stand
from sora_eval.runs.plan import ClipCounts
from sora_eval.runs.reader import read_scores
from sora_eval.stats.failures import failed, too_many, why_failed
from sora_eval.stats.paired import differences
from sora_eval.types import Case, Failure, Profile, Score, ScoreRow, Video

SMALL = Profile("small", 64, 64, 17, 8, 5)
PROBES = {"relation": registry.probe("relation")}
CASES = PROBES["relation"].cases(4, SMALL, "t2v")
TINY = ["suite.probes=[relation]", "suite.modes=[t2v]", "references=[frozen]", "fidelity.metrics=[]", "players=0"]


class Model:
    """Makes blank clips as bright as their case's number; raises `faults` on cases, one by one or (`batch`) before any clip."""

    name = "model"
    kind = "model"
    capabilities = Capabilities()

    def __init__(self, faults: dict[str, BaseException] | None = None, batch: bool = False, most: int = 99) -> None:
        self.faults, self.batch, self.most = faults or {}, batch, most
        self.asked: list[list[str]] = []

    def fingerprint(self, case: Case) -> str:
        return "weights"

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        self.asked.append([c.id[-4:] for c in cases])
        if len(cases) > self.most:
            raise MemoryError("CUDA out of memory")
        if self.batch:
            for case in cases:
                self.check(case)
        return (self.answer(case) for case in cases)

    def check(self, case: Case) -> None:
        if fault := self.faults.get(case.id[-4:]):
            raise fault

    def answer(self, case: Case) -> Video | Failure:
        self.check(case)
        return clip_of(case)


def clip_of(case: Case) -> Video:
    return Video(np.full((case.frames, *case.size, 3), int(case.id[-4:]), np.uint8), case.fps)


def reasons(model: Any, cases: Sequence[Case] = CASES) -> list[str]:
    """Return why each case has no clip, "" where it has its own."""
    found = dict.fromkeys((c.id for c in cases), "nothing")
    for case, answer in answers(model, cases):
        if isinstance(answer, Failure):
            assert answer.technical
            found[case.id] = answer.reason
        else:
            found[case.id] = "" if answer.frames.max() == int(case.id[-4:]) else "another's clip"
    return list(found.values())


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(
    "fault",
    [ValueError("a\nb"), ConnectionError("service down"), SystemExit(1), MemoryError(), OSError(errno.EIO, "x")],
)
def test_the_case_that_raises_fails_and_the_others_of_its_batch_are_asked_again(
    fault: BaseException, batch: bool
) -> None:
    found = reasons(Model({"0001": fault}, batch))
    assert [bool(text) for text in found] == [False, True, False, False]
    assert found[1].startswith(f"the generator model raised {type(fault).__name__}") and "\n" not in found[1]


def test_a_batch_that_is_too_large_is_asked_one_by_one() -> None:
    model = Model(most=1)
    assert reasons(model) == [""] * 4
    assert model.asked == [["0000", "0001", "0002", "0003"], ["0000"], ["0001"], ["0002"], ["0003"]]


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupt_and_a_full_disk_stop(fault: BaseException) -> None:
    with pytest.raises(type(fault)):
        reasons(Model({"0001": fault}))


def test_answers_that_do_not_match_their_cases_are_not_taken_for_them() -> None:
    class Skipping(Model):
        def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
            return (clip_of(c) for c in cases if not c.id.endswith("0001"))

    class Twice(Model):
        def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
            return (clip_of(c) for c in cases for _ in range(1 + c.id.endswith("0001")))

    class Wrong(Model):
        def answer(self, case: Case) -> Any:
            return "clip" if case.id.endswith("0001") else clip_of(case)

    assert reasons(Skipping()) == ["", "the generator gave no answer", "", ""]
    assert reasons(Twice()) == ["", "the generator gave more than one answer to one case", "", ""]
    assert reasons(Wrong()) == ["", "the generator gave a str, a Video or a Failure is needed", "", ""]


def test_a_technical_failure_is_stored_apart_and_asked_again(tmp_path: Path) -> None:
    class Mixed(Model):
        def answer(self, case: Case) -> Video | Failure:
            return Failure("upside down") if case.id.endswith("0002") else super().answer(case)

    first = evaluate(CASES, PROBES, [Mixed({"0001": RuntimeError("out of memory")})], tmp_path, 1, False)
    rows = first.rows
    assert [(r.failure, bool(r.video)) for r in rows] == [("", True), ("technical", False), ("", False), ("", True)]
    assert rows[1].reason == "the generator model raised RuntimeError: out of memory" and rows[1].counted < 0.5
    assert first.clips == {"model": ClipCounts(0, 2, 2)}
    kept = {p.name.split(".", 5)[-1] for p in (tmp_path / "videos").rglob("*.json")}
    assert kept == {"failed.json", "error.json"}
    again = Mixed()
    second = evaluate(CASES, PROBES, [again], tmp_path, 1, False)
    assert (again.asked, second.scored, second.clips) == ([["0001"]], 1, {"model": ClipCounts(2, 1, 0)})
    assert [(r.failure, bool(r.video)) for r in second.rows] == [("", True), ("", True), ("", False), ("", True)]
    assert not list(tmp_path.rglob("*.error.json"))


def test_a_clip_that_cannot_be_read_any_more_and_fails_leaves_no_clip(tmp_path: Path) -> None:
    evaluate(CASES, PROBES, [Model()], tmp_path, 1, False)
    first = min((tmp_path / "videos").rglob("*.mkv"))
    first.write_bytes(first.read_bytes()[:100])
    rows = evaluate(CASES, PROBES, [Model({"0000": RuntimeError("down")})], tmp_path, 1, False).rows
    assert (rows[0].video, rows[0].failure) == ("", "technical") and not first.exists()


def row(number: int, value: float | None = 1.0, failure: Any = "", probe: str = "p", video: str = "v") -> ScoreRow:
    case = f"s.{probe}.t2v.{number:04d}"
    reason = "" if value is not None else "down"
    names: tuple[Any, ...] = (case, "s", probe, "t2v", "m", "model", value, reason)
    return ScoreRow(*names, {}, 0.0, "", case, "", 0, "" if failure else video, "", failure=failure)


DOWN = [row(i, None, "technical") for i in range(4)]


def test_a_mark_without_sense_is_refused() -> None:
    for value, failure in ((1.0, "technical"), (None, "odd")):
        with pytest.raises(ValueError, match="failure must be"):
            Score(value, "" if value is not None else "why", {}, failure)  # type: ignore[arg-type]


def test_the_summary_and_the_table_tell_technical_failures_apart() -> None:
    rows = [row(0), row(1, None), *DOWN[2:]]
    cell = summarise(rows).get("m")
    assert cell is not None
    assert (cell.n, cell.unjudgeable, cell.technical, cell.score, cell.failed) == (4, 3, 2, 0.25, False)
    text = table(rows)
    head, _, line = text.splitlines()[:3]
    assert head.split()[-2:] == ["unjudged", "technical"] and line.split()[-2:] == ["3", "2"]
    assert "technical" not in table(rows[:2])
    told = [(r.text, r.count) for r in summarise(rows).reasons]
    assert told == [("technical: down", 2), ("down", 1)]


def test_nothing_but_technical_failures_is_no_score() -> None:
    refused = row(9, None, video="")
    assert failed(DOWN) and failed([*DOWN, refused]) and not failed([refused]) and not failed([*DOWN, row(8, None)])
    assert summarise(DOWN).to_json()["overall"][0]["score"] is None
    assert "0.00" not in table(DOWN)
    assert why_failed(DOWN, "m").startswith("m has no score: 4 of 4 clips failed technically")
    assert why_failed([*DOWN, row(8)], "m") == why_failed(DOWN, "another") == ""


@pytest.mark.parametrize(
    ("rows", "much"),
    [
        ([row(i) for i in range(100)], False),
        ([*DOWN[:2], *(row(i) for i in range(2, 100))], False),
        ([*DOWN[:3], *(row(i) for i in range(3, 100))], True),
        # One of a small probe may fail, two may not, however many clips there are in all.
        ([DOWN[0], row(1), *(row(i, probe="q") for i in range(200))], False),
        ([*DOWN[:2], row(2), *(row(i, probe="q") for i in range(200))], True),
    ],
)
def test_few_technical_failures_can_be_compared(rows: list[ScoreRow], much: bool) -> None:
    assert bool(too_many(rows)) == much


# Commands


MODULE = """
import os
import numpy as np

def picture(prompt, *, height, width, frames, seed, **rest):
    if "DOWN" in os.environ and seed % 4 in map(int, os.environ["DOWN"]):
        raise RuntimeError("CUDA out of memory")
    return np.full((frames, height, width, 3), 200, np.uint8)

def leaves(prompt, **rest):
    raise SystemExit(0)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "model_of_mine.py").write_text(MODULE)
    monkeypatch.setitem(__import__("sys").modules, "model_of_mine", None)
    monkeypatch.delitem(__import__("sys").modules, "model_of_mine")
    return tmp_path


def run(*more: str, function: str = "picture") -> int:
    return main(["run", "generator=callable", f"generator.target=model_of_mine:{function}", *TINY, *more])


def one_line(text: str) -> str:
    assert text.startswith("sora-eval: ") and text.count("\n") == 1, text
    return text


def seeds(count: int = 4) -> str:
    """Return the last digits of the seeds of the cases: which ones are there depends on the probe."""
    return "".join(sorted({str(c.seed % 4) for c in PROBES["relation"].cases(count, SMALL, "t2v")}))


def test_a_run_goes_on_where_the_model_failed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOWN", seeds()[0])
    assert run("suite.count=4", "out=r") == 1
    said = capsys.readouterr()
    rows = [r for r in read_scores(Path("r/scores.jsonl")) if r.generator == "picture"]
    broken = sum(r.failure == "technical" for r in rows)
    assert 0 < broken < 4
    assert (
        f"picture: 0 clips reused, {4 - broken} made, {broken} failed; references: 0 clips reused, 4 made" in said.out
    )
    assert f"{broken} of them failed technically" in said.out
    assert f"problem: picture: {broken} of 4 clips failed technically" in said.err
    report = Path("r/report.md").read_text()
    assert f"| {4 - broken} of 4 | {broken} of 4 |" in report
    assert "model_of_mine:picture raised RuntimeError" in report.partition("### Technical failures")[2]
    assert f"{broken} technically" in Path("r/report.html").read_text()
    monkeypatch.delenv("DOWN")
    assert run("suite.count=4", "out=r") == 0
    assert (
        f"picture: {4 - broken} clips reused, {broken} made; references: 4 clips reused, 0 made"
        in capsys.readouterr().out
    )
    assert json.loads(Path("r/manifest.json").read_text())["clips"] == {
        "picture": {"reused": 4 - broken, "made": broken, "failed": 0},
        "frozen": {"reused": 4, "made": 0, "failed": 0},
    }
    assert run("suite.count=4", "out=r") == 0
    said = capsys.readouterr()
    assert "nothing to do" in said.out and "picture: 4 clips reused, 0 made" in said.out


def test_a_run_of_which_nothing_came_back_is_not_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run("suite.count=2", "out=r", function="leaves") == 2
        said = one_line(capsys.readouterr().err.splitlines(keepends=True)[-1])
        assert "leaves has no score: 2 of 2 clips failed technically" in said and "SystemExit: 0" in said
    assert "| leaves | - |" in Path("r/report.md").read_text()
    words = ["generator=callable", "generator.target=model_of_mine:leaves", *TINY[:2], "suite.count=1"]
    assert main(["generate", *words, "out=g"]) == 2
    assert "1 of 1 clips failed technically" in capsys.readouterr().err
    for command in (["gate", "--baseline", "r", "--candidate", "r"], ["baseline", "save", "r"]):
        assert main(command) == 2
        assert "2 of 2 clips failed technically" in one_line(capsys.readouterr().err)


def test_a_shard_of_which_nothing_came_back_is_run_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("suite.count=2", "out=r", "shard=1/2", function="leaves") == 2
    assert not list(Path("r/shards").glob("*.json"))


def test_a_sweep_records_what_failed_and_the_leaderboard_leaves_it_out(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", "generator.target=model_of_mine:leaves,model_of_mine:picture", "suite.count=2", "workers=1"]
    sweep = ["run", "generator=callable", *TINY, *words, "out='s/${generator.target}'"]
    assert main(sweep) == 2
    said = capsys.readouterr()
    bad, good = Path("s/model_of_mine:leaves"), Path("s/model_of_mine:picture")
    assert "1 failed, 1 done" in said.out and "picture: 0 clips reused, 2 made" in said.out
    assert (bad / "failed.json").exists() and not (good / "failed.json").exists()
    assert main(["leaderboard", str(bad), str(good), "--out", "board", "--players", "0"]) == 0
    assert f"{bad} is left out, its job failed: leaves has no score" in one_line(capsys.readouterr().err)
    assert "leaves" not in Path("board/leaderboard.md").read_text().partition("## Scores")[2]
    assert main(["leaderboard", str(bad), "--out", "board"]) == 2
    source = MODULE.replace("raise SystemExit(0)", "return picture(prompt, **rest)")
    Path("model_of_mine.py").write_text(source)
    monkeypatch.delitem(__import__("sys").modules, "model_of_mine")
    assert main([*sweep, "replace=true"]) == 0
    assert not (bad / "failed.json").exists()


def spoilt(run: Path, generator: str, count: int, known: int = 0) -> Path:
    """Let the last `count` clips of a generator have failed technically; the first `known` ones stay."""
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["generator"] == generator][known:]
    for line in mine[len(mine) - count :]:
        line.update(value=None, reason="service down", components={}, failure="technical", video="", tracks="")
    (run / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_a_model_that_failed_has_no_rank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [c for c in made_up_cases(6) if c.mode == "t2v"]
    names = ("good", "bad", "half", "down")
    runs = [made_up_run(tmp_path / n, n, s, cases) for n, s in zip(names, (0.9, 0.2, 0.95, 0.5), strict=True)]
    spoilt(runs[1], "bad", 1)
    spoilt(runs[2], "half", len(cases) // 2)
    spoilt(runs[3], "down", len(cases))
    board = ["leaderboard", *map(str, runs), "--out", str(tmp_path / "out"), "--players", "0"]
    assert main(board) == 0
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert (
        f"- bad: 1 of {len(cases)} clips failed technically; they count as 0 in its scores and are left out of" in text
    )
    assert (
        f"- half is not ranked: {len(cases) // 2} of {len(cases)} clips failed technically; at most a share of 0.02"
        in text
    )
    scores = text.partition("## Scores")[2].partition("\n## ")[0]
    ranks = {line.split("|")[1].strip(): line.split("|")[2:4] for line in scores.splitlines() if line.startswith("| ")}
    assert ranks["down"] == ["  ", " - "] and ranks["half"][0] == "  "
    assert {ranks["good"][0].strip(), ranks["bad"][0].strip()} == {"1", "2"}
    assert list(ranks).index("bad") < min(list(ranks).index(name) for name in ("half", "down"))
    differences = text.partition("## Differences")[2].partition("\n## ")[0]
    assert "bad |" in differences and "down |" not in differences and "half |" not in differences
    page = (tmp_path / "out" / "leaderboard.html").read_text()
    assert "Not ranked: too many clips failed technically" in page and "1 technically" in page
    csv = [line for line in (tmp_path / "out" / "leaderboard.csv").read_text().splitlines() if line.startswith("down,")]
    assert all(",score,,,," in line for line in csv)
    assert main([*board, "--against", "down"]) == 2
    n = len(cases)
    assert f"nothing can be compared with down: {n} of {n} clips failed technically" in capsys.readouterr().err
    assert main([*board, "--against", "half"]) == 2


def test_a_few_failures_are_left_out_of_ranks_and_differences(tmp_path: Path) -> None:
    cases = [c for c in made_up_cases(6) if c.mode == "t2v"]
    runs = [made_up_run(tmp_path / n, n, s, cases) for n, s in (("one", 0.9), ("two", 0.5))]
    spoilt(runs[0], "one", 1)
    spoilt(runs[1], "two", 1, 1)
    field = gather(runs)
    one, two = (e.rows for e in field.models)
    standing = stand(field)
    (lost,) = {r.case for r in (*one, *two) if r.failure}
    found = standing.differences["two", "", ""]
    assert found.n == len(cases) - 1
    whole = differences(*([r for r in rows if r.case != lost] for rows in (two, one)))[0]
    assert (found.mean, found.p_value) == (whole.mean, whole.p_value)
    # The scores still count it as 0.
    assert len({r.case for r in one}) == standing.summary.get("one").n == len(cases)  # type: ignore[union-attr]
    # A probe of which one model has nothing but a failure has no difference and no rank, and the others do.
    single = [c for i, c in enumerate(cases) if c.probe != cases[-1].probe or i == len(cases) - 1]
    runs = [made_up_run(tmp_path / f"{n} again", n, s, single) for n, s in (("one", 0.9), ("two", 0.5))]
    spoilt(runs[0], "one", 1)
    standing = stand(gather(runs))
    at = single[-1].suite, single[-1].probe
    assert ("two", *at) not in standing.differences and at not in standing.ranks
    assert ("two", "", "") in standing.differences and ("", "") in standing.ranks


def test_a_failed_model_alone_is_listed(tmp_path: Path) -> None:
    cases = made_up_cases(2)[:2]
    runs = [spoilt(made_up_run(tmp_path / "down", "down", 0.5, cases), "down", len(cases))]
    assert main(["leaderboard", str(runs[0]), "--out", str(tmp_path / "out")]) == 0
    assert "no ranked model" in (tmp_path / "out" / "leaderboard.html").read_text()


def test_rows_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", "m", 0.5, made_up_cases(1)[:2])
    path = run / "scores.jsonl"
    now = read_scores(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["failure"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_scores(path) == now
    lines[0]["failure"] = "odd"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["leaderboard", str(run), "--out", str(tmp_path / "out")]) == 2
