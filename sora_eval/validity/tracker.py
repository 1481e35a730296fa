"""How well the world-tier tracker, on which every probe stands, follows things against the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sora_eval.generator.simulator import true_video
from sora_eval.metrics.mot import clear_mot, hota, identity_f1
from sora_eval.tracking.metrics import boxes_of
from sora_eval.tracking.truth import true_tracks
from sora_eval.tracking.world import track
from sora_eval.types import Case, Video
from sora_eval.video import compress


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


def tracker_cards(cases: Sequence[Case]) -> list[TrackerCard]:
    """Return how well the tracker does on the true clips of some cases. Objects that show fewer than 8 pixels at 64 x 64 don't count."""
    truths, videos = [true_tracks(case).boxes for case in cases], [true_video(case) for case in cases]
    cards = []
    for name, spoil in SPOILT.items():
        found = [boxes_of(track(spoil(v))) for v in videos]
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
