"""Tracking metrics against fractions worked out by hand, TrackEval, motmetrics, and published sequences."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import motmetrics
import numpy as np
import pytest
from trackeval.metrics import CLEAR, HOTA, Identity

from sora_eval.metrics.mot import (
    BoxTracks,
    OcclusionSwitches,
    box_iou,
    clear_mot,
    hota,
    id_switches_across_occlusion,
    identity_f1,
)

Row = dict[int, tuple[float, float, float, float]]
Places = list[dict[int, float]]


def tracks(frames: list[Row]) -> BoxTracks:
    return BoxTracks(
        [np.array(list(f), dtype=np.int64) for f in frames],
        [np.array(list(f.values()), dtype=np.float64).reshape(-1, 4) for f in frames],
    )


def at(x: float) -> tuple[float, float, float, float]:
    return (x, 0.0, x + 10.0, 10.0)


def from_places(places: Places) -> BoxTracks:
    return tracks([{k: at(x) for k, x in f.items()} for f in places])


def test_iou_by_hand() -> None:
    # Shift of 5 in 10: 50 / 150. Touching boxes share nothing, an empty box with itself gives 0.
    a = np.array([[0.0, 0, 10, 10]])
    b = np.array([[5.0, 0, 15, 10], [10, 0, 20, 10], [0, 0, 10, 10], [3, 3, 3, 3]])
    assert box_iou(a, b)[0] == pytest.approx([1 / 3, 0, 1, 0])


def test_perfect_tracking_scores_one() -> None:
    t = from_places([{1: 0, 2: 50}, {1: 5, 2: 45}, {1: 10}])
    p = from_places([{8: 0, 3: 50}, {8: 5, 3: 45}, {8: 10}])
    c, i, h = clear_mot(t, p), identity_f1(t, p), hota(t, p)
    assert (c.mota, i.idf1, h.hota, h.detection, h.association, h.localisation) == pytest.approx((1,) * 6)


def test_one_swap_by_hand() -> None:
    # One object for 4 frames, called 1 for two frames and 2 for two.
    t = from_places([{1: 0}] * 4)
    p = from_places([{1: 0}, {1: 0}, {2: 0}, {2: 0}])
    c = clear_mot(t, p)
    assert (c.mota, c.id_switches, c.true_positives) == (3 / 4, 1, 4)
    assert identity_f1(t, p).idf1 == 2 * 2 / 8
    # Each match has TPA 2, FNA 2, FPA 0: AssA 1/2, DetA 1.
    h = hota(t, p)
    assert (h.detection, h.association, h.hota) == pytest.approx((1, 1 / 2, np.sqrt(1 / 2)))


def test_misses_and_false_alarms_by_hand() -> None:
    # 5 true boxes, one missed; one false alarm elsewhere; no switch across the miss.
    t = from_places([{1: 0}] * 5)
    p = from_places([{4: 0}, {}, {4: 0, 9: 80}, {4: 0}, {4: 0}])
    c = clear_mot(t, p)
    assert (c.mota, c.false_positives, c.false_negatives, c.id_switches) == (3 / 5, 1, 1, 0)
    i = identity_f1(t, p)
    assert (i.idf1, i.true_positives, i.false_positives, i.false_negatives) == (8 / 10, 4, 1, 1)
    h = hota(t, p)
    assert (h.detection, h.association) == pytest.approx((4 / 6, 4 / 5))


def test_hota_counts_thresholds() -> None:
    # IoU 1/3 passes the thresholds .05 to .30, 6 of 19.
    h = hota(from_places([{1: 0}]), from_places([{1: 5}]))
    assert (h.hota, h.detection) == pytest.approx((6 / 19, 6 / 19))
    assert h.localisation == pytest.approx((6 / 3 + 13) / 19)


def test_an_old_pair_is_kept_though_a_better_one_comes() -> None:
    t = from_places([{1: 0}, {1: 0}])
    p = from_places([{5: 0}, {5: 3, 6: 0}])
    c = clear_mot(t, p)
    assert (c.id_switches, c.false_positives) == (0, 1)


def test_nothing_predicted_scores_zero_and_no_truth_is_refused() -> None:
    t, nothing = from_places([{1: 0}, {1: 0}]), from_places([{}, {}])
    assert (clear_mot(t, nothing).mota, identity_f1(t, nothing).idf1, hota(t, nothing).hota) == (0, 0, 0)
    with pytest.raises(ValueError, match="no box"):
        hota(nothing, t)
    with pytest.raises(ValueError, match="give as many"):
        clear_mot(t, from_places([{}]))
    with pytest.raises(ValueError, match="frame 0: an id occurs twice"):
        BoxTracks([np.array([1, 1])], [np.zeros((2, 4))])


def test_switches_count_only_across_occlusion() -> None:
    hidden: dict[int, float] = {}
    t = from_places([{1: 0}, {1: 0}, hidden, hidden, {1: 0}, {1: 0}, hidden, {1: 0}, hidden, {1: 0}])
    # A switch in view (7 to 8), kept through the first span, lost after the second, switched in the third:
    # nothing matches in frame 7, so the third span has no identity before it either.
    p = from_places([{7: 0}, {8: 0}, {}, {}, {8: 0}, {8: 0}, {}, {}, {}, {2: 0}])
    assert id_switches_across_occlusion(t, p) == OcclusionSwitches(3, 1, 0, 2)
    assert clear_mot(t, p).id_switches == 2
    q = from_places([{7: 0}, {7: 0}, {}, {}, {8: 0}, {8: 0}, {}, {8: 0}, {}, {9: 0}])
    assert id_switches_across_occlusion(t, q) == OcclusionSwitches(3, 1, 2, 0)


def test_a_frozen_prediction_keeps_no_identity_of_a_mover() -> None:
    t = from_places([{1: 0}, {1: 10}, {}, {1: 30}])
    assert id_switches_across_occlusion(t, from_places([{1: 0}] * 4)) == OcclusionSwitches(1, 0, 0, 1)


def jittered(seed: int) -> tuple[BoxTracks, BoxTracks]:
    """Return six crossing objects and a prediction with noise, misses, false alarms and swapped names."""
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(0, 100, (6, 2)), rng.normal(0, 3, (6, 2))
    truth, found = [], []
    names = np.arange(6)
    for frame in range(40):
        if rng.random() < 0.2:
            rng.shuffle(names)
        place = start + speed * frame
        truth.append({k: (*place[k], *(place[k] + 20)) for k in range(6) if rng.random() < 0.9})
        noisy = place + rng.normal(0, 2.5, (6, 2))
        row = {int(names[k]): (*noisy[k], *(noisy[k] + 20)) for k in range(6) if rng.random() < 0.8}
        if rng.random() < 0.5:
            extra = rng.uniform(0, 100, 2)
            row[100 + frame] = (*extra, *(extra + 20))
        found.append(row)
    return tracks(truth), tracks(found)


@dataclass(frozen=True)
class Known:
    """What another library says."""

    mota: float
    false_positives: int
    false_negatives: int
    switches: int
    idf1: float


def by_trackeval(truth: BoxTracks, found: BoxTracks) -> tuple[Known, dict[str, float]]:
    true_ids = sorted({int(i) for ids in truth.ids for i in ids})
    found_ids = sorted({int(i) for ids in found.ids for i in ids})
    data = {
        "num_timesteps": len(truth.ids),
        "num_gt_ids": len(true_ids),
        "num_tracker_ids": len(found_ids),
        "num_gt_dets": sum(map(len, truth.ids)),
        "num_tracker_dets": sum(map(len, found.ids)),
        "gt_ids": [np.array([true_ids.index(i) for i in ids], dtype=int) for ids in truth.ids],
        "tracker_ids": [np.array([found_ids.index(i) for i in ids], dtype=int) for ids in found.ids],
        "similarity_scores": [box_iou(a, b) for a, b in zip(truth.boxes, found.boxes, strict=True)],
    }
    quiet = {"PRINT_CONFIG": False}
    clear, identity = CLEAR(quiet).eval_sequence(data), Identity(quiet).eval_sequence(data)
    hota_parts = {k: float(np.mean(v)) for k, v in HOTA().eval_sequence(data).items()}
    return Known(clear["MOTA"], clear["CLR_FP"], clear["CLR_FN"], clear["IDSW"], identity["IDF1"]), hota_parts


def by_motmetrics(truth: BoxTracks, found: BoxTracks) -> Known:
    # Its own distances call a function that NumPy 2 removed: it gets the overlaps, as 1 - IoU.
    seen = motmetrics.MOTAccumulator()
    for frame, (true_ids, found_ids) in enumerate(zip(truth.ids, found.ids, strict=True)):
        iou = box_iou(truth.boxes[frame], found.boxes[frame])
        seen.update(true_ids, found_ids, np.where(iou >= 0.5, 1 - iou, np.nan), frameid=frame)
    names = ["mota", "num_false_positives", "num_misses", "num_switches", "idf1"]
    return Known(*motmetrics.metrics.create().compute(seen, metrics=names, return_dataframe=False).values())


def ours(truth: BoxTracks, found: BoxTracks) -> Known:
    c = clear_mot(truth, found)
    return Known(c.mota, c.false_positives, c.false_negatives, c.id_switches, identity_f1(truth, found).idf1)


def approximately(known: Known) -> Known:
    """Return what compares equal to counts that are the same and ratios that nearly are."""
    return replace(known, mota=pytest.approx(known.mota), idf1=pytest.approx(known.idf1))


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_trackeval(seed: int) -> None:
    truth, found = jittered(seed)
    known, parts = by_trackeval(truth, found)
    assert ours(truth, found) == approximately(known)
    got = hota(truth, found)
    assert (got.hota, got.detection, got.association, got.localisation) == pytest.approx(
        tuple(parts[name] for name in ("HOTA", "DetA", "AssA", "LocA"))
    )


# Of 3 true boxes, one misses its match and one false alarm stands beside the last: MOTA 1 - 2/3, no switch. Forgetting the pair would
# match 6, a switch. IDF1: the pair (1, 5) has 2 boxes of 3 true and 3 predicted.
MISSED = ([{1: 0}, {1: 0}, {1: 0}], [{5: 0}, {}, {5: 3, 6: 0}], Known(1 / 3, 1, 1, 0, 2 * 2 / (3 + 3)))
# The same where the truth is empty (hidden): 2 true boxes, both found, 1 false alarm.
HIDDEN = ([{1: 0}, {}, {1: 0}], [{5: 0}, {}, {5: 3, 6: 0}], Known(1 / 2, 1, 0, 0, 2 * 2 / (2 + 3)))
# And where the prediction goes on meanwhile: one more false alarm.
FALSE_ALARM = ([{1: 0}, {}, {1: 0}], [{5: 0}, {5: 0}, {5: 3, 6: 0}], Known(0, 2, 0, 0, 2 * 2 / (2 + 4)))


@pytest.mark.parametrize("case", [MISSED, HIDDEN, FALSE_ALARM], ids=["missed", "hidden", "false alarm"])
def test_a_pair_outlasts_frames_without_boxes_of_truth_or_prediction(case: tuple[Places, Places, Known]) -> None:
    truth, found, by_hand = from_places(case[0]), from_places(case[1]), approximately(case[2])
    assert (ours(truth, found), by_trackeval(truth, found)[0], by_motmetrics(truth, found)) == (by_hand,) * 3


def test_a_pair_is_forgotten_in_a_frame_with_boxes_of_both() -> None:
    # TrackEval's rule, and the paper's; motmetrics keeps pairs for good.
    truth = from_places([{1: 0}, {1: 0, 2: 50}, {1: 0}])
    found = from_places([{5: 0}, {7: 50}, {5: 3, 6: 0}])
    assert ours(truth, found) == approximately(by_trackeval(truth, found)[0])
    assert (ours(truth, found).switches, by_motmetrics(truth, found).switches) == (1, 0)


def test_the_libraries_are_those_whose_rules_the_docstrings_name() -> None:
    # The Makefile installs TrackEval by itself, since its requirements bring a second OpenCV.
    root = Path(__file__).parents[2]
    pins = dict(
        re.findall(
            r"(trackeval|motmetrics)==([\d.]+)", (root / "Makefile").read_text() + (root / "pyproject.toml").read_text()
        )
    )
    assert (
        pins
        == {name: version(name) for name in ("trackeval", "motmetrics")}
        == {"trackeval": "1.3.0", "motmetrics": "1.4.0"}
    )


def read_mot_challenge(path: Path, frames: int) -> BoxTracks:
    rows: dict[int, Row] = defaultdict(dict)
    for line in path.read_text().splitlines():
        frame, identity, x, y, w, h, confidence = (float(v) for v in line.split(",")[:7])
        if confidence != 0:
            rows[int(frame)][int(identity)] = (x, y, x + w, y + h)
    return tracks([rows[k] for k in range(1, frames + 1)])


@pytest.mark.parametrize(
    ("name", "frames", "mota", "idf1", "switches", "fp", "fn", "score"),
    [
        ("TUD-Campus", 71, 0.5265, 0.5577, 7, 13, 150, 0.3914),
        ("TUD-Stadtmitte", 179, 0.5640, 0.6446, 7, 45, 452, 0.3978),
    ],
)
def test_published_sequences(
    name: str, frames: int, mota: float, idf1: float, switches: int, fp: int, fn: int, score: float
) -> None:
    # The wheel of motmetrics carries the sequences of the MOT challenge 2015.
    folder = Path(motmetrics.__file__).parent / "data" / name
    truth, found = (read_mot_challenge(folder / f"{part}.txt", frames) for part in ("gt", "test"))
    got = ours(truth, found)
    assert (got.switches, got.false_positives, got.false_negatives) == (switches, fp, fn)
    assert (got.mota, got.idf1, hota(truth, found).hota) == pytest.approx((mota, idf1, score), abs=1e-4)
    known, parts = by_trackeval(truth, found)
    assert got == approximately(known) == approximately(by_motmetrics(truth, found))
    assert hota(truth, found).hota == pytest.approx(parts["HOTA"])
