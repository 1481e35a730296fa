"""The tracking metrics of one clip: against the true tracks of its case where frames are given, of the clip alone where only words are.

Identity is appearance: a predicted track is one colour's, linked by motion among things of that colour alone. So an identity switch means
that where a true thing is, the clip now shows another one: it came back in another colour, two exchanged places, or two look-alikes did.
Tracks that were linked by motion alone, blind to colour, would call each of these the same thing, and a switch would say more of the
tracker than of the clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sora_eval.metrics import geometry, mot, tapvid
from sora_eval.metrics.mot import BoxTracks, box_iou
from sora_eval.metrics.permanence import (
    count_consistency,
    exit_error,
    fit_constant_velocity,
    observed_exit,
    prompted_count_consistency,
)
from sora_eval.tracking.points import track_points
from sora_eval.tracking.truth import LEAST_SHARE, POINTS, TrueTracks
from sora_eval.tracking.twoview import features, frame_pairs, fundamental_matrix, match_features
from sora_eval.types import MODES, Bools, Case, Floats, Frames, Tracks, Video
from sora_eval.video import resized

VERSION = 4
"""Raised whenever a value changes for the same clip and tracks."""
_SIDE = 256
"""Shorter side in pixels to which larger frames are reduced for points and two-view geometry: TAP-Vid's size, and SIFT's here."""
_IOU = 0.5
_STRETCH = 4
"""Sightings that a velocity is fitted to."""
_WHOLE = 0.8
"""Share of its largest area from which on a thing counts as whole: the centroid of a part lags behind."""


@dataclass(frozen=True)
class Metric:
    """A tracking metric."""

    name: str
    """As in reports."""
    higher: bool
    """Whether more is better."""
    bounds: tuple[float, float] | None
    """The least and the greatest value, None where there is none."""
    truth: bool
    """Whether it compares with the true clip (i2v and v2v) or needs none (t2v)."""
    meaning: str
    """Its definition, in a line."""
    unit: str = ""
    """"" for a share."""


_SHARE = (0.0, 1.0)
METRICS: tuple[Metric, ...] = (
    Metric("HOTA", True, _SHARE, True, "detection and association together, the geometric mean of DetA and AssA"),
    Metric("DetA", True, _SHARE, True, "detection accuracy: TP / (TP + FN + FP) over boxes"),
    Metric("AssA", True, _SHARE, True, "association accuracy: how consistently a matched object keeps one identity"),
    Metric("MOTA", True, None, True, "1 less missed boxes, false boxes and identity switches per true box; negative for many"),
    Metric("IDF1", True, _SHARE, True, "F1 of boxes with the right identity under a one-to-one assignment of tracks"),
    Metric("ID switches", False, None, True, "times that a true object is matched to another identity than before", "per clip"),
    Metric(
        "ID switches across occlusion", False, None, True,
        "the same between the last sight of an object before it is hidden and the first one after", "per clip",
    ),
    Metric(
        "re-identification rate", True, _SHARE, True, "share of hidden spans after which an object is found, with its identity"
    ),
    Metric("exit error, place", False, None, True, "how far from the true place a hidden object reappears", "px of 256"),
    Metric("exit error, time", False, None, True, "how far from the true moment a hidden object reappears", "s"),
    Metric("count consistency", True, _SHARE, True, "1 less the mean error of the number of objects in a frame, as a share"),
    Metric("point OA", True, _SHARE, True, "occlusion accuracy: share of frames in which a point is rightly seen or not seen"),
    Metric("point delta_avg", True, _SHARE, True, "share of the visible true points that are near, mean over five distances"),
    Metric("point AJ", True, _SHARE, True, "average Jaccard: place and visibility of points together"),
    Metric("point AJ after reappearance", True, _SHARE, True, "the same from a point's return on, after it was hidden"),
    Metric("point re-identification rate", True, _SHARE, True, "share of hidden spans after which a point is found again"),
    Metric(
        "reprojection error", False, None, True,
        "how far features of the first frame are from where the true camera puts them; scenes in which only the camera moves", "px of 256",
    ),
    Metric("fragments", False, None, False, "times that a track breaks off and goes on, hidden spans included", "per track"),
    Metric("identity switches by motion", False, None, False, "times that a path linked by motion goes on in another colour", "per track"),
    Metric(
        "count consistency with the words", True, _SHARE, False,
        "whether as many objects as the prompt names are shown at once, and never more; fewer at times may be hidden",
    ),
    Metric(
        "epipolar error", False, None, False,
        "median Sampson error of all matches between frames; prompts in which only the camera moves, pairs with parallax", "px of 256",
    ),
    Metric("epipolar support", True, _SHARE, False, "share of features that are matched and obey the epipolar geometry"),
)  # fmt: skip
BY_NAME: Mapping[str, Metric] = {m.name: m for m in METRICS}
PROTOCOL = (
    f"boxes: visible pixels of the palette's colours, at least {LEAST_SHARE * 64**2:g} px at 64 x 64; "
    "identity: colour, linked by motion within it; "
    f"HOTA, DetA, AssA: mean over IoU {mot.HOTA_THRESHOLDS[0]:g} to {mot.HOTA_THRESHOLDS[-1]:g} by {mot.HOTA_THRESHOLDS[0]:g}; "
    f"MOTA, IDF1, switches: IoU >= {_IOU:g}; given frames are left out, but for switches, occlusions and exits",
    f"points: {POINTS} of the first frame, on things, where texture is strongest (Shi-Tomasi), "
    "followed by KLT with re-detection (no weights); "
    f"TAP-Vid: at 256 x 256, within {', '.join(f'{d:g}' for d in tapvid.THRESHOLDS_PX)} px, strictly, after the given frames; "
    "reappearance: after the given frames; re-identification: within 8 px in half of the stretch or more",
    "time and size: the case's moments and size, to which the clip is resampled; moments after its end show nothing; "
    f"points and features: shorter sides above {_SIDE} px are reduced to it",
    "epipolar: SIFT at 256 px, ratio .8, MAGSAC at 1 px, gaps of 4, 8 and 12 frames, pairs with a parallax of 1 px or more; medians over "
    "pairs, of which those without a fundamental matrix have an infinite error: with half of them or more there is no value; "
    "reprojection: every fourth frame after the given ones",
)
"""All that the numbers depend on, besides clips and tracker."""


def needs_frames(case: Case, truth: TrueTracks) -> bool:
    """Return whether the tracking metrics of a case are measured on frames too, not on tracks alone."""
    return _compared(case) or truth.rigid


def _compared(case: Case) -> bool:
    """Return whether a clip goes on from given frames as the true one does; transitions, loops and the like have many right answers."""
    return bool(case.given) and case.mode in MODES


def tracking_metrics(case: Case, video: Video | None, tracks: Tracks, truth: TrueTracks) -> dict[str, float | None]:
    """Return the tracking metrics of a clip by name, None for one that is not defined on it.

    With given frames (i2v, v2v) those against the truth, else those that need none. Clips of another rate, length or size are compared at
    the case's moments and size.

    video: the clip, None where `needs_frames` is false; tracks: of its tracker; truth: of the case.
    """
    resampled = at_moments(tracks, case, truth.unknown)
    index = moments(tracks.frames, tracks.fps, case)
    shown = index < tracks.frames
    if needs_frames(case, truth):
        assert video is not None
        small = resized(video.frames, np.minimum(index, len(video) - 1), _reduced(case.size))
    if _compared(case):
        values = {
            **_things(resampled, truth, case.given),
            **_exits(resampled, truth),
            **_points(small, shown, truth, case.given),
            "reprojection error": _reprojection(small, shown, truth, case.given) if truth.rigid else None,
        }
    else:
        values = {**_alone(resampled, truth), **(_epipolar(small[shown]) if truth.rigid else {})}
    names = [m.name for m in METRICS if m.truth == _compared(case)]
    return {name: _finite(values.get(name)) for name in names}


def moments(frames: int, fps: float, case: Case) -> NDArray[np.int64]:
    """Return the frame of a clip of `frames` at `fps` nearest to each of the case's moments, [T]; `frames` or more after its end."""
    return np.asarray(np.ceil(np.arange(case.frames) * (fps / case.fps) - 0.5 - 1e-9), dtype=np.int64)


def at_moments(tracks: Tracks, case: Case, unknown: Sequence[str] = ()) -> Tracks:
    """Return tracks at the case's moments and size, but those of `unknown` colours.

    Nothing is visible after the clip's end, nor what shows less than half of what a true thing must.
    """
    known = np.array([c not in unknown for c in tracks.colour], dtype=bool)
    index = moments(tracks.frames, tracks.fps, case)
    shown = index < tracks.frames
    index = np.minimum(index, tracks.frames - 1)
    scale = np.array([case.size[1] / tracks.size[1], case.size[0] / tracks.size[0]])
    area = tracks.area[:, index] * scale.prod()
    visible = (
        tracks.visible[:, index] & shown & known[:, None] & (area >= 0.5 * LEAST_SHARE * case.size[0] * case.size[1])
    )
    xy = (tracks.xy[:, index] + 0.5) * scale - 0.5
    box = (tracks.box[:, index] + 0.5) * np.tile(scale, 2) - 0.5
    nothing = ~visible[..., None]
    xy, box = np.where(nothing, np.nan, xy), np.where(nothing, np.nan, box)
    area = np.where(visible, area, 0.0)
    return Tracks(tracks.colour, xy, visible, area, box, case.size, case.fps, labels=tracks.labels)


def boxes_of(tracks: Tracks) -> BoxTracks:
    """Return the boxes of tracks, with the track's number as identity."""
    ids = [np.flatnonzero(tracks.visible[:, k]) for k in range(tracks.frames)]
    return BoxTracks(ids, [tracks.box[i, k] for k, i in enumerate(ids)])


def _things(tracks: Tracks, truth: TrueTracks, given: int) -> dict[str, float | None]:
    """Return the metrics of boxes: HOTA, CLEAR MOT, identity, and counts."""
    boxes, true = boxes_of(tracks), truth.boxes
    if not any(len(i) for i in true.ids):
        return {}
    values: dict[str, float | None] = {}
    judged_true, judged = (BoxTracks(t.ids[given:], t.boxes[given:]) for t in (true, boxes))
    if any(len(i) for i in judged_true.ids):
        parts = mot.hota(judged_true, judged)
        values |= {"HOTA": parts.hota, "DetA": parts.detection, "AssA": parts.association}
        values["MOTA"] = mot.clear_mot(judged_true, judged, _IOU).mota
        values["IDF1"] = mot.identity_f1(judged_true, judged, _IOU).idf1
        values["count consistency"] = count_consistency(tracks.visible.sum(axis=0)[given:], truth.counts[given:])
    values["ID switches"] = float(mot.clear_mot(true, boxes, _IOU).id_switches)
    hidden = mot.id_switches_across_occlusion(true, boxes, _IOU)
    if hidden.spans:
        values["ID switches across occlusion"] = float(hidden.switched)
        values["re-identification rate"] = hidden.kept / hidden.spans
    return values


def _exits(tracks: Tracks, truth: TrueTracks) -> dict[str, float | None]:
    """Return how far off things come out: the mean over those that were followed to where they are hidden, and come out at all."""
    t = np.arange(tracks.frames) / tracks.fps
    to_256 = np.array([tapvid.SCALE_PX / tracks.size[1], tapvid.SCALE_PX / tracks.size[0]])
    errors = []
    for i, seen in enumerate(truth.visible):
        frames = np.flatnonzero(seen)
        if not (np.diff(frames) > 1).any():
            continue
        expected = observed_exit(t, truth.xy[i] * to_256, seen)
        before = frames[: int(np.argmax(np.diff(frames))) + 1]
        track = _followed(tracks, truth, i, before)
        if track is None:
            continue
        visible, xy = tracks.visible[track].copy(), tracks.xy[track] * to_256
        # What the track does before the last sight of the thing is no coming out.
        visible[: before[-1]] = False
        visible[before[-1]] = True
        try:
            errors.append(exit_error(expected, observed_exit(t, xy, visible)))
        except ValueError:
            # It never hid, or never came back: the re-identification rate has that.
            continue
    if not errors:
        return {}
    return {
        "exit error, place": float(np.mean([e.place_px for e in errors])),
        "exit error, time": float(np.mean([abs(e.time_s) for e in errors])),
    }


def _followed(tracks: Tracks, truth: TrueTracks, thing: int, frames: NDArray[np.intp]) -> int | None:
    """Return the track that overlaps a thing (IoU >= 0.5) in most of the given frames, None where none ever does."""
    hits = np.zeros(len(tracks))
    for k in frames:
        true = truth.boxes.boxes[k][truth.boxes.ids[k] == thing]
        hits += np.where(tracks.visible[:, k], box_iou(true, tracks.box[:, k])[0], 0.0) >= _IOU
    return int(np.argmax(hits)) if hits.max(initial=0) > 0 else None


def _reduced(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size (height, width), reduced to `_SIDE` on the shorter side where that is less."""
    scale = min(1.0, _SIDE / min(size))
    return round(size[0] * scale), round(size[1] * scale)


def _scale(frames: Frames, size: tuple[int, int]) -> Floats:
    """Return by how much (x, y) frames are smaller than `size`."""
    return np.array([size[1] / frames.shape[2], size[0] / frames.shape[1]])


def _rescaled(xy: Floats, scale: Floats) -> Floats:
    """Return places [..., 2] in frames that are `scale` times as large; pixel centres sit half a pixel in."""
    return xy if (scale == 1).all() else np.asarray((xy + 0.5) * scale - 0.5)


def _points(frames: Frames, shown: Bools, truth: TrueTracks, given: int) -> dict[str, float | None]:
    """Return the TAP-Vid scores of points that are followed from where the truth has them in the first frame."""
    if not len(truth.points):
        return {}
    height, width = truth.size
    scale = _scale(frames, truth.size)
    start = _rescaled(np.clip(truth.points[:, 0], 0, (width - 1, height - 1)), 1 / scale)
    start = np.clip(start, 0, (frames.shape[2] - 1, frames.shape[1] - 1))
    xy, visible = track_points(frames, np.column_stack([np.zeros(len(start)), start]))
    xy, visible = _rescaled(xy, scale), visible & shown
    # Frames that were given are not the clip's merit; after the first one in any case.
    judged = tapvid.after_query(np.full(len(start), given - 1), len(shown))
    values: dict[str, float | None] = {}
    if (truth.points_visible & judged).any():
        scores = tapvid.tapvid(truth.points, truth.points_visible, xy, visible, truth.size, judged)
        values["point OA"], values["point delta_avg"] = scores.occlusion_accuracy, scores.delta_avg
        values["point AJ"] = scores.average_jaccard
    if tapvid.after_reappearance(truth.points_visible, given).any():
        those = (truth.points, truth.points_visible, xy, visible, truth.size)
        values["point AJ after reappearance"] = tapvid.jaccard_after_reappearance(*those, given=given)
        values["point re-identification rate"] = tapvid.reidentification_rate(*those, given=given).rate
    return values


def _reprojection(frames: Frames, shown: Bools, truth: TrueTracks, given: int) -> float | None:
    """Return the median distance (px of 256) of matches with the first frame from where the true camera puts them, after given frames."""
    assert truth.depth is not None
    off, first, scale = [], features(frames[0]), _scale(frames, truth.size)
    for frame in range(4, len(frames), 4):
        if shown[frame] and frame >= given:
            pairs = match_features(first, features(frames[frame]))
            a, b = _rescaled(pairs.a, scale), _rescaled(pairs.b, scale)
            error, known = geometry.match_reprojection_error(a, b, truth.depth, truth.camera, frame)
            off.append(error[known])
    every = np.concatenate(off) if off else np.zeros(0)
    return float(np.median(every)) * tapvid.SCALE_PX / min(truth.size) if len(every) >= 8 else None


def _alone(tracks: Tracks, truth: TrueTracks) -> dict[str, float | None]:
    """Return the metrics of tracks without a true clip; the prompt names as many objects as its scene shows at once."""
    count = int(truth.counts.max(initial=0))
    values: dict[str, float | None] = {}
    if count:
        values["count consistency with the words"] = prompted_count_consistency(tracks.visible.sum(axis=0), count)
    seen = [np.flatnonzero(v) for v in tracks.visible if v.any()]
    if seen:
        values["fragments"] = float(np.mean([(np.diff(frames) > 1).sum() for frames in seen]))
        values["identity switches by motion"] = switches_by_motion(tracks) / len(seen)
    return values


@dataclass
class _Path:
    """A path that is linked by motion: the track that it follows now, and its sightings (frame, xy, area)."""

    track: int
    seen: list[tuple[int, Floats, float]]

    def expected(self, frame: int) -> Floats:
        """Return where it would be at constant velocity, fitted to the last sightings of it as a whole."""
        largest = max(area for _, _, area in self.seen)
        last = [(k, xy) for k, xy, area in self.seen if area >= _WHOLE * largest][-_STRETCH:]
        if len(last) < 2:
            return self.seen[-1][1]
        return fit_constant_velocity(np.array([k for k, _ in last], float), np.array([xy for _, xy in last])).at(frame)

    @property
    def reach(self) -> float:
        """How far from there it may be: as far as it is wide."""
        return float(np.sqrt(max(area for _, _, area in self.seen)))


def switches_by_motion(tracks: Tracks) -> int:
    """Return how often a path that is linked by motion alone goes on as another track.

    Each path expects constant velocity, across gaps of up to a quarter of the clip too, and takes what lies within its width: its own
    track before another, so that two things that cross do not count. What was last seen at the frame's edge is expected no more.
    """
    paths: list[_Path] = []
    longest = max(1, tracks.frames // 4)
    switches = 0
    for k in range(tracks.frames):
        here = [int(i) for i in np.flatnonzero(tracks.visible[:, k])]
        paths = [p for p in paths if k - p.seen[-1][0] <= (1 if _at_edge(tracks, p) else longest + 1)]
        cost = np.full((len(paths), len(here)), np.inf)
        for p, path in enumerate(paths):
            gap = np.linalg.norm(tracks.xy[here, k] - path.expected(k), axis=1) / path.reach
            own = np.array(here) == path.track
            cost[p] = np.where(gap <= 1, np.where(own, gap - 2, gap), np.inf)
        taken = set()
        # Pairs out of reach cost more than all others together.
        rows, columns = linear_sum_assignment(np.where(np.isfinite(cost), cost, 1e6))
        for p, c in zip(rows.tolist(), columns.tolist(), strict=True):
            if np.isfinite(cost[p, c]):
                switches += paths[p].track != here[c]
                paths[p].track = here[c]
                paths[p].seen.append((k, tracks.xy[here[c], k], float(tracks.area[here[c], k])))
                taken.add(here[c])
        paths += [_Path(i, [(k, tracks.xy[i, k], float(tracks.area[i, k]))]) for i in here if i not in taken]
    return switches


def _at_edge(tracks: Tracks, path: _Path) -> bool:
    height, width = tracks.size
    x0, y0, x1, y1 = tracks.box[path.track, path.seen[-1][0]]
    return bool(x0 < 0.5 or y0 < 0.5 or x1 > width - 1.5 or y1 > height - 1.5)


def _epipolar(frames: Frames) -> dict[str, float | None]:
    """Return the medians over pairs of frames of error (px of 256) and support; pairs without parallax are left out.

    A pair without a fundamental matrix has an infinite error, so that half of such pairs or more leave no finite median.
    """
    views = []
    pairs_of_frames = frame_pairs(len(frames))
    # Most frames are in several pairs.
    seen = {i: features(frames[i]) for i in sorted({i for pair in pairs_of_frames for i in pair})}
    for i, j in pairs_of_frames:
        pairs = match_features(seen[i], seen[j])
        view = geometry.two_view_consistency(fundamental_matrix(pairs.a, pairs.b), pairs.a, pairs.b, pairs.features)
        if view.judgeable:
            views.append(view)
    if not views:
        return {}
    error = float(np.median([v.median_sampson_px for v in views])) * tapvid.SCALE_PX / min(frames.shape[1:3])
    return {"epipolar error": error, "epipolar support": float(np.median([v.support for v in views]))}


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
