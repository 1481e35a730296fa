"""First-frame fidelity of an aligned clip: its first given frame as it was given, its last against the true one of that moment."""

from __future__ import annotations

import json

import numpy as np

from sora_eval.alignment import measures
from sora_eval.alignment.align import Aligned, given_frames, kept_at
from sora_eval.alignment.placement import Pair
from sora_eval.types import MODES, Alignment, Box, Case, Frames, Video
from sora_eval.video import resize
from sora_eval.video.caching import clip_cache
from sora_eval.world import scene_of, stills

_STILL = 5e-4
"""Residual up to which a frame has not moved at all."""


def first_frame_fidelity(case: Case, video: Video, aligned: Aligned) -> dict[str, float]:
    """Return the metrics of the first frame (`alignment.measures`) by name, {} without given frames or where they were not found.

    case, video: as they came, aligned: as they are judged. Drift is measured where the clip goes on from its first frames (i2v, v2v).
    """
    if not case.keeps or aligned.alignment is None or aligned.alignment.given is None:
        return {}
    values = measures.place(_box(case, video, aligned.alignment), video.size, case.size)
    given, made = given_frames(aligned.case)[0], aligned.video.frames
    first = measures.pixels(given, _at(made[kept_at(case, len(made), aligned.video.fps)[0]], given))
    if case.mode not in MODES:
        return values | first
    # The clip may be longer or shorter than requested, or have another rate.
    last = min(len(made) - 1, int((case.frames - 1) / case.fps * video.fps + 0.5))
    true = _true_still(
        json.dumps(aligned.case.scene), aligned.case.size, case.fps, case.frames, round(last / video.fps * case.fps)
    )
    return values | first | measures.drift(first, measures.pixels(true, _at(made[last], true)))


def _at(frame: Frames, other: Frames) -> Frames:
    """Return an image [H, W, 3] at the size of another one."""
    height, width = other.shape[:2]
    (resized,) = resize(frame[None], (height, width))
    return np.asarray(resized)


def _box(case: Case, video: Video, alignment: Alignment) -> Box:
    """Return where the whole given frame lies in a clip's frame; found to a fraction of a pixel where it stands in its place."""
    assert alignment.given is not None
    part, window = np.array(alignment.part.box), np.array(alignment.given.box)
    scale = (part[2:] - part[:2]) / (window[2:] - window[:2])
    low = part[:2] - window[:2] * scale
    high = low + scale * [case.size[1], case.size[0]]
    box: Box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    if alignment.kind != "identity" or alignment.residual <= _STILL:
        return box
    return Pair(given_frames(case)[0], video.frames[kept_at(case, len(video), video.fps)[0]]).refined(box).box


@clip_cache(1 << 26)
def _true_still(scene: str, size: tuple[int, int], fps: float, frames: int, k: int) -> Frames:
    # One frame, but all of the physics before it.
    (still,) = stills(scene_of(json.loads(scene), (frames - 1) / fps), size, fps, frames, [min(k, frames - 1)])
    return np.asarray(still)
