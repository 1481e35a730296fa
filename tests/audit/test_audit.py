"""Audits: made-up scorers whose weakness is known must be found out, and a scorer that knows the truth must come out clean."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sora_eval.audit import BUNDLED_SCORERS
from sora_eval.audit.clips import EXPLOITS
from sora_eval.audit.scorers import BUNDLED, ScoredClip, load_scorer
from sora_eval.audit.statistics import best_of, preferences, threshold
from sora_eval.audit.trials import AuditTrial
from sora_eval.commands import cli
from sora_eval.errors import ConfigError
from sora_eval.types import Video

SCORERS = """
import numpy as np

def stillness(frames):
    return -float(np.abs(np.diff(frames.astype(float), axis=0)).mean())

def likeness(frames, reference):
    return -float(np.abs(frames.astype(float) - reference).mean())

def broken(frames, prompt):
    raise RuntimeError("no GPU here")

def of_file(video, prompt, fps):
    from sora_eval.video import read_video
    return float(len(read_video(video)))

def blind(prompt):
    return 1.0
"""


@pytest.fixture
def scorers(tmp_path: Path) -> Path:
    path = tmp_path / "scorers.py"
    path.write_text(SCORERS, encoding="utf-8")
    return path


@pytest.fixture
def clip() -> ScoredClip:
    frames = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    return ScoredClip(Video(frames, 8.0), "A red ball rolls to the left.", Video(frames, 8.0))


def _trial(kind: str, condition: str, value: float, unit: str, severity: float = 1.0) -> AuditTrial:
    return AuditTrial("s", "p", kind, condition, 0.0 if kind == "oracle" else severity, unit, value, value)


def test_preference_is_the_share_of_scenes_in_which_the_wrong_clip_scores_better() -> None:
    trials = []
    for i in range(20):
        truth = i / 10  # scenes differ more than clips: only the pair tells
        trials += [_trial("oracle", "oracle", truth, f"u{i}"), _trial("control", "frozen", truth + 0.01, f"u{i}")]
        trials += [_trial("control", "noise", truth - 0.01, f"u{i}"), _trial("exploit", "blur", truth, f"u{i}")]
    by_name = {r.condition: r for r in preferences(trials)}
    assert by_name["frozen"].rate == 1 and by_name["frozen"].verdict == "prefers it"
    assert by_name["blur"].p_value == 1
    assert by_name["noise"].rate == 0 and by_name["noise"].verdict == "detects it"
    assert by_name["blur"].rate == 0.5 and by_name["blur"].ties == 1 and by_name["blur"].verdict == "undecided"


@pytest.mark.parametrize(
    ("scenes", "verdict"), [(4, "undecided"), (5, "undecided"), (6, "detects it"), (20, "detects it")]
)
def test_a_verdict_needs_more_scenes_than_a_coin_would_fool(scenes: int, verdict: str) -> None:
    """Of m scenes with one outcome the two-sided p is 2^(1 - m): .125 of 4 and .031 of 6. Two clips of a scene are no more scenes."""
    trials = []
    for i in range(scenes):
        trials.append(_trial("oracle", "oracle", 1.0, f"u{i}"))
        trials += [_trial("violation", "gravity", 0.5, f"u{i}")] * 2
    (row,) = preferences(trials)
    assert (row.rate, row.verdict) == (0.0, verdict)
    assert row.high < 0.5
    assert row.p_value == pytest.approx(max(2.0 ** (1 - scenes), 1e-4), abs=1e-4)


def test_best_of_n_counts_draws_without_repeats() -> None:
    trials = []
    for i in range(10):
        trials += [_trial("oracle", "oracle", 1.0, f"u{i}"), _trial("control", "frozen", 2.0, f"u{i}")]
        trials += [_trial("control", "noise", 0.0, f"u{i}"), _trial("violation", "gravity", 0.5, f"u{i}")]
        trials += [_trial("control", "mirrored", 9.0, f"u{i}")]  # may be a right answer: left out
    rates = {r.draws: r.rate for r in best_of(trials)}
    assert rates[1] == pytest.approx(1 / 3) and rates[2] == pytest.approx(2 / 3) and rates[8] == 1
    assert {r.winner for r in best_of(trials)} == {"frozen"}


def test_the_threshold_is_the_lowest_severity_detected_with_all_stronger_ones() -> None:
    trials = []
    for i in range(12):
        trials.append(_trial("oracle", "oracle", 1.0, f"u{i}"))
        for severity, value in ((0.25, 0.9), (0.5, 1.1), (0.75, 0.8), (1.0, 0.5)):
            trials.append(_trial("violation", "gravity", value, f"u{i}", severity))
    assert threshold(preferences(trials), "gravity") == 0.75


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_bundled_scorers_give_numbers(name: str, clip: ScoredClip) -> None:
    value, reason = load_scorer(name).value(clip)
    assert value is not None, reason
    assert np.isfinite(value)


def test_names_of_bundled_scorers_agree() -> None:
    assert set(BUNDLED_SCORERS) == set(BUNDLED)


def test_bundled_scorers_on_a_frozen_clip(clip: ScoredClip) -> None:
    frozen = ScoredClip(Video(np.repeat(clip.video.frames[:1], 6, axis=0), 8.0), clip.prompt, clip.true)
    assert load_scorer("ssim_first_frame").value(frozen)[0] == pytest.approx(1.0, abs=1e-6)
    assert load_scorer("subject_consistency").value(frozen)[0] == pytest.approx(1.0, abs=1e-6)
    assert load_scorer("dynamic_degree").value(frozen)[0] == pytest.approx(0.0, abs=1e-6)
    assert load_scorer("physics_iq").value(clip)[0] == pytest.approx(1.0)


def test_functions_get_the_keywords_that_they_name(scorers: Path, clip: ScoredClip) -> None:
    assert load_scorer(f"{scorers}:likeness").value(clip) == (0.0, "")
    assert load_scorer(f"{scorers}:of_file").value(clip) == (6.0, "")
    value, reason = load_scorer(f"{scorers}:broken").value(clip)
    assert value is None and "no GPU here" in reason


def test_scorers_that_are_given_the_truth_are_marked(scorers: Path) -> None:
    assert load_scorer("physics_iq").full_reference and load_scorer(f"{scorers}:likeness").full_reference
    assert not load_scorer("clipsim").full_reference and not load_scorer(f"{scorers}:stillness").full_reference


def test_the_true_clip_is_given_at_the_size_and_moments_of_the_clip(clip: ScoredClip) -> None:
    half = ScoredClip(Video(np.zeros((3, 16, 16, 3), np.uint8), 4.0), clip.prompt, clip.true)
    assert half.reference.shape == (3, 16, 16, 3)


def test_a_command_prints_its_score_last(tmp_path: Path, clip: ScoredClip) -> None:
    script = tmp_path / "judge.py"
    script.write_text("import sys; print('loading'); print(len(sys.argv[2].split()))", encoding="utf-8")
    assert load_scorer(f"command:{sys.executable} {script} {{video}} {{prompt}}").value(clip) == (7.0, "")
    script.write_text("print('great video!')", encoding="utf-8")
    assert "no number: 'great video!'" in load_scorer(f"command:{sys.executable} {script}").value(clip)[1]
    script.write_text("import sys; sys.exit('out of memory')", encoding="utf-8")
    assert "exit code 1: out of memory" in load_scorer(f"command:{sys.executable} {script}").value(clip)[1]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("clipsin", "clipsim"),
        ("nowhere.py:f", "nowhere.py"),
        ("{file}:absent", "absent"),
        ("{file}:blind", "can't see the clip"),
    ],
)
def test_a_scorer_that_cannot_be_loaded_is_named(scorers: Path, target: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load_scorer(target.format(file=scorers))


@pytest.mark.slow
def test_an_audit_finds_a_scorer_that_pays_for_standing_still(
    scorers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [
        "suite.probes=[motion]",
        "suite.count=6",
        f"out={tmp_path / 'out'}",
        f"cache={tmp_path / 'cache'}",
        "workers=1",
    ]
    both = f"scorers=['{scorers}:stillness','{scorers}:likeness']"
    assert cli.main(["audit", both, *args]) == 1
    out = capsys.readouterr().out
    assert "stillness prefers frozen to the truth in 100% of scenes" in out
    assert "likeness prefers" not in out
    audit = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    rows = {(r["scorer"], r["condition"], r["severity"]): r for r in audit["preferences"]}
    assert all(rows["likeness", name, 1.0]["rate"] == 0 for name in EXPLOITS)
    assert all(rows["stillness", name, 1.0]["rate"] == 1 for name in ("frozen", "slow motion"))
    page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    assert 'data-clip="motion-frozen"' in page
    assert page.count("compared with the truth itself") == 2
    # The other direction turns its verdicts; the other scorer's scenes come from the cache.
    assert cli.main(["audit", both, f"lower=['{scorers}:stillness']", *args]) == 1
    out = capsys.readouterr().out
    assert "prefers frozen" not in out
    assert "stillness prefers noise" in out


def test_a_scorer_that_never_answers_is_an_error(
    scorers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [
        "suite.probes=[motion]",
        "suite.count=1",
        f"out={tmp_path / 'out'}",
        f"cache={tmp_path / 'cache'}",
        "workers=1",
    ]
    assert cli.main(["audit", f"scorers=['{scorers}:broken']", *args]) == 2
    assert "gave no score for any clip: RuntimeError: no GPU here" in capsys.readouterr().err
