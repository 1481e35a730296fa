"""The leaderboard of several runs: who has a row, what is compared, what is refused, and what the page shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from benchmarks.leaderboard import made_up_cases, made_up_run

from sora_eval.errors import ConfigError
from sora_eval.reporting.components.numbers import signed
from sora_eval.reporting.leaderboard.clips import contested, make_comparisons
from sora_eval.reporting.leaderboard.entrants import MixedProtocolsError, gather
from sora_eval.reporting.leaderboard.fidelity import figures, measured
from sora_eval.reporting.leaderboard.standing import stand
from sora_eval.reporting.leaderboard.write import write_leaderboard
from sora_eval.runs.measures import write_measures
from sora_eval.runs.reader import read_run
from sora_eval.stats.multiplicity import holm
from sora_eval.stats.paired import differences
from sora_eval.stats.summary import summarise
from sora_eval.types import Case, Measure

EVIL_NAME = "model \"<b onclick=x>\" & 'co'"
PROBES = ("physics_0", "physics_1", "left_right_0")


def cases_of(seed: int = 0, per_mode: int = 4) -> list[Case]:
    """Return cases of three probes."""
    return [c for c in made_up_cases(per_mode, seed) if c.probe in PROBES and c.mode == "t2v"]


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the manifest of a run."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Runs of a good and a bad model on the same cases."""
    cases = cases_of()
    return [made_up_run(tmp_path / name, name, skill, cases) for name, skill in (("bad", 0.2), ("good", 0.9))]


def board(folders: Sequence[Path], out: Path, **options: Any) -> tuple[pd.DataFrame, str]:
    """Return the CSV as a table, and the HTML of a leaderboard."""
    page = write_leaderboard(folders, out, "sora-eval leaderboard", **options)
    table = pd.read_csv(StringIO((out / "leaderboard.csv").read_text()), keep_default_na=False, na_values=[""])
    return table, page.read_text(encoding="utf-8")


def test_every_model_and_every_reference_has_one_row(two: list[Path], tmp_path: Path) -> None:
    table, _ = board(two, tmp_path / "out")
    overall = table[table.level == "overall"]
    assert list(overall.model) == ["good", "bad", "oracle", "frozen", "shuffled"]
    assert list(overall.kind) == ["model", "model", "oracle", "control", "control"]
    assert not table.duplicated(["model", "level", "suite", "probe", "measure"]).any()


def test_scores_are_those_of_each_runs_own_summary(two: list[Path], tmp_path: Path) -> None:
    table, _ = board(two, tmp_path / "out")
    for folder in two:
        for cell in summarise(read_run(folder).rows, modes=False).cells:
            where = {"model": cell.generator, "suite": cell.suite, "probe": cell.probe}
            mine = table[(table[list(where)].fillna("") == list(where.values())).all(axis=1)].iloc[0]
            assert (mine.value, mine.low, mine.high) == pytest.approx((cell.score, cell.low, cell.high), abs=1e-12)
            assert (mine.n, mine.unjudgeable) == (cell.n, cell.unjudgeable)


def test_differences_are_paired_and_corrected_over_all_models(tmp_path: Path) -> None:
    cases = cases_of()
    folders = [made_up_run(tmp_path / f"m{i}", f"m{i}", 0.2 + 0.3 * i, cases) for i in range(3)]
    standing = stand(gather(folders))
    assert standing.against == "m2"
    rows = {f.name: [r for r in read_run(f).rows if r.kind == "model"] for f in folders}
    probes = {k: d for k, d in standing.differences.items() if k[2]}
    assert len(probes) == 2 * len(PROBES)
    raw = {(m, d.suite, d.probe): d for m in ("m0", "m1") for d in differences(rows[m], rows["m2"])}
    assert all(standing.differences[k].mean == raw[k].mean for k in raw)
    expected = holm([raw[k].p_value for k in probes])
    assert [d.adjusted for d in probes.values()] == pytest.approx(list(expected))


def test_whom_others_are_compared_with_can_be_chosen(two: list[Path]) -> None:
    best, chosen = stand(gather(two)), stand(gather(two), against="bad")
    assert (best.against, chosen.against) == ("good", "bad")
    assert chosen.differences["good", "", ""].mean == pytest.approx(-best.differences["bad", "", ""].mean)
    with pytest.raises(ConfigError, match="unknown model 'goo': did you mean good"):
        stand(gather(two), against="goo")


def test_models_can_be_sorted_by_a_suite(tmp_path: Path) -> None:
    cases = cases_of()
    left = [c for c in cases if c.suite == "left_right"]
    folders = []
    for name, at_left, elsewhere in (("turner", 0.9, 0.1), ("faller", 0.1, 0.9)):
        folder = made_up_run(tmp_path / name, name, elsewhere, cases)
        other = made_up_run(tmp_path / "other", name, at_left, left)
        kept = [r for r in read_lines(folder) if not (r["suite"] == "left_right" and r["kind"] == "model")]
        write_lines(folder, [*kept, *(r for r in read_lines(other) if r["kind"] == "model")])
        folders.append(folder)
    assert stand(gather(folders), sort="left_right").models == ("turner", "faller")
    assert stand(gather(folders), sort="physics").models == ("faller", "turner")
    with pytest.raises(ConfigError, match="unknown suite 'phisics': did you mean physics"):
        stand(gather(folders), sort="phisics")


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Return the score rows of a run as they are stored."""
    return [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]


def write_lines(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Store score rows in a run."""
    (folder / "scores.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def test_two_models_of_one_name_stay_apart(tmp_path: Path) -> None:
    cases = cases_of()
    folders = [
        made_up_run(tmp_path / place / "run", "model", skill, cases) for place, skill in (("a", 0.2), ("b", 0.8))
    ]
    change(folders[1], lambda m: m["generators"][0].update(fingerprint="other weights"))
    assert [e.label for e in gather(folders).models] == ["model (a/run)", "model (b/run)"]


def test_seeds_of_one_model_are_pooled(tmp_path: Path) -> None:
    folders = [
        made_up_run(tmp_path / f"{name}-{seed}", name, 0.5, cases_of(seed), seed)
        for name in ("one", "two")
        for seed in (0, 1)
    ]
    table, html = board(folders, tmp_path / "out")
    overall = table[table.level == "overall"].set_index("model")
    assert list(overall.index) == ["one", "two", "oracle", "frozen", "shuffled"] or overall.index[0] == "two"
    assert set(overall.n) == {2 * len(cases_of())}
    own = [summarise(read_run(f).rows).get("one") for f in folders[:2]]
    assert overall.value["one"] == pytest.approx(sum(c.score for c in own if c) / 2)
    assert "2 models: the cases of seeds 0, 1 are pooled" in html
    # Scenes of two seeds are other scenes, whatever their numbers.
    d = stand(gather(folders)).differences
    assert next(iter(d.values())).clusters == len({(c.cluster, s) for s in (0, 1) for c in cases_of(s)})


def test_other_weights_under_another_seed_are_not_pooled(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / f"run-{seed}", "model", 0.5, cases_of(seed), seed) for seed in (0, 1)]
    change(folders[1], lambda m: m["generators"][0].update(fingerprint="other weights"))
    with pytest.raises(MixedProtocolsError) as caught:
        gather(folders)
    assert caught.value.lines == (
        "seed: model (run-0) has no run of seed 1, another model has",
        "seed: model (run-1) has no run of seed 0, another model has",
    )


def test_a_folder_of_videos_is_one_model_over_its_seeds(tmp_path: Path) -> None:
    """Its fingerprint is a hash of the videos, and other seeds have other videos."""
    folders = [made_up_run(tmp_path / f"run-{seed}", "mine", 0.5, cases_of(seed), seed) for seed in (0, 1)]
    told = {"_target_": "sora_eval.generator.folder.Folder", "path": "mine"}
    for i, folder in enumerate(folders):
        change(
            folder, lambda m, i=i: (m["config"].update(generator=told), m["generators"][0].update(fingerprint=str(i)))
        )  # type: ignore[misc]
    assert [tuple(e.runs) for e in gather(folders).models] == [("0", "1")]


def test_seeds_of_another_world_are_not_pooled_in_silence(tmp_path: Path) -> None:
    folders = [
        made_up_run(tmp_path / f"{name}-{seed}", name, 0.5, cases_of(seed), seed)
        for name in ("one", "two")
        for seed in (0, 1)
    ]
    change(folders[3], lambda m: m["versions"].update(world="99"))
    with pytest.raises(ConfigError, match=r"no part of these runs can be compared: world: .*99 in .*two-1"):
        gather(folders, shared=True)


def test_a_copied_run_counts_once_and_a_moved_one_works(two: list[Path], tmp_path: Path) -> None:
    copy = shutil.copytree(two[0], tmp_path / "copy")
    field = gather([*two, copy])
    assert [e.label for e in field.models] == ["bad", "good"]
    assert f"bad gave the same answers in {two[0]} and {copy}: shown once" in field.notes
    assert [e.label for e in gather([*two, two[0] / ".." / two[0].name]).models] == ["bad", "good"]
    moved = two[1].rename(tmp_path / "moved")
    assert [e.label for e in gather([two[0], moved]).models] == ["bad", "good"]


def test_references_that_disagree_are_told(two: list[Path]) -> None:
    rows = read_lines(two[1])
    for row in rows:
        if row["generator"] == "frozen":
            row["value"] = 0.5
    write_lines(two[1], rows)
    field = gather(two)
    assert (
        f"frozen scored otherwise in {two[1]} than in {two[0]} on {len(cases_of())} cases: {two[0]} counts"
        in field.notes
    )
    frozen = next(e for e in field.entrants if e.label == "frozen")
    assert {r.value for r in frozen.rows} == {0.05}


def test_runs_of_other_protocols_are_refused(two: list[Path], tmp_path: Path) -> None:
    change(two[1], lambda m: m["hashes"]["probes"].update(physics_0=2))
    change(two[1], lambda m: m["versions"].update(tracker="9"))
    with pytest.raises(MixedProtocolsError) as caught:
        gather(two)
    assert len(caught.value.lines) == 2
    assert "tracker" in caught.value.lines[0] and "physics_0" in caught.value.lines[1]
    fewer = made_up_run(tmp_path / "fewer", "fewer", 0.5, cases_of()[:-2])
    with pytest.raises(MixedProtocolsError, match="fewer lacks 2 of 12"):
        gather([two[0], fewer])


def test_what_is_shared_is_compared_and_said(two: list[Path], tmp_path: Path) -> None:
    fewer = made_up_run(tmp_path / "fewer", "fewer", 0.5, cases_of()[:-2])
    change(two[1], lambda m: m["hashes"]["probes"].update(physics_0=2))
    field = gather([*two, fewer], shared=True)
    assert field.cases < field.of == len(cases_of())
    assert {len(e.rows) for e in field.entrants} == {field.cases}
    assert not any(r.probe == "physics_0" for r in field.rows)
    _, html = board([*two, fewer], tmp_path / "out", common=True)
    assert f"compared on what is shared: {field.cases} of {field.of} cases" in html
    assert "nothing is shared of physics/physics_0" in html


def test_an_empty_intersection_is_refused(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / f"m{s}", f"m{s}", 0.5, cases_of(s)) for s in (0, 1)]
    with pytest.raises(ConfigError, match="share nothing that can be compared"):
        gather(folders, shared=True)


def test_an_unfinished_run_is_refused_with_the_remedy(two: list[Path]) -> None:
    (two[1] / "scores.jsonl").unlink()
    with pytest.raises(
        ConfigError, match=r"good: the run is not finished \(scores.jsonl is missing\); its command, run again"
    ):
        gather(two)


def test_nan_is_refused_with_its_line(two: list[Path]) -> None:
    rows = read_lines(two[1])
    rows[3]["value"], rows[3]["reason"] = float("nan"), ""
    write_lines(two[1], rows)
    with pytest.raises(ConfigError, match=r"scores.jsonl:4: value must be a finite number or null, got nan"):
        gather(two)


def test_no_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="no run is given"):
        gather([])


@pytest.mark.parametrize("count", [1, 12])
def test_one_run_alone_makes_a_table(tmp_path: Path, count: int) -> None:
    run = made_up_run(tmp_path / "run", "alone", 0.5, cases_of()[:count])
    table, html = board([run], tmp_path / "out")
    assert list(table[table.level == "overall"].model) == ["alone", "oracle", "frozen", "shuffled"]
    assert table.difference.isna().all()
    assert "Differences from" not in html


def test_one_case_is_too_little_for_any_difference(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / n, n, s, cases_of()[:1]) for n, s in (("bad", 0.0), ("good", 1.0))]
    table, _ = board(folders, tmp_path / "out")
    compared = table[table.difference.notna()]
    assert len(compared) == 3 and not compared.holds.astype(bool).any()
    assert (table[table.kind == "model"].dropna(subset="rank_best")[["rank_best", "rank_worst"]] == [1, 2]).all(
        axis=None
    )


def test_references_alone_make_a_table(two: list[Path], tmp_path: Path) -> None:
    write_lines(two[0], [r for r in read_lines(two[0]) if r["kind"] != "model"])
    table, html = board([two[0]], tmp_path / "out")
    assert list(table[table.level == "overall"].model) == ["oracle", "frozen", "shuffled"]
    assert "references only" in html


def measures(value: float, protocol: str) -> dict[str, dict[str, list[Measure]]]:
    """Return measures of the models of two runs and the oracle."""
    made = Measure("Frechet distance", value, None, None, (12, 12), protocol, False)
    return {"": {name: [made] for name in ("bad", "good", "oracle")}}


def test_fidelity_is_never_in_one_column_over_two_encoders(two: list[Path]) -> None:
    for folder, protocol in zip(two, ("world-video@0123456789ab", "world-video@ba9876543210"), strict=True):
        write_measures(folder, measures(1.0, protocol))
    with pytest.raises(MixedProtocolsError, match="encoder world-video"):
        gather(two)
    found = figures(measured(gather(two, shared=True).entrants), ("good", "bad"))
    assert found is not None
    assert [(c.metric, c.number) for c in found.columns] == [("Frechet distance", 1), ("Frechet distance", 2)]
    assert {(label, c.number) for label, _, c in found.cells if label != "oracle"} == {("bad", 1), ("good", 2)}


def test_fidelity_stands_in_csv_with_its_protocol(two: list[Path], tmp_path: Path) -> None:
    for folder, value in zip(two, (3.0, 1.5), strict=True):
        write_measures(folder, measures(value, "world-video@0123456789ab frames=16"))
    table, html = board(two, tmp_path / "out")
    fidelity = table[table.level == "fidelity"].set_index("model")
    assert (fidelity.value["bad"], fidelity.value["good"]) == (3.0, 1.5)
    assert set(fidelity.protocol) == {"world-video@0123456789ab frames=16"}
    assert "Frechet distance, lower is better" in html


def test_contested_cases_come_first_and_every_probe_in_turn(two: list[Path]) -> None:
    rows = {e.label: e.rows for e in gather(two).models}
    found = contested(rows)
    assert {r.probe for some in found[: len(PROBES)] for r in some} == set(PROBES)
    apart = [(some[0].probe, abs(some[0].counted - some[1].counted)) for some in found]
    for probe in PROBES:
        mine = [value for name, value in apart if name == probe]
        assert mine == sorted(mine, reverse=True)
    assert all(len({r.case for r in some}) == 1 and [r.generator for r in some] == ["bad", "good"] for some in found)


def test_players_stand_beside_each_other_until_the_page_is_full(
    tmp_path: Path, checkpoint_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [checkpoint_run(tmp_path / name, name, None, i) for i, name in enumerate(("first", EVIL_NAME))]
    for folder in folders:
        change(folder, lambda m: m["hashes"].update(probes=dict.fromkeys(("behind_wall", "count", "two_drops"), 1)))
    table, html = board(folders, tmp_path / "out", players=3)
    assert html.count('class="player wide-player"') == 3
    assert "3 of 12 cases: those where the models differ most" in html
    assert html.count("<figcaption>truth") == 3
    assert html.count("<figcaption>first: ") == 3
    assert set(table.model) == {"first", EVIL_NAME, "oracle", "frozen"}
    field = gather(folders)
    rows = {e.label: e.rows for e in field.models}
    monkeypatch.setattr("sora_eval.reporting.components.players.MAX_BYTES", 1)
    assert len(make_comparisons(rows, {})) == 1
    # A name that is markup stays text.
    assert "<b onclick" not in html and "&lt;b onclick" in html


def test_same_runs_give_the_same_bytes(two: list[Path], tmp_path: Path) -> None:
    for out in ("one", "two"):
        board(two, tmp_path / out)
    for name in ("leaderboard.csv", "leaderboard.md", "leaderboard.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_every_score_is_on_the_page_and_in_markdown(two: list[Path], tmp_path: Path) -> None:
    table, html = board(two, tmp_path / "out")
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    for row in table[table.level.isin(["overall", "suite", "probe"])].itertuples():
        assert f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" in text
        assert f'{row.value:.2f}</span><span class="range num">[{row.low:.2f}, {row.high:.2f}]' in html
    for row in table[table.difference.notna()].itertuples():
        assert f"{signed(float(row.difference))}</span>" in html


def test_a_rounded_difference_has_no_sign() -> None:
    assert [signed(v) for v in (-0.001, 0.0, 0.126, -0.126)] == ["0.00", "0.00", "+0.13", "−0.13"]


def test_an_interval_without_end_does_not_break_the_plots(two: list[Path], tmp_path: Path) -> None:
    rows = [{**r, "value": None if r["value"] is None else r["value"] - 1.5} for r in read_lines(two[0])]
    write_lines(two[0], rows)
    _, html = board([two[0]], tmp_path / "out")
    assert "[−∞, ∞]" in html and 'x1="0.0%" x2="100.0%"' in html


def test_case_ids_of_seeds_do_not_clash() -> None:
    first, second = cases_of(0)[0], cases_of(1)[0]
    assert first.id == second.id and replace(first, seed=1).hash != first.hash != second.hash
