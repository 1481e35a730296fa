"""What an edited clip has in common with its source clip: places, ways and outlines of objects."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np

from sora_eval.alignment.align import given_frames
from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError
from sora_eval.tracking.world import track
from sora_eval.types import Case, Floats, Tracks, Video


def source_tracks(case: Case) -> Tracks:
    """Return the tracks of the source clip of a case in mode edit; all samples of a prompt share them."""
    return _tracks(json.dumps(replace(case, id="any", twin="", seed=0, sample=0).to_json()))


@lru_cache(maxsize=16)
def _tracks(case_json: str) -> Tracks:
    case = Case.from_json(json.loads(case_json))
    return track(Video(given_frames(case), case.fps))


def at(t_s: Floats, values: Floats, fps: float) -> Floats:
    """Return rows of values [T, n] at moments [m] in seconds: those of the nearest frame."""
    return np.asarray(values[np.clip(np.rint(t_s * fps).astype(int), 0, len(values) - 1)])


def against(tracks: Tracks, i: int, source: Tracks, j: int) -> tuple[float, float]:
    """Return the distance of two tracks as a share of the shorter side that a quarter of the frames exceeds, and the ratio of their ways
    along x.

    Raises:
        UnjudgeableError: they are not seen in the same frames.
    """
    t_s = helpers.times(tracks)
    own = (tracks.xy[i] + 0.5) / np.array(tracks.size[::-1])
    other = (at(t_s, source.xy[j], source.fps) + 0.5) / np.array(source.size[::-1])
    both = np.isfinite(own[:, 0]) & np.isfinite(other[:, 0])
    if both.sum() < 4:
        raise UnjudgeableError("the object is not seen in four of the frames that show it in the source clip")
    scale = np.array(source.size[::-1]) / min(source.size)
    off = float(np.percentile(np.linalg.norm((own - other)[both] * scale, axis=1), 75))
    slopes = [float(np.polyfit(t_s[both], v[both, 0], 1)[0]) for v in (own, other)]
    return off, slopes[0] / slopes[1] if slopes[1] else 0.0


def seen_share(tracks: Tracks, colour: str) -> float:
    """Return the share of frames that show a colour's most visible track, 0 without one."""
    ids = tracks.of(colour)
    return float(tracks.visible[ids[0]].mean()) if ids else 0.0


def outline_kept(tracks: Tracks, i: int, source: Tracks, j: int) -> float:
    """Return how alike the outlines of two tracks are: aspect and extent, medians over the frames in which they are whole.

    Raises:
        UnjudgeableError: an outline is not known.
    """
    looks = []
    for track_set, k in ((tracks, i), (source, j)):
        whole = helpers.clear(track_set, k, [])
        values = [track_set.shape[name][k][whole] for name in ("aspect", "extent")]
        if not all(np.isfinite(v).any() for v in values):
            raise UnjudgeableError("the outline of the object is not known")
        looks.append([float(np.nanmedian(v)) for v in values])
    (aspect, extent), (other_aspect, other_extent) = looks
    off = max(abs(float(np.log(aspect / other_aspect))), 2.5 * abs(extent - other_extent))
    return helpers.ramp_score(off, 0.45, 0.75)
