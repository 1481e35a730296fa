"""Does every probe notice what it must? Oracle against controls and violations, through the same code as a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace

import cv2
import numpy as np

from sora_eval.generator.simulator import CONTROLS, OTHER, Control, Oracle, Violation, true_video
from sora_eval.metrics.mot import BoxTracks, clear_mot, hota, identity_f1
from sora_eval.probes.base import Probe, Profile
from sora_eval.processes import pool
from sora_eval.stats import auc
from sora_eval.tracking.world import track
from sora_eval.types import Case, Failure, Mode, Score, Tracks, Video
from sora_eval.video import compress
from sora_eval.world import Clip, clip, scene_of
from sora_eval.world.palette import COLOURS

ALL_LOOKS = "all at once"
LOOKS = ("256 px", "light left", "light warm", "light dim", "H.264 crf 28", "half the frame rate", ALL_LOOKS)
LOOK_CASES = 6
ORACLE_LEAST, LOOK_LEAST, AUC_LEAST = 0.97, 0.95, 0.95


@dataclass(frozen=True)
class Told:
    """How well one probe tells one way of being wrong from the truth, or what one way of looking does to the truth.

    suite, probe, mode; kind: "oracle", "control", "violation" or "look"; what: its name.
    mean: mean score with unjudgeable as 0; lowest: the lowest score. auc: chance that a true clip scores above a spoilt one, ties
    counted half. by_design: why the probe can't tell, where that is declared. reasons: the most frequent ones for not judging.
    """

    suite: str
    probe: str
    mode: Mode
    kind: str
    what: str
    mean: float
    lowest: float
    auc: float
    by_design: str
    reasons: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether the probe does what it must here."""
        if self.kind == "oracle":
            return self.lowest >= ORACLE_LEAST
        return self.lowest >= LOOK_LEAST if self.kind == "look" else self.auc >= AUC_LEAST


def scores(probe: Probe, cases: Sequence[Case], generator: Oracle | Control | Violation) -> list[Score]:
    """Return the scores of a generator's answers."""
    return [_scored(probe, c, v) for c, v in zip(cases, generator.generate(cases), strict=True)]


def _scored(probe: Probe, case: Case, video: Video | Failure) -> Score:
    return Score(None, video.reason) if isinstance(video, Failure) else probe.score(case, video, track(video))


def told_apart(probe: Probe, profile: Profile, mode: Mode, count: int, seed: int = 0) -> Iterator[Told]:
    """Yield the oracle's row, then one row per control and per violation at its strongest."""
    cases = probe.cases(count, profile, mode, seed)
    truth = scores(probe, cases, Oracle())
    base = [s.value or 0.0 for s in truth]
    yield _row(probe, mode, "oracle", "oracle", truth, base)
    spoilt: list[Control | Violation] = [Control(c) for c in (*CONTROLS, OTHER)]
    spoilt += [Violation(v) for v in probe.violations]
    for g in spoilt:
        yield _row(probe, mode, g.kind, g.name, scores(probe, cases, g), base)


def looked_at(probe: Probe, profile: Profile, mode: Mode, count: int, seed: int = 0) -> Iterator[Told]:
    """Yield the oracle's row under other sizes, lights, compression and frame rate: the score should not move."""
    for look in LOOKS:
        p = replace(profile, height=256, width=256) if look in ("256 px", ALL_LOOKS) else profile
        cases = probe.cases(min(count, LOOK_CASES), p, mode, seed)
        if look.startswith("light"):
            cases = [_lit(c, look.split()[1]) for c in cases]
        if look == ALL_LOOKS:
            cases = [_lit(c, ("left", "warm", "dim")[i % 3]) for i, c in enumerate(cases)]
        yield _row(probe, mode, "look", look, [_scored(probe, c, _seen(true_video(c), look)) for c in cases], [1.0])


def _seen(video: Video, look: str) -> Video:
    if look in ("H.264 crf 28", ALL_LOOKS):
        video = compress(video, 28)
    return Video(video.frames[::2], video.fps / 2) if look in ("half the frame rate", ALL_LOOKS) else video


def _lit(case: Case, light: str) -> Case:
    params = case.scene["params"]
    return replace(case, scene={**case.scene, "params": {**params, "style": {**params["style"], "light": light}}})


def _row(probe: Probe, mode: Mode, kind: str, what: str, found: list[Score], truth: list[float]) -> Told:
    v = [s.value or 0.0 for s in found]
    frequent = Counter(s.reason for s in found if s.reason).most_common(3)
    reasons = tuple(reason for reason, _ in frequent)
    by_design = probe.blind_to.get(what, "") if mode in probe.blind_modes else ""
    return Told(
        probe.suite, probe.name, mode, kind, what, float(np.mean(v)), min(v), auc(truth, v).mean, by_design, reasons
    )


@dataclass(frozen=True)
class TrackerCard:
    """How well the world-tier tracker follows every object against the truth, for one way of spoiling the clips.

    hota, mota, idf1: in 0..1 (mota may be negative), switches: identity switches in all clips together; clips: how many.
    """

    spoilt: str
    hota: float
    mota: float
    idf1: float
    switches: int
    clips: int


def _noisy(video: Video) -> Video:
    noise = np.random.default_rng(0).normal(0, 10, video.frames.shape)
    return Video(np.clip(video.frames + noise, 0, 255).astype(np.uint8), video.fps)


def _blurred(video: Video) -> Video:
    return Video(np.array([cv2.GaussianBlur(f, (0, 0), 0.8) for f in video.frames]), video.fps)


FOLLOWED = (
    "dolly",
    "orbit",
    "truck",
    "motion",
    "opposite_motion",
    "relation",
    "count",
    "covered",
    "leave_and_return",
    "pass_behind",
)
"""Probes for the tracker's own card: in their scenes every body is a thing of its own, no figure with arms, no pieces."""

SPOILT: dict[str, Callable[[Video], Video]] = {
    "clean": lambda v: v,
    "noise, 10 grey levels": _noisy,
    "blur, 0.8 pixels": _blurred,
    "H.264 crf 28": lambda v: compress(v, 28),
}


def tracker_cards(cases: Sequence[Case], least_px: int = 8) -> list[TrackerCard]:
    """Return how well the tracker does on the true clips of some cases. Objects that show fewer than `least_px` pixels don't count."""
    truths, videos = [], []
    for case in cases:
        scene = scene_of(case.scene, (case.frames - 1) / case.fps)
        made = clip(scene, case.size, case.fps, case.frames, full_truth=True)
        truths.append(_true_boxes(made, least_px))
        videos.append(made.video)
    cards = []
    for name, spoil in SPOILT.items():
        found = [_found_boxes(track(spoil(v))) for v in videos]
        pairs = list(zip(truths, found, strict=True))
        clear = [clear_mot(t, f) for t, f in pairs]
        cards.append(
            TrackerCard(
                name,
                float(np.mean([hota(t, f).hota for t, f in pairs])),
                float(np.mean([c.mota for c in clear])),
                float(np.mean([identity_f1(t, f).idf1 for t, f in pairs])),
                sum(c.id_switches for c in clear),
                len(pairs),
            )
        )
    return cards


def _true_boxes(made: Clip, least_px: int) -> BoxTracks:
    assert made.truth.ids is not None
    ids, boxes = [], []
    things = [i for i, b in enumerate(made.scene.bodies) if b.colour in COLOURS]
    for frame in made.truth.ids:
        seen = [(i, np.nonzero(frame == i)) for i in things]
        whole = [(i, ys, xs) for i, (ys, xs) in seen if len(xs) >= least_px]
        ids.append(np.array([i for i, _, _ in whole], dtype=int))
        boxes.append(
            np.array([[x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5] for _, y, x in whole]).reshape(-1, 4)
        )
    return BoxTracks(ids, boxes)


def _found_boxes(tracks: Tracks) -> BoxTracks:
    ids = [np.flatnonzero(tracks.visible[:, k]) for k in range(tracks.frames)]
    return BoxTracks(ids, [tracks.box[i, k] for k, i in enumerate(ids)])


def validate(
    probes: Sequence[Probe], profile: Profile, modes: Sequence[Mode], count: int, seed: int, workers: int
) -> Iterator[list[Told]]:
    """Yield the rows of every probe and mode, the looks once per probe, as they are done."""
    jobs = [(told_apart, p, m) for p in probes for m in modes if m in p.modes]
    jobs += [(looked_at, p, "t2v") for p in probes if "t2v" in modes]
    with pool(workers) as executor:
        waiting = [executor.submit(_listed, f, p, profile, m, count, seed) for f, p, m in jobs]
        for job in as_completed(waiting):
            yield job.result()


def _listed(
    what: Callable[..., Iterator[Told]], probe: Probe, profile: Profile, mode: Mode, count: int, seed: int
) -> list[Told]:
    return list(what(probe, profile, mode, count, seed))
