"""The way of a clip to its score: aligned with its case, tracked, and judged by the case's probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sora_eval.alignment.align import Aligned, align
from sora_eval.alignment.first_frame import first_frame_fidelity
from sora_eval.errors import MachineError, VideoError
from sora_eval.generator.simulator import true_video
from sora_eval.probes.base import Probe
from sora_eval.tracking.base import Tracker
from sora_eval.types import Case, Score, Tracks, Video
from sora_eval.video.audio import read_audio

_DOUBTFUL = 0.5
"""Score below which a clip that shows a part of the frame is judged only where that of the truth in the same part is not below it."""


def score_of(
    case: Case, video: Video, tracker: Tracker, probe: Probe, keep: Callable[[Tracks], object] = lambda tracks: None
) -> Score:
    """Align, track and score a clip. keep: receives its tracks, before they are scored.

    Raises:
        Exception: whatever a tracker or a probe of a plug-in raises.
    """
    # What a probe of the whole frame measures must not be cut off before.
    aligned = Aligned(video, case, None) if probe.whole_frame else align(case, video)
    tracks = _tracked(tracker, aligned.case, aligned.video)
    keep(tracks)
    score = probe.score(aligned.case, aligned.video, tracks)
    if score.value is not None and (heard := _sound(aligned.case, video, tracks, probe)):
        score = replace(score, components={**score.components, **heard})
    if aligned.cut and (score.value is None or score.value < _DOUBTFUL) and (why := _unfit(aligned, tracker, probe)):
        score = Score(None, why)
    return replace(score, alignment=aligned.alignment, first_frame=first_frame_fidelity(case, video, aligned))


def _sound(case: Case, video: Video, tracks: Tracks, probe: Probe) -> dict[str, float]:
    """Return what is measured of a clip's audio track, {} where it has none or can't be read: the picture is judged all the same."""
    # Only of a probe that measures contacts is a track decoded.
    if not video.file or type(probe).contacts is Probe.contacts:
        return {}
    try:
        audio = read_audio(video.file)
    except MachineError:
        raise
    except VideoError:
        return {}
    return {} if audio is None else probe.sound(case, audio, tracks)


def _tracked(tracker: Tracker, case: Case, video: Video) -> Tracks:
    tracks = tracker.track(video, case)
    _check_tracks(tracker.name, tracks, video)
    return tracks


def _unfit(aligned: Aligned, tracker: Tracker, probe: Probe) -> str:
    """Return why a case can't be judged in the part of the frame that a clip shows, "" when the true clip can: what the probe needs may
    have been cut off.
    """
    true = true_video(aligned.case)
    score = probe.score(aligned.case, true, _tracked(tracker, aligned.case, true))
    if score.value is not None and score.value >= _DOUBTFUL:
        return ""
    assert aligned.alignment is not None
    assert aligned.alignment.given is not None
    shown = aligned.alignment.given
    part = f"{shown.box[2] - shown.box[0]:.0f}x{shown.box[3] - shown.box[1]:.0f} of {shown.frame[1]}x{shown.frame[0]}"
    return f"the clip shows {part} pixels of the given frames, in which the true clip can't be judged either: return all of them"


def _check_tracks(tracker: str, tracks: object, video: Video) -> None:
    """Refuse tracks that are not of a clip: a probe would judge motion that nobody drew.

    Raises:
        TypeError: they are no tracks.
        ValueError: they have another number of frames, another size or rate.
    """
    if not isinstance(tracks, Tracks):
        raise TypeError(f"tracker {tracker} returned a {type(tracks).__name__}, Tracks are needed")
    got, need = (tracks.frames, tracks.size, float(tracks.fps)), (len(video), video.size, float(video.fps))
    if got != need:
        names = ("frames", "size", "fps")
        wrong = ", ".join(f"{n} {g} for {v}" for n, g, v in zip(names, got, need, strict=True) if g != v)
        raise ValueError(f"tracker {tracker} returned tracks of another clip: {wrong}")
