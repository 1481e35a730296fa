"""Accuracy of the world-tier tracker, on which every probe stands, against true boxes."""

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
class TrackerAccuracy:
    """Accuracy of the world-tier tracker on true clips under one corruption, all coloured objects together."""

    corruption: str
    """Name of the corruption, "clean" for none."""
    hota: float
    """Mean HOTA, 0..1."""
    mota: float
    """Mean MOTA, at most 1; may be negative."""
    idf1: float
    """Mean IDF1, 0..1."""
    id_switches: int
    """Identity switches in all clips together."""
    clips: int
    """Clips."""


def _noisy(video: Video) -> Video:
    noise = np.random.default_rng(0).normal(0, 10, video.frames.shape)
    return Video(np.clip(video.frames + noise, 0, 255).astype(np.uint8), video.fps)


def _blurred(video: Video) -> Video:
    return Video(np.array([cv2.GaussianBlur(f, (0, 0), 0.8) for f in video.frames]), video.fps)


PROBES = (
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
"""Probes whose scenes are tracked: every body is an object of its own, no figure with arms, no pieces."""

CORRUPTIONS: dict[str, Callable[[Video], Video]] = {
    "clean": lambda v: v,
    "noise, 10 grey levels": _noisy,
    "blur, 0.8 pixels": _blurred,
    "H.264 crf 28": lambda v: compress(v, 28),
}


def tracker_accuracy(cases: Sequence[Case]) -> list[TrackerAccuracy]:
    """Return the tracker's accuracy on the true clips of cases, a row per corruption. Objects below 8 pixels at 64 x 64 don't count."""
    truths, videos = [true_tracks(case).boxes for case in cases], [true_video(case) for case in cases]
    rows = []
    for name, corrupt in CORRUPTIONS.items():
        pairs = [(truth, boxes_of(track(corrupt(video)))) for truth, video in zip(truths, videos, strict=True)]
        clear = [clear_mot(truth, predicted) for truth, predicted in pairs]
        rows.append(
            TrackerAccuracy(
                name,
                float(np.mean([hota(truth, predicted).hota for truth, predicted in pairs])),
                float(np.mean([c.mota for c in clear])),
                float(np.mean([identity_f1(truth, predicted).idf1 for truth, predicted in pairs])),
                sum(c.id_switches for c in clear),
                len(pairs),
            )
        )
    return rows
