"""Several samples per prompt: asked with other seeds, averaged before every estimate, and no further evidence about scenes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.evaluation import evaluate
from sora_eval.files import write_json, write_lines
from sora_eval.generator.callable import PythonCallable
from sora_eval.generator.faulty import RandomFaults
from sora_eval.generator.simulator import Control, Oracle
from sora_eval.reporting.components.text import table
from sora_eval.reporting.leaderboard.entrants import gather
from sora_eval.reporting.leaderboard.tracking import tracked
from sora_eval.reporting.leaderboard.write import write_leaderboard
from sora_eval.reporting.report.write import write_report
from sora_eval.runs.reader import Run, read_run
from sora_eval.runs.sharding import merged, part
from sora_eval.runs.sharding import write as write_shard
from sora_eval.runs.tracking import TrackingRow, write_tracking
from sora_eval.stats.eprocess import SequentialTest
from sora_eval.stats.gate import fixed_test
from sora_eval.stats.paired import differences
from sora_eval.stats.ranks import rank_intervals
from sora_eval.stats.samples import asked_of, case_means, per_prompt, sampled
from sora_eval.stats.summary import summarise
from sora_eval.tracking.base import HUE_VERSION as TRACKER
from sora_eval.types import Case, Profile, ScoreRow, Video
from sora_eval.world import VERSION as WORLD

SMALL = Profile("small", 64, 64, 17, 8, 5)
ONE = registry.probe("relation").cases(4, SMALL, "t2v")


def rows_of(
    values: Sequence[Sequence[float | None]],
    name: str = "m",
    chance: float = 0.0,
    probe: str = "s.p",
    per_scene: int = 2,
) -> list[ScoreRow]:
    """Return rows of prompts [n] with values of their samples [k], neighbours of one scene."""
    suite, short = probe.split(".")
    found = []
    for i, some in enumerate(values):
        for k, value in enumerate(some):
            case = f"{probe}.{i:04d}" + (f".s{k}" if k else "")
            why, scene = "" if value is not None else "nothing was seen", f"{probe}.{i // per_scene}"
            row = ScoreRow(
                case, suite, short, "t2v", name, "model", value, why, {}, chance, "", scene, "", i, "", "", k
            )
            found.append(row)
    return found


# Cases


def test_a_further_sample_differs_in_seed_and_id_alone() -> None:
    cases = sampled(ONE, 3)
    assert [c for c in cases if not c.sample] == ONE
    assert [c.id for c in cases[:3]] == [f"left_right.relation.t2v.0000{e}" for e in ("", ".s1", ".s2")]
    assert len({c.seed for c in cases}) == len({c.hash for c in cases}) == len(cases)
    assert all(0 <= c.seed < 2**31 for c in cases)
    by_id = {c.id: c for c in cases}
    for case in cases:
        first = by_id[case.prompt_id]
        assert replace(case, id=first.id, seed=first.seed, twin=first.twin, sample=0) == first
        assert by_id[case.twin].twin == case.id
        assert by_id[case.twin].sample == case.sample
        assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case


def test_sample_0_keeps_the_hash_it_had_before_there_were_several() -> None:
    assert "sample" not in ONE[0].to_json()
    assert sampled(ONE, 5)[0] is ONE[0]
    assert sampled(ONE, 5)[6].hash == sampled(ONE, 2)[3].hash


@pytest.mark.parametrize(("case", "sample"), [("a.0001", 1), ("a.0001.s2", 1), ("a.s-1", -1), ("a", True), ("a", 1.0)])
def test_an_id_that_is_not_that_of_its_sample_is_refused(case: str, sample: int) -> None:
    with pytest.raises(ValueError, match="sample"):
        replace(ONE[0], id=case, sample=sample)
    with pytest.raises(ValueError, match="sample"):
        replace(rows_of([[1.0]])[0], case=case, sample=sample)


def test_shards_keep_the_samples_of_a_scene_together() -> None:
    cases = sampled(ONE, 3)
    parts = [part(cases, (i, 2)) for i in (1, 2)]
    assert sorted(c.id for some in parts for c in some) == sorted(c.id for c in cases)
    assert not {c.cluster for c in parts[0]} & {c.cluster for c in parts[1]}


# Means


def test_a_mean_counts_as_the_mean_of_what_its_samples_count() -> None:
    rows = rows_of([[1.0, None, 0.25], [None, None, None], [0.75]], chance=0.5)
    rows[0] = replace(rows[0], twin="s.p.0001")
    means = case_means(rows)
    assert [(r.case, r.sample, r.twin) for r in means] == [
        ("s.p.0000", 0, "s.p.0001"),
        ("s.p.0001", 0, ""),
        ("s.p.0002", 0, ""),
    ]
    counted = [np.mean([r.counted for r in rows[:3]]), 0.0, rows[-1].counted]
    assert [r.counted for r in means] == pytest.approx(counted)
    assert [r.reason for r in means] == ["", "nothing was seen", ""]
    # The first sample may be the one that is missing.
    assert case_means(rows[2:3])[0].case == "s.p.0000"
    with pytest.raises(ValueError, match="two scores"):
        case_means([*rows, rows[1]])


def test_identical_samples_are_no_evidence() -> None:
    rng = np.random.default_rng(0)
    for chance in (0.0, 0.5):
        a, b = ([float(x) for x in rng.integers(0, 2, 24)] for _ in range(2))
        once, thrice = (
            [rows_of([[x] * k for x in some], n, chance) for n, some in zip("ab", (a, b), strict=True)] for k in (1, 3)
        )
        one, three = (summarise(r[0]).cells for r in (once, thrice))
        for x, y in zip(one, three, strict=True):
            assert (y.score, y.low, y.high) == pytest.approx((x.score, x.low, x.high))
            assert (y.n, y.samples, x.samples) == (3 * x.n, 3, 1)
        for x, y in zip(differences(*once), differences(*thrice), strict=True):
            assert asdict(y) == pytest.approx(asdict(x))
        assert rank_intervals({"a": once[0], "b": once[1]}) == rank_intervals({"a": thrice[0], "b": thrice[1]})
        for x, y in zip(fixed_test(*once).lines, fixed_test(*thrice).lines, strict=True):
            assert (y.n, y.evidence, y.drop, y.low) == pytest.approx((x.n, x.evidence, x.drop, x.low))


def test_independent_samples_narrow_the_interval_and_keep_its_coverage() -> None:
    """Prompts of one scene share a rate of success; samples are tosses at it."""
    rng = np.random.default_rng(0)
    widths: dict[int, list[float]] = {1: [], 4: []}
    inside = dict.fromkeys(widths, 0)
    trials = 150
    for _ in range(trials):
        rate = np.repeat(rng.beta(2, 2, 20), 2)
        tosses = (rng.random((40, 4)) < rate[:, None]).astype(float)
        for k in widths:
            (cell,) = (c for c in summarise(rows_of(tosses[:, :k].tolist()), modes=False).cells if c.level == "probe")
            widths[k].append(cell.high - cell.low)
            inside[k] += cell.low <= 0.5 <= cell.high
    # Within a scene: variance of a toss 0.2, of which K samples of two prompts leave 0.2 / 2K, beside 0.05 between scenes.
    assert np.mean(widths[4]) / np.mean(widths[1]) == pytest.approx(
        ((0.05 + 0.2 / 8) / (0.05 + 0.2 / 2)) ** 0.5, rel=0.05
    )
    assert all(count / trials > 0.88 for count in inside.values())


def test_every_case_weighs_the_same_however_many_samples_it_has() -> None:
    found = summarise(rows_of([[1.0, 1.0, 1.0, 1.0], [0.0], [0.5, None]])).get("m")
    assert found is not None
    assert found.score == pytest.approx((1 + 0 + 0.25) / 3)
    assert found.judged_mean == pytest.approx((1 + 0 + 0.5) / 3)
    assert (found.n, found.judged, found.unjudgeable) == (7, 6, 1)


def test_deviation_and_best_are_worked_out_and_stand_apart() -> None:
    a = rows_of([[1.0, 0.0], [0.5, 0.5], [None, 0.5], [0.0, None]], probe="s.p")
    b = rows_of([[0.2, 0.4]] * 4, probe="t.q")
    found = {(s.suite, s.probe): s for s in summarise([*a, *b, *rows_of([[1.0]] * 4, "oracle")]).sampling}
    deviations = [np.mean([2**-0.5, 0, 0.5 * 2**-0.5, 0]), 0.2 * 2**-0.5]
    assert list(found) == [("", ""), ("s", ""), ("t", ""), ("s", "p"), ("t", "q")]
    assert [found[key].deviation for key in (("s", "p"), ("t", "q"))] == pytest.approx(deviations)
    assert [found[key].best for key in (("s", "p"), ("t", "q"))] == pytest.approx([(1 + 0.5 + 0.5 + 0) / 4, 0.4])
    assert found["", ""].deviation == pytest.approx(np.mean(deviations))
    assert found["", ""].best == pytest.approx(0.45)
    assert all(
        s.deviation_low <= s.deviation <= s.deviation_high and s.best_low <= s.best <= s.best_high
        for s in found.values()
    )
    assert (found["s", "p"].samples, found["s", "p"].cases) == (2, 4)


def test_best_and_deviation_with_a_guess_of_one_half() -> None:
    (found,) = (s for s in summarise(rows_of([[1.0, 0.0], [None, 0.0]], chance=0.5)).sampling if s.probe)
    assert found.best == pytest.approx((1 + 0) / 2)
    assert found.deviation == pytest.approx((2**0.5 + 2**-0.5) / 2)


def test_one_sample_says_nothing_beyond_its_mean() -> None:
    summary = summarise(rows_of([[1.0], [0.0]]))
    assert summary.sampling == ()
    assert summary.to_json()["between_samples"] == []
    assert "best of" not in table(rows_of([[1.0], [0.0]]))


def test_the_sequential_gate_takes_all_samples_of_a_scene() -> None:
    good, bad = rows_of([[1.0, 0.5]] * 40), rows_of([[0.0, 0.5]] * 40)
    test = SequentialTest(good)
    by_prompt: dict[str, list[ScoreRow]] = {}
    for row in bad:
        by_prompt.setdefault(row.prompt_id, []).append(row)
    for step in test.steps:
        assert len(step.cases) == 2
        if test.add(step, [r for prompt in step.cases for r in by_prompt[prompt]]):
            break
    (line, _) = test.outcome().lines
    assert (line.verdict, line.drop) == ("regression", pytest.approx(0.5))


# Generators


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ScoreRow], list[int]]:
    """A folder in which two prompts were asked once and then three times."""
    folder, made, rows = tmp_path_factory.mktemp("grown"), [], []
    generators = [RandomFaults(rate=1.0), Oracle(), Control("frozen")]
    for k in (1, 3):
        evaluated = evaluate(
            sampled(ONE[:2], k), {"relation": registry.probe("relation")}, generators, folder, progress=False
        )
        made.append(evaluated.scored)
        rows = list(evaluated.rows)
    return folder, rows, made


def test_references_are_asked_once_and_growing_makes_only_what_is_new(
    grown: tuple[Path, list[ScoreRow], list[int]],
) -> None:
    folder, rows, made = grown
    assert made == [3 * 2, 2 * 2]
    assert [(r.generator, r.case[-3:], r.sample) for r in rows if r.prompt_id.endswith("0")] == [
        ("careless", "000", 0),
        ("careless", ".s1", 1),
        ("careless", ".s2", 2),
        ("oracle", "000", 0),
        ("frozen", "000", 0),
    ]
    clips = [(folder / r.video).read_bytes() for r in rows if r.generator == "careless"]
    assert len(set(clips)) > 2


def test_shards_with_samples_are_merged_in_the_order_of_the_unsplit_run(
    grown: tuple[Path, list[ScoreRow], list[int]], tmp_path: Path
) -> None:
    _, rows, _ = grown
    cases = sampled(ONE[:2], 3)
    generators = [{"name": n, "kind": k, "fingerprint": ""} for n, k in {r.generator: r.kind for r in rows}.items()]
    about = {"generators": generators, "hashes": {}, "versions": {"tracker": "", "world": ""}, "problems": []}
    config = {"generator": {}, "suite": {}, "profile": {}, "fidelity": None, "players": 0, "references": [], "seed": 0}
    about |= {"timings": {"seconds": 1.0}, "command": "sora-eval run samples=3", "config": config}
    about |= {"suite": "smoke", "profile": "small"}
    for i in (1, 2):
        own = {c.id for c in part(cases, (i, 2))}
        write_shard(Run(tmp_path, about, tuple(cases), tuple(r for r in rows if r.case in own), ()), (i, 2))
    assert list(merged(tmp_path, cases, 2).rows) == rows


def test_a_function_gets_the_seed_of_the_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "drawn_by_seed.py").write_text(
        "import numpy as np\n\n\ndef draw(prompt, *, height, width, frames, fps, seed, conditioning):\n"
        "    return np.random.default_rng(seed).integers(0, 255, (frames, height, width, 3), dtype=np.uint8)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    cases = sampled(ONE[:1], 3)
    videos = [v for v in PythonCallable("drawn_by_seed:draw").generate(cases) if isinstance(v, Video)]
    assert len({v.frames.tobytes() for v in videos}) == 3


def test_the_reference_generator_s_samples_are_other_clips_of_the_same_frames() -> None:
    from sora_eval.generator.reference.adapter import Reference

    case = registry.probe("relation").cases(1, Profile("tiny", 64, 64, 5, 8, 1), "i2v")[0]
    videos = [v for v in Reference(checkpoint="base", steps=1).generate(sampled([case], 2)) if isinstance(v, Video)]
    assert not np.array_equal(videos[0].frames, videos[1].frames)
    assert np.array_equal(videos[0].frames[0], videos[1].frames[0])


# A folder of videos, from its template to its report


SCORED = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=2"]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose template asks for three samples, and the clips that somebody made for it."""
    folder = tmp_path_factory.mktemp("samples") / "theirs"
    assert main(["cases", *SCORED, "samples=3", f"out={folder}"]) == 0
    assert main(["generate", "generator=careless", *SCORED, "samples=3", f"out={folder.parent / 'made'}"]) == 0
    for clip in (folder.parent / "made" / "videos").glob("*.mp4"):
        (folder / "videos" / clip.name).write_bytes(clip.read_bytes())
    return folder


@pytest.fixture(scope="module")
def scored(theirs: Path) -> Path:
    out = theirs.parent / "run"
    assert main(run_words(theirs, out)) == 1  # another rate than asked
    return out


def run_words(folder: Path, out: Path, *more: str) -> list[str]:
    plain = [
        "generator=folder",
        f"generator.path={folder}",
        *SCORED,
        "references=[oracle]",
        "fidelity.metrics=[motion]",
    ]
    return ["run", *plain, "players=3", f"out={out}", *more]


def test_the_template_has_a_row_per_sample(theirs: Path) -> None:
    with (theirs / "manifest.csv").open() as file:
        manifest = list(csv.DictReader(file))
    with (theirs / "prompts.csv").open() as file:
        asked = list(csv.DictReader(file))
    assert [row["sample"] for row in manifest] == [row["sample"] for row in asked] == ["0", "1", "2"] * 2
    assert [row["case_id"] for row in manifest] == [row["case_id"] for row in asked]
    assert len({row["seed"] for row in asked}) == 6
    assert len({row["prompt"] for row in asked}) == 2
    assert all((theirs / row["path"]).is_file() for row in manifest)
    # What `generate` writes says the same.
    assert (theirs.parent / "made" / "manifest.csv").read_text() == (theirs / "manifest.csv").read_text()


def test_all_samples_of_a_folder_are_scored_and_shown(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = read_run(scored)
    (problem,) = run.problems
    assert "row 2 and 5 more" in problem
    assert "25 frames at 12 per second; 17 at 8 were requested" in problem
    assert run.manifest["samples"] == 3
    assert [(r.generator, r.sample) for r in run.rows] == [("theirs", k) for k in (0, 1, 2)] * 2 + [("oracle", 0)] * 2
    told = json.loads((scored / "summary.json").read_text())
    assert [s["samples"] for s in told["between_samples"]] == [3, 3, 3]
    assert {row["generator"]: row["samples"] for row in told["overall"]} == {"theirs": 3, "oracle": 1}
    assert "best" not in json.dumps(told["overall"])
    for name in ("report.md", "report.html"):
        text = (scored / name).read_text()
        assert "Between the samples of a prompt" in text
        assert "3 samples per prompt" in text
    # Fidelity sets one clip against each true one.
    assert {
        tuple(m["n"])
        for by in json.loads((scored / "fidelity.json").read_text()).values()
        for some in by.values()
        for m in some
    } == {(2, 2)}
    assert main(run_words(scored.parent / "theirs", scored)) == 1
    said = capsys.readouterr().out
    assert "nothing to do" in said
    assert "samples per prompt: theirs 3" in said
    scores, apart = said.split("between the samples of a prompt")
    assert "best of K" in apart
    assert "best of K" not in scores


def test_fewer_samples_than_there_are_is_one_problem(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(run_words(theirs, tmp_path, "samples=1", "fidelity.metrics=[]")) == 1
    problems = [line for line in capsys.readouterr().err.splitlines() if line.startswith("problem")]
    (line,) = (line for line in problems if "samples=3" in line)
    assert len(problems) == 2  # the stand-in's rate is the other one, told once for all of its videos
    assert (
        "samples up to 2 are there and the run has 1 per case: 4 videos are not scored; samples=3 scores them" in line
    )


def test_more_samples_than_there_are_stay_in_the_denominator(theirs: Path, tmp_path: Path) -> None:
    assert main(run_words(theirs, tmp_path, "samples=4", "fidelity.metrics=[]", "players=0")) == 1
    rows = [r for r in read_run(tmp_path).rows if r.generator == "theirs"]
    assert [r.reason for r in rows if r.sample == 3] == ["no video for sample 3 of this case in manifest.csv"] * 2
    cell = summarise(rows).get("theirs")
    assert cell is not None
    assert (cell.n, cell.unjudgeable) == (8, 2)
    assert cell.score == pytest.approx(np.mean([r.counted for r in rows]))


def test_samples_out_of_range_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("0", "1001", "two", "1.5"):
        assert main(["cases", *SCORED, f"samples={value}", f"out={tmp_path}"]) == 2
        assert capsys.readouterr().err.startswith("sora-eval: samples must be a whole number from 1 to 1000, got")


# Comparisons of runs

Values = Callable[[Case], float | None]


def write_run(folder: Path, k: int, value: Values, name: str = "model", seed: int = 0, count: int = 24) -> Path:
    """Write what a finished run leaves, but its clips: a model's values, beside an oracle that is always right."""
    cases = sampled(registry.probe("count").cases(count, SMALL, "t2v", seed), k)
    rows = [
        ScoreRow(c.id, c.suite, c.probe, c.mode, who, kind, found, "" if found is not None else "nothing was seen", {}, 0.0, c.prompt,
                 c.cluster, c.twin, c.seed, "", "", c.sample)
        for who, kind in ((name, "model"), ("oracle", "oracle"))
        for c in asked_of(kind, cases)
        for found in [value(c) if kind == "model" else 1.0]
    ]  # fmt: skip
    about = {"generators": [{"name": name, "kind": "model", "fingerprint": name}, {"name": "oracle", "kind": "oracle"}]}
    about |= {"suite": "gate", "profile": "small", "seed": seed, "problems": [], "command": "sora-eval run"}
    about |= {"hashes": {"cases": "00", "probes": {"count": registry.probe("count").version}}}
    about |= {"versions": {"tracker": str(TRACKER), "world": str(WORLD)}}
    write_lines(folder / "cases.jsonl", (c.to_json() for c in cases))
    write_lines(folder / "scores.jsonl", (asdict(r) for r in rows))
    write_json(folder / "manifest.json", about)
    return folder


def by_sample(case: Case) -> float:
    return (1.0, 0.5, 0.0, 0.0)[case.sample]


def test_a_baseline_keeps_samples_and_the_gate_averages_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "baseline"
    gate = ["gate", "--baseline", str(base), "--set", "drop=0.5"]
    assert main(["baseline", "save", str(write_run(tmp_path / "a", 2, by_sample)), "--out", str(base)]) == 0
    assert "24 cases in 2 samples each" in capsys.readouterr().out
    assert main([*gate, "--candidate", str(write_run(tmp_path / "same", 2, by_sample))]) == 0
    said = capsys.readouterr().out
    assert "note: 2 samples per prompt: the score of a case is the mean over them" in said
    assert said.splitlines()[2].split()[:3] == ["overall", "0.750", "0.750"]
    # Four samples, of which the later ones are worse: compared on those that both have.
    assert main([*gate, "--candidate", str(write_run(tmp_path / "four", 4, by_sample))]) == 0
    assert (
        "note: compared on 2 samples per prompt, of 2 of the baseline and 4 of the candidate" in capsys.readouterr().out
    )
    worse = write_run(tmp_path / "worse", 2, lambda c: 0.0)
    for more in ([], ["--sequential"]):
        assert main([*gate, "--candidate", str(worse), *more]) == 1
    single = write_run(tmp_path / "single", 1, by_sample)
    assert main([*gate, "--candidate", str(single)]) == 2
    assert "samples per prompt: 2 in baseline; 1 in candidate; run with the same samples=K" in capsys.readouterr().err
    assert main([*gate, "--candidate", str(single), "--common"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:3] == ["overall", "1.000", "1.000"]


def test_the_gate_asks_a_generator_for_every_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write_run(tmp_path / "base", 2, lambda c: 1.0)
    monkeypatch.chdir(tmp_path)
    Path("nothing_drawn.py").write_text(
        "import numpy as np\n\n\ndef nothing(prompt, *, height, width, frames, fps, seed, conditioning):\n"
        "    return np.full((frames, height, width, 3), 200, np.uint8)\n"
    )
    words = [
        "--sequential",
        "--out",
        str(tmp_path / "out"),
        "generator=callable",
        "generator.target=nothing_drawn:nothing",
    ]
    assert main(["gate", "--baseline", str(base), *words]) == 1
    done = sorted(p.name.split(".t2v.")[1][:7] for p in (tmp_path / "out" / "scores").rglob("*.json"))
    assert len(done) % 4 == 0
    assert sum(name.endswith(".s1") for name in done) == len(done) // 2


def test_a_leaderboard_of_other_numbers_of_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path / "one", 1, by_sample, "one"), write_run(tmp_path / "two", 2, by_sample, "two")]
    assert main(["leaderboard", *map(str, runs), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "--common compares what they share" in said[0]
    (line,) = said[1:]
    assert line.startswith("sora-eval: samples per prompt: 1 in ")
    write_leaderboard(runs, tmp_path / "out", "", common=True, players=0)
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert board[board["level"] == "overall"].set_index("model")["value"].to_dict() == {
        "one": 1.0,
        "two": 1.0,
        "oracle": 1.0,
    }
    assert (
        "compared on the samples that are shared: 1 per prompt, of up to 2"
        in (tmp_path / "out" / "leaderboard.md").read_text()
    )


def test_a_leaderboard_over_seeds_and_samples(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{name}{seed}", 2, lambda c, s=skill: s * by_sample(c), name, seed, count=8)  # type: ignore[misc]
        for name, skill in (("good", 1.0), ("bad", 0.2))
        for seed in (0, 1)
    ]
    write_leaderboard(runs, tmp_path / "out", "sora-eval leaderboard", players=2)
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    overall = board[(board["level"] == "overall")].set_index("model")
    assert overall["value"].to_dict() == pytest.approx({"good": 0.75, "bad": 0.15, "oracle": 1.0})
    assert overall["n"].astype(int).to_dict() == {"good": 32, "bad": 32, "oracle": 16}
    assert overall["samples"].to_dict() == {"good": 2, "bad": 2, "oracle": 1}
    assert overall["clusters"].dropna().tolist() == [8]
    apart = board[board["level"] == "samples"]
    assert set(apart["measure"]) == {"deviation between samples", "best of 2"}
    assert apart["rank_best"].isna().all()
    for name in ("leaderboard.md", "leaderboard.html"):
        text = (tmp_path / "out" / name).read_text()
        assert "Between the samples of a prompt" in text
        assert "2 samples per prompt" in text
        assert "was run on" not in text


def test_tracking_metrics_of_all_seeds_and_samples_are_on_the_leaderboard(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(seed), 2, by_sample, seed=seed, count=4) for seed in (0, 3)]
    for run in runs:
        about = [(r.case, r.suite, r.probe, r.mode, r.cluster, r.generator, r.kind) for r in read_run(run).rows]
        write_tracking(run, [TrackingRow(*names, {"fragments": float(".s1" in names[0])}) for names in about])
    # Of one seed alone ids are those of its cases.
    for field in (gather(runs), gather(runs[:1])):
        found = tracked(field)
        # Half of the model's clips are second samples; the oracle has none.
        assert {c.generator: c.value for c in found.cells if c.level == "overall"} == {"model": 0.5, "oracle": 0.0}
        assert set(found.clips) == {(r.generator, r.case) for r in field.rows}


def test_exports_name_best_of_k_apart_from_scores(tmp_path: Path) -> None:
    from sora_eval.commands.export import exports

    (found,) = exports(write_run(tmp_path / "run", 4, by_sample, count=8))
    assert found.settings.get("samples", 4) == 4
    assert found.scalars["score/all"] == pytest.approx(1.5 / 4)
    assert found.scalars["samples_best_of_4/all"] == 1.0
    assert found.scalars["samples_deviation/all"] == pytest.approx(np.std([1, 0.5, 0, 0], ddof=1))


def test_rows_of_earlier_versions_are_samples_0(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 1, by_sample, count=4)
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    write_lines(run / "scores.jsonl", ({k: v for k, v in row.items() if k != "sample"} for row in lines))
    assert per_prompt(read_run(run).rows) == 1
    write_report(run, 0)
    write_lines(run / "scores.jsonl", ({**row, "sample": 1} for row in lines))
    with pytest.raises(Exception, match=r"scores.jsonl:1: case .* is sample 1, its id must end in \.s1"):
        read_run(run)
