import numpy as np
import pytest
from jumps import JUMPS, jump

from sora_eval import registry
from sora_eval.generator.simulator import Control, Oracle, Violation
from sora_eval.probes.base import UnjudgeableError
from sora_eval.probes.changes import arrival, read_change
from sora_eval.probes.state_changes import Bite, Brush, Candle, Shatter
from sora_eval.tracking.world import track
from sora_eval.types import Tracks, Video

PROBES = (Bite(), Candle(), Shatter(), Brush())
UNDONE = {"bite": "bite_heals", "candle": "candle_relights", "shatter": "shards_rejoin", "brush": "stroke_fades"}


def scored(probe, generator, count=1):
    cases = probe.cases(count, registry.profile("small"), "t2v", seed=3)
    videos = generator.generate(cases)
    return [probe.score(c, v, track(v)).value or 0.0 for c, v in zip(cases, videos, strict=True)]


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_the_truth_scores_one_for_both_twins(probe):
    assert min(scored(probe, Oracle(), 2)) >= 0.97


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_what_is_undone_half_way_loses_half_of_the_score_or_more(probe):
    assert scored(probe, Violation(UNDONE[probe.name], 0.5))[0] <= 0.5


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
@pytest.mark.parametrize("fault", ["effect_before_cause", "never_happens"])
def test_an_effect_without_its_cause_is_noticed(probe, fault):
    assert scored(probe, Violation(fault))[0] < 0.2


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_the_other_side_is_not_what_was_asked(probe):
    assert scored(probe, Control("mirrored"))[0] == 0


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_any_clip_gets_a_score_or_a_reason(probe):
    case = probe.cases(1, registry.profile("small"), "t2v")[0]
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (5, 40, 56, 3), dtype=np.uint8)
    blank = np.full((5, 40, 56, 3), 128, dtype=np.uint8)
    for frames in (noise, blank):
        video = Video(frames, 8)
        score = probe.score(case, video, track(video))
        assert (score.value or 0.0) < 0.3


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_twins_differ_by_left_and_right_only(probe):
    one, two = probe.cases(2, registry.profile("small"), "t2v")
    swap = {"left": "right", "right": "left"}
    mirrored = " ".join(swap.get(w.strip(",;."), w.strip(",;.")) for w in one.prompt.split())
    assert mirrored == " ".join(w.strip(",;.") for w in two.prompt.split())
    assert one.prompt != two.prompt


@pytest.mark.parametrize("probe", [Shatter(), Brush()], ids=lambda p: p.name)
@pytest.mark.parametrize("way", JUMPS)
def test_a_jump_from_the_first_frame_to_the_last_shows_no_cause(probe, way):
    for case in probe.cases(2, registry.profile("small"), "t2v", seed=3):
        (video,) = Oracle().generate([case])
        spoilt = jump(video, way)
        assert not probe.score(case, spoilt, track(spoilt)).value


CLEAR = np.ones(12, dtype=bool)


def step(at, to=12):
    return ((np.arange(12) >= at) & (np.arange(12) < to)).astype(float)


def test_a_change_that_comes_with_its_cause_and_stays_is_whole():
    assert read_change(step(5), CLEAR, 5, 8.0).value == 1


def test_a_change_before_its_cause_is_out_of_order():
    early = [read_change(step(5 - k), CLEAR, 5, 8.0).ordered for k in range(4)]
    assert early == sorted(early, reverse=True)
    assert early[0] == 1
    assert early[3] == 0


@pytest.mark.parametrize("fps", [16, 32])
def test_a_sixteenth_of_a_second_is_no_disorder_at_any_rate(fps):
    at, clear = np.arange(12 * fps // 8) / fps, np.ones(12 * fps // 8, dtype=bool)
    for early, ordered in ((0.0, True), (0.0625, True), (0.375, False)):
        change = read_change((at >= 0.625 - early).astype(float), clear, round(0.625 * fps), fps)
        assert (change.ordered == 1) == ordered
    late = [
        read_change((at >= 0.625 + d).astype(float), clear, round(0.625 * fps), fps).prompt for d in (0.0625, 0.4375)
    ]
    assert late == [1, 0]


def test_a_change_long_after_its_cause_is_not_prompt():
    late = read_change(step(9), CLEAR, 5, 8.0)
    assert late.prompt == 0
    assert late.ordered == 1


def test_a_change_that_is_reversed_is_not_kept():
    assert read_change(step(5, to=9), CLEAR, 5, 8.0).kept == 0


@pytest.mark.parametrize(("side", "xs"), [("left", [2.0, 12, 22, 32]), ("right", [62.0, 52, 42, 32])])
def test_what_comes_from_a_side_starts_on_that_side(side, xs):
    xy = np.array([[[x, 30.0] for x in xs]])
    box = np.concatenate([xy - 3, xy + 3], axis=2)
    tracks = Tracks(("red",), xy, np.ones((1, 4), bool), np.full((1, 4), 36.0), box, (64, 64), 8.0, {})
    place, touch = np.array([27.0, 27, 37, 37]), np.array([False, False, False, True])
    assert arrival(tracks, 0, touch, place, side, "puff") == 3
    with pytest.raises(UnjudgeableError, match="did not come from"):
        arrival(tracks, 0, touch, place, {"left": "right", "right": "left"}[side], "puff")


def test_no_change_did_not_happen():
    assert read_change(np.zeros(12), CLEAR, 5, 8.0).happened == 0


def test_what_is_never_clear_to_see_cannot_be_judged():
    with pytest.raises(UnjudgeableError):
        read_change(step(5), ~CLEAR, 5, 8.0)
