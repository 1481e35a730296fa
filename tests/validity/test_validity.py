"""The validity card: what counts as noticed, as a false alarm and as missing; no probe or metric is left out of the committed one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.commands import cli
from sora_eval.data.heldout import Member
from sora_eval.fidelity.extractors import Choice, Clip, Collected
from sora_eval.fidelity.measures import measures
from sora_eval.generator.simulator import CONTROLS, OTHER, true_video
from sora_eval.metrics.frechet import frechet_distance
from sora_eval.metrics.physics_iq import HIGHER_IS_BETTER
from sora_eval.reporting.validity.write import markdown
from sora_eval.tracking.world import track
from sora_eval.types import Video
from sora_eval.validity import corruptions, fidelity, tracking
from sora_eval.validity import trials as trials_module
from sora_eval.validity.card import absent_from, make_card, subject_of
from sora_eval.validity.corruptions import EVERY, Read, Treatment, made, real_set, treatments, true_set
from sora_eval.validity.detection import ALPHA, Subject, alarms, doses, floors, noticed, rejection_rate, told
from sora_eval.validity.fidelity import METRICS, SETS
from sora_eval.validity.nuisances import ALL_LOOKS, LOOKS, asked, seen
from sora_eval.validity.trials import SEVERITIES, Plan, Trial, case_of, code_hash, kept, trials_of_scene
from sora_eval.video import read_video

ROOT = Path(__file__).parents[2]
SMALL = registry.profile("small")
PROBE = Subject("probe", "suite", "probe")
METRIC = Subject("metric", "fidelity", "metric", higher=False, bounds=(0.0, np.inf), unit="clip")


def some(
    kind: str, what: str, values: list[float], severity: float = 1.0, subject: str = "probe", **more: str
) -> list[Trial]:
    """Return a trial per scene."""
    mode = "t2v" if subject == "probe" else ""
    return [Trial(subject, mode, kind, what, severity, f"scene{i}", v, **more) for i, v in enumerate(values)]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(SMALL, ("i2v",), 1, 0, tmp_path, "abc")


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ([(0.1, 0.01)] * 4, 0.25),
        ([(0.1, 0.01), (0.1, 0.2), (0.1, 0.01), (0.1, 0.01)], 0.75),
        ([(0.1, 0.01), (0.1, 0.01), (0.1, 0.01), (0.1, 0.06)], None),
        ([(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.9, 0.008)], 1.0),
        ([(0.1, 0.01), (-0.1, 0.01), (0.1, 0.01), (0.1, 0.01)], 0.75),
    ],
)
def test_noticed_from_a_severity_and_at_every_stronger_one(
    tests: list[tuple[float, float]], expected: float | None
) -> None:
    assert noticed(tests) == expected


def test_a_fault_that_every_scene_shows_is_told_with_wilsons_interval() -> None:
    rows = told(PROBE, [*some("oracle", "oracle", [1.0] * 8, 0.0), *some("control", "frozen", [0.0] * 8)])
    frozen = next(r for r in rows if r.what == "frozen")
    assert (frozen.auc, frozen.n, frozen.good) == (1.0, 8, True)
    assert frozen.auc_low == pytest.approx(8 / (8 + 1.959964**2))
    assert frozen.auc_high == 1.0


def test_twins_of_one_scene_are_no_further_evidence() -> None:
    once = [*some("oracle", "oracle", [1.0] * 8, 0.0), *some("control", "frozen", [0.0] * 8)]
    a, b = (next(r for r in told(PROBE, rows) if r.what == "frozen") for rows in (once, once * 2))
    assert (a.n, b.n) == (8, 16)
    assert (a.auc_low, a.auc_high) == (b.auc_low, b.auc_high)


def test_what_falls_short_is_missed_unless_by_design() -> None:
    trials = [*some("oracle", "oracle", [1.0] * 8, 0.0), *some("control", "mirrored", [1.0] * 8)]
    (_, missed) = told(PROBE, trials)
    assert (missed.auc, missed.good, missed.by_design) == (0.5, False, "")
    (_, excused) = told(replace(PROBE, by_design={("t2v", "mirrored"): "no side was asked for"}), trials)
    assert excused.by_design == "no side was asked for"
    (_, other_mode) = told(replace(PROBE, by_design={("i2v", "mirrored"): "no side was asked for"}), trials)
    assert other_mode.by_design == ""


def test_less_is_better_for_a_distance() -> None:
    trials = [*some("oracle", "oracle", [0.1] * 6, 0.0, "metric"), *some("damage", "blur", [0.5] * 6, 1.0, "metric")]
    blur = next(r for r in told(METRIC, trials) if r.what == "blur")
    assert (blur.auc, blur.worst) == (1.0, 0.5)


def test_a_refused_clip_makes_a_row_without_a_value() -> None:
    refusal = [Trial("metric", "", "damage", "short", 1.0, "all", None, "it reads 17 frames")]
    row = next(
        r for r in told(METRIC, [*some("oracle", "oracle", [0.1] * 6, 0.0, "metric"), *refusal]) if r.what == "short"
    )
    assert (row.mean, row.auc, row.n, row.good) == (None, None, 0, False)
    assert row.reasons == ("it reads 17 frames",)


def test_dose_of_a_fault_that_grows() -> None:
    steps = {0.25: [0.99, 1.0] * 4, 0.5: [0.5] * 8, 0.75: [0.2] * 8, 1.0: [0.0] * 8}
    trials = some("oracle", "oracle", [1.0] * 8, 0.0)
    for severity, values in steps.items():
        trials += some("violation", "drift", values, severity)
    (dose,) = doses(PROBE, trials)
    assert dose.rho == pytest.approx(1.0)
    assert dose.means == pytest.approx((1.0, 0.995, 0.5, 0.2, 0.0))
    # Half of eight scenes are a little lower at .25: a sign-flip test of 2 x 1/16.
    assert dose.p_values[0] == pytest.approx(0.125)
    assert dose.noticed == 0.5
    assert dose.aucs == (0.75, 1.0, 1.0, 1.0)


def test_dose_of_a_fault_that_nobody_sees() -> None:
    trials = some("oracle", "oracle", [1.0] * 8, 0.0)
    for severity in SEVERITIES[1:]:
        trials += some("violation", "drift", [1.0] * 8, severity)
    (dose,) = doses(PROBE, trials)
    assert (dose.rho, dose.noticed, dose.bad, dose.verdict) == (None, None, True, "never")
    few = [t for t in trials if t.unit in ("scene0", "scene1", "scene2")]
    (dose,) = doses(PROBE, few)
    assert (dose.noticed, dose.bad, dose.verdict) == (None, False, "too few to test")


def test_floor_of_equal_sets_is_zero_with_a_width() -> None:
    (floor,) = floors(PROBE, [*some("oracle", "oracle", [1.0] * 8, 0.0), *some("held", "held", [1.0] * 8, 0.0)])
    assert (floor.difference, floor.spread, floor.n) == (0.0, 0.0, (8, 8))
    assert floor.low is not None and floor.high is not None
    assert floor.low < 0 < floor.high


def test_the_floors_interval_covers_no_difference() -> None:
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(40):
        first, second = rng.beta(5, 2, size=(2, 30))
        held = [replace(t, unit=f"other{i}") for i, t in enumerate(some("held", "held", list(second), 0.0))]
        (floor,) = floors(PROBE, [*some("oracle", "oracle", list(first), 0.0), *held])
        covered.append(floor.low is not None and floor.high is not None and floor.low <= 0 <= floor.high)
    assert np.mean(covered) >= 0.85


def test_true_clips_below_the_bar_are_false_alarms() -> None:
    trials = [*some("oracle", "oracle", [1.0] * 7 + [0.9], 0.0), *some("look", "light dim", [1.0] * 5 + [0.94], 0.0)]
    plain, dim = alarms(PROBE, trials)
    assert (plain.look, plain.clips, plain.failing, plain.p_value) == ("", 8, 1, None)
    assert (dim.look, dim.clips, dim.failing, dim.rejected) == ("light dim", 6, 1, False)


def test_harmless_looks_are_called_different_at_the_level_at_most() -> None:
    rng = np.random.default_rng(7)
    rows = []
    for _ in range(300):
        true = rng.normal(0.9, 0.05, 8)
        rows += alarms(
            replace(METRIC, higher=True),
            [
                *some("oracle", "oracle", list(true + rng.normal(0, 0.02, 8)), 0.0, "metric"),
                *some("look", "light dim", list(true + rng.normal(0, 0.02, 8)), 0.0, "metric"),
            ],
        )
    rejected, tests, rate = rejection_rate(rows)
    assert tests == 300
    assert rate.low <= ALPHA
    assert rejected / tests <= 0.08


def test_scenes_are_independent_and_take_both_sides() -> None:
    cases = [case_of(registry.probe("relation"), SMALL, "t2v", 0, i) for i in range(6)]
    assert len({c.cluster for c in cases}) == 6
    assert [int(c.id[-1]) % 2 for c in cases] == [0, 1, 0, 1, 0, 1]


def test_one_scene_of_a_real_probe(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other looks are rendered large, which takes seconds.
    monkeypatch.setattr(trials_module, "LOOK_SCENES", 0)
    probe, plan = registry.probe("relation"), replace(plan, modes=("t2v",))
    found = trials_of_scene(probe, plan, 0)
    by_name = {(t.kind, t.what, t.severity): t for t in found}
    assert len(by_name) == len(found) == 1 + len(CONTROLS) + 1 + 4
    assert by_name["oracle", "oracle", 0.0].value == 1.0
    # Corrected for chance, the wrong side is -1 and no side is 0.
    assert by_name["violation", "swapped_sides", 1.0].value == -1.0
    assert by_name["control", "blank", 1.0].value == 0.0
    assert by_name["control", "blank", 1.0].reason
    assert {what for kind, what, _ in by_name if kind == "control"} == {*CONTROLS, OTHER}
    assert plan.clip(probe, "oracle", 0.0).is_file()
    assert all(plan.clip(probe, "swapped_sides", s).is_file() for s in SEVERITIES[1:])


def test_finished_scenes_are_kept_and_damaged_ones_made_again(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    made_of: list[int] = []

    def fake(probe: object, plan: Plan, scene: int) -> list[Trial]:
        made_of.append(scene)
        return some("oracle", "oracle", [float(scene)], 0.0)

    monkeypatch.setattr(trials_module, "trials_of_scene", fake)
    probe = registry.probe("relation")
    first = kept(probe, plan, 0)
    assert kept(probe, plan, 0) == first
    assert made_of == [0]
    (path,) = plan.folder.glob("*.json")
    path.write_text(path.read_text()[:20])
    assert kept(probe, plan, 0) == first
    assert made_of == [0, 0]
    # Other code or another profile is another question.
    for other in (replace(plan, code="def"), replace(plan, profile=replace(SMALL, fps=16)), replace(plan, seed=1)):
        kept(probe, other, 0)
    assert made_of == [0] * 5


def test_the_codes_hash_is_one_and_the_same() -> None:
    assert code_hash() == code_hash()
    assert len(code_hash()) == 16


def test_looks_change_what_they_name() -> None:
    case = case_of(registry.probe("relation"), SMALL, "t2v", 0, 0)
    assert asked(case, "256 px", 0).size == (256, 256)
    assert asked(case, "light dim", 0).scene["params"]["style"]["light"] == "dim"
    assert asked(case, "H.264 crf 28", 0) == case
    assert asked(case, ALL_LOOKS, 1).scene["params"]["style"]["light"] == "warm"
    video = Video(np.arange(17 * 16 * 16 * 3, dtype=np.int64).reshape(17, 16, 16, 3).astype(np.uint8), 8.0)
    half = seen(video, "half the frame rate")
    assert (len(half), half.fps) == (9, 4.0)
    assert "256 px" in LOOKS and seen(video, "light dim") is video


def test_treatments_are_all_controls_damages_and_looks() -> None:
    found = treatments()
    assert len(set(found)) == len(found)
    assert {t.what for t in found if t.kind == "control"} == {*CONTROLS, OTHER}
    by_what = {}
    for t in found:
        if t.kind in ("damage", "violation"):
            by_what.setdefault(t.what, []).append(t.severity)
    assert len(by_what) == 9
    assert all(tuple(s) == SEVERITIES[1:] for s in by_what.values())
    for families in {t.families for t in found}:
        assert real_set(families) in found
        assert true_set(families) in found


@pytest.mark.parametrize("what", sorted(CONTROLS))
def test_controls_of_metrics_are_those_of_probes(what: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
    true = Member("motion", {}, "", frames, 3)
    spoilt = made(true, Treatment("control", what, 1.0, EVERY)).frames
    assert spoilt.shape == frames.shape
    assert not np.array_equal(spoilt, frames)
    assert np.array_equal(made(true, Treatment("oracle", "oracle", 0.0, EVERY)).frames, frames)


def features(shift: float, seed: int, count: int = 24) -> Read:
    """Return what a set of clips might read, some way from the others."""
    rng = np.random.default_rng(seed)
    values = {m.key: {i: float(rng.normal(shift)) for i in range(count)} for m in METRICS if m.key}
    return Read(rng.normal(shift, 1, (count, 5)), rng.normal(0, 1, (count, 4)), values, {}, {})


@pytest.fixture(scope="module")
def reads() -> dict[Treatment, Read]:
    found = {}
    for t in treatments():
        moved = 2.0 * t.severity if t.kind == "damage" else 0.0
        found[t] = features(moved, seed=1 if t.kind == "held" else 2)
    short = Treatment("look", "half the frame rate", 0.0, EVERY)
    found[short] = replace(found[short], missing={"video": "it reads 17 frames"})
    return found


def test_a_distance_is_tried_by_sets_and_a_refusal_is_told(reads: dict[Treatment, Read]) -> None:
    trials = [t for t in fidelity.trials(reads) if t.subject == "world-FVD"]
    subject = next(s for s in fidelity.subjects({}, 24) if s.name == "world-FVD")
    assert subject.unit == "set of 3 clips"
    rows = {(r.kind, r.what, r.severity): r for r in told(subject, trials)}
    blur = rows["damage", "blur", 1.0]
    assert (blur.n, blur.auc) == (SETS, 1.0)
    assert rows["look", "half the frame rate", 0.0].reasons == ("it reads 17 frames",)
    dose = next(d for d in doses(subject, trials) if d.what == "blur")
    assert dose.rho == pytest.approx(1.0)
    assert dose.noticed is not None and dose.noticed <= 0.5


def test_the_mean_of_pseudo_values_is_a_distance_without_bias() -> None:
    rng = np.random.default_rng(5)
    biased, free = [], []
    for _ in range(60):
        x, y = rng.normal(0, 1, (2, 48, 5))
        biased.append(frechet_distance(x, y))
        free.append(fidelity._pseudo(frechet_distance, x, y).mean())
    # Of one distribution, the distance is 0; half of the plug-in's bias is that of x.
    assert np.mean(biased) > 0.2
    assert abs(np.mean(free)) < 0.6 * np.mean(biased)


def test_distances_at_full_size_stand_beside_their_floor(reads: dict[Treatment, Read]) -> None:
    found = {(d.metric, d.what, d.severity): d for d in fidelity.distances(reads)}
    blur, gravity = found["world-FVD", "blur", 1.0], found["world-FVD", "gravity", 1.0]
    true, real = reads[true_set(EVERY)], reads[real_set(EVERY)]
    assert blur.floor == pytest.approx(frechet_distance(true.features, real.features))
    assert blur.low > 0
    assert gravity.value == gravity.floor
    assert (gravity.low, gravity.high) == (0.0, 0.0)
    assert ("world-FVD", "half the frame rate", 0.0) not in found


def test_laws_are_told_from_a_truth_of_their_own_families(reads: dict[Treatment, Read]) -> None:
    trials = [t for t in fidelity.trials(reads) if t.subject == "SSIM" and t.what == "gravity"]
    assert {t.severity for t in trials} == set(SEVERITIES)
    units = {s: {t.unit for t in trials if t.severity == s} for s in SEVERITIES}
    assert all(u == units[0.0] for u in units.values())


def every_metric() -> Iterator[str]:
    """Yield the names of all that fidelity measures with the bundled encoders, from the code that measures a run."""
    found = Collected(clips=5, protocols=dict.fromkeys(Choice().kinds, ""))
    for key in ("state change", "directional similarity", *HIGHER_IS_BETTER):
        found.note(key, 0, 0.5)
    for row in measures(found, found, Choice()):
        if row.metric.count(",") == 0:
            yield row.metric


def test_the_card_knows_every_metric() -> None:
    assert {m.name for m in METRICS} == set(every_metric())
    assert {"FVD", "KVD", "JEDi", "lpips-alex", "CLIPSIM, clip-b-32"} <= set(fidelity.names())


def test_absent_encoders_are_rows_with_a_reason() -> None:
    for subject in fidelity.absent():
        assert subject.missing, subject.name


def test_a_probe_without_a_row_is_absent_from_a_card() -> None:
    probe = registry.probe("relation")
    plan = Plan(SMALL, ("t2v",), 8, 0, Path("nowhere"), "abc")
    trials = [replace(t, subject="relation") for t in some("oracle", "oracle", [1.0] * 8, 0.0)]
    card = make_card("sora-eval validate", "8 scenes", [probe], plan, 0, trials, {}, []).to_json()
    assert absent_from(card, ["relation", "motion", "FVD"]) == ["motion", "FVD"]
    card["subjects"].append({"name": "FVD", "missing": "its weights are not here"})
    assert absent_from(card, ["relation", "FVD"]) == []


def test_the_committed_card_has_a_row_of_every_probe_and_metric() -> None:
    card = json.loads((ROOT / "reports" / "validity.json").read_text(encoding="utf-8"))
    assert isinstance(card, dict), "reports/validity.json is of an older version: make validate"
    absent = absent_from(card, [*registry.probe_names(), *fidelity.names(), *tracking.tried()])
    assert not absent, f"no row of {', '.join(absent)}: make validate"


def test_the_committed_card_is_of_the_probes_as_they_are() -> None:
    card = json.loads((ROOT / "reports" / "validity.json").read_text(encoding="utf-8"))
    assert isinstance(card, dict), "reports/validity.json is of an older version: make validate"
    versions = {s["name"]: s["version"] for s in card["subjects"] if s["kind"] == "probe"}
    assert versions == {name: registry.probe(name).version for name in registry.probe_names()}


def test_a_partial_card_does_not_replace_a_fuller_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = {"subjects": [{"name": "relation"}, {"name": "motion"}], "scenes": 8, "clips": 0}
    (tmp_path / "validity.json").write_text(json.dumps(full))
    args = [f"out={tmp_path}", f"cache={tmp_path / 'cache'}", "fidelity.count=0"]
    assert cli.main(["validate", "suite.probes=[relation]", *args]) == 2
    assert "would lose 1 of its probes and metrics, such as motion" in capsys.readouterr().err
    assert cli.main(["validate", "suite.probes=[relation,motion]", "suite.count=2", *args]) == 2
    assert "6 of its 8 scenes" in capsys.readouterr().err
    assert json.loads((tmp_path / "validity.json").read_text()) == full


def test_blindness_counts_in_its_modes_only() -> None:
    dolly = registry.probe("dolly")
    assert ("t2v", "mirrored") in subject_of(dolly, ("t2v", "i2v")).by_design
    assert not subject_of(dolly, ("i2v",)).by_design


def test_read_writes_clips_as_a_model_does(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
    members = [Member("motion", {}, f"ball {i}", frames, i) for i in range(2)]
    monkeypatch.setattr(corruptions.dose, "true_clips", lambda families, count, first: members[:count])
    seen_clips = []

    def fake(clips: list[Clip], choice: Choice) -> Collected:
        for c in clips:
            assert c.true is not None
            seen_clips.append((c.position, c.prompt, read_video(c.path).frames, read_video(c.true).frames))
        return Collected(missing={"video": "not today", "motion": "not today"})

    monkeypatch.setattr(corruptions, "collect", fake)
    found = corruptions.read(Treatment("control", "mirrored", 1.0, EVERY), 2)
    assert [(i, prompt) for i, prompt, _, _ in seen_clips] == [(0, "ball 0"), (1, "ball 1")]
    assert all(
        np.array_equal(true, frames) and np.array_equal(clip, frames[:, :, ::-1]) for _, _, clip, true in seen_clips
    )
    assert found.missing["video"] == "not today"
    assert found.features.size == 0


def test_tracking_metrics_are_tried_on_the_clips_of_a_probes_trials() -> None:
    case = case_of(registry.probe(tracking.PROBE), SMALL, "t2v", 0, 0)
    true = true_video(case)
    found = {s: tracking.values(case, v, track(v)) for s in (0.0, 1.0) for v in [tracking.exchanged(case, s)]}
    assert np.array_equal(tracking.exchanged(case, 0.0).frames, true.frames)
    assert tuple(found[0.0]) == tracking.tried()
    assert (found[0.0]["ID switches"], found[1.0]["ID switches"]) == (0, 2)
    probe = registry.probe(tracking.PROBE)
    assert [tracking.measured(probe, s, 12) for s in (7, 8, 12, 19, 20)] == [True, False, True, True, False]
    assert not tracking.measured(registry.probe("motion"), 0, 12)


def test_what_a_tracking_metric_does_not_claim_is_something_that_is_tried() -> None:
    probe = registry.probe(tracking.PROBE)
    done = {*CONTROLS, OTHER, *probe.violations, tracking.EXCHANGE}
    for name in tracking.tried():
        assert set(tracking.unclaimed(name)) < done, name


def test_a_card_has_a_part_on_tracking(plan: Plan) -> None:
    def trials(kind: str, what: str, value: float | None, severity: float) -> list[Trial]:
        return [Trial("HOTA", "", kind, what, severity, f"{kind == 'held'}{i}", value, "why") for i in range(8)]

    rows = [*trials("oracle", "oracle", 0.9, 0.0), *trials("held", "other scenes", 0.9, 0.0)]
    rows += trials("control", "frozen", 0.3, 1.0)
    rows += [t for s in SEVERITIES[1:] for t in trials("violation", "vanishes", 0.9 - s / 2, s)]
    card = make_card("made", "about", [], plan, 0, rows, {}, [])
    (subject,) = card.subjects
    assert (subject.suite, subject.higher, subject.unit) == ("tracking", True, "clip")
    assert [d.noticed for d in card.doses] == [0.25]
    assert not card.missed
    text = markdown(card)
    assert "## Tracking metrics" in text
    assert "| HOTA | vanishes | 0.9, 0.775, 0.65, 0.525, 0.4 | 1.00 | 1, 1, 1, 1 | 0.25 |" in text
