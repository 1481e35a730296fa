"""The trials of tracking metrics: the clips and tracks of one probe's trials, and clips in which two things exchange their identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sora_eval.probes.base import Probe
from sora_eval.tracking.metrics import METRICS, tracking_metrics
from sora_eval.tracking.truth import true_tracks
from sora_eval.types import Case, Tracks, Video
from sora_eval.world import frame_times, from_states, scene_of
from sora_eval.world.physics import simulate

PROBE = "pass_behind"
"""The probe whose clips are measured: a thing is hidden and comes out, and every fault of permanence applies."""
SCENES = 8
"""So many scenes: a paired test needs six to be significant at .05, and a clip takes a fifth of a second."""
EXCHANGE = "exchange"


def measured(probe: Probe, scene: int, first_held: int) -> bool:
    """Return whether a scene of a probe is measured; those from `first_held` on are of the second set of true clips."""
    return probe.name == PROBE and (scene if scene < first_held else scene - first_held) < SCENES


def values(case: Case, video: Video, tracks: Tracks) -> dict[str, float | None]:
    """Return every tracking metric of a clip: as an answer to a case with one given frame, and to the same case without."""
    with_frame = replace(case, mode="i2v", given=1)
    found: dict[str, float | None] = {}
    for some in (with_frame, replace(case, mode="t2v", given=0)):
        found |= tracking_metrics(some, video, tracks, true_tracks(some))
    # The scene's camera stands still: there is no other view for epipolar geometry or reprojection.
    return {name: value for name, value in found.items() if name in tried()}


def tried() -> tuple[str, ...]:
    """Return the names of the metrics that the probe's scenes are made for."""
    return tuple(m.name for m in METRICS if m.name not in ("reprojection error", "epipolar error", "epipolar support"))


def exchanged(case: Case, severity: float) -> Video:
    """Return the true clip in which hero and cover exchange their colours for the last `severity` share of the time after the hero hid."""
    scene = scene_of(case.scene, (case.frames - 1) / case.fps)
    states = simulate(scene, frame_times(case.frames, case.fps))
    names = [b.name for b in scene.bodies]
    pair = [names.index(scene.facts[k]) for k in ("hero", "cover")]
    hidden = sum(scene.facts["hidden_s"]) / 2
    late = states.t_s > scene.duration_s - severity * (scene.duration_s - hidden) + 1e-9
    rgb = states.rgb.copy()
    for i, j in (pair, pair[::-1]):
        rgb[late, i] = states.rgb[late, j]
    return from_states(scene, replace(states, rgb=rgb), case.size, case.fps).video


_CONTROLS = ("frozen", "shuffled", "reversed", "mirrored", "noise", "blank", "other")
_ELSEWHERE = ("stopped", "teleports", "changes_shape")
_NEW = ("duplicates", "appears_from_nowhere")
_LOST = "what is missing or elsewhere is missed, not taken for another"
_AS_MANY = "as many things are shown"
_NO_EXIT = "what is never hidden, or never comes back, has no exit: the re-identification rate has that"
_STILL = "most points are always visible, and a picture that stands still shows them all"
_OF_FIRST = "no point of the first frame is concerned"


def _for(names: Sequence[str], why: str) -> dict[str, str]:
    return dict.fromkeys(names, why)


_UNCLAIMED: Mapping[str, Mapping[str, str]] = {
    "DetA": _for(("changes_colour", EXCHANGE), "a box has no identity"),
    "AssA": _for(("appears_from_nowhere",), "a false box has no true one that it could be linked with"),
    **{
        name: _for((*_CONTROLS, "vanishes", *_ELSEWHERE, "appears_from_nowhere"), _LOST)
        for name in ("ID switches", "ID switches across occlusion")
    },
    "re-identification rate": _for(("appears_from_nowhere",), "the hidden thing is found all the same"),
    **{
        name: {
            **_for((*_CONTROLS, "vanishes", "changes_colour"), _NO_EXIT),
            "appears_from_nowhere": "the hidden thing comes out as it must",
        }
        for name in ("exit error, place", "exit error, time")
    },
    "count consistency": _for(("reversed", "mirrored", "changes_colour", EXCHANGE), _AS_MANY),
    "point OA": {**_for(_CONTROLS[:4], _STILL), "other": _STILL, **_for(_NEW, _OF_FIRST)},
    **{
        name: _for(_NEW, _OF_FIRST)
        for name in ("point delta_avg", "point AJ", "point AJ after reappearance", "point re-identification rate")
    },
    "fragments": _for(
        (
            *(c for c in _CONTROLS if c not in ("shuffled", "noise")),
            "vanishes",
            *_ELSEWHERE,
            "changes_colour",
            *_NEW,
            EXCHANGE,
        ),
        "a track that ends, or goes on elsewhere, is not broken",
    ),
    "identity switches by motion": _for((*_CONTROLS, "vanishes", *_ELSEWHERE, *_NEW), _LOST),
    "count consistency with the words": {
        **_for(
            ("frozen", "shuffled", "reversed", "mirrored", "other", *_ELSEWHERE, "changes_colour", EXCHANGE), _AS_MANY
        ),
        "vanishes": "words do not say when a thing is hidden, so one that is gone may be",
    },
}


def unclaimed(metric: str) -> Mapping[str, str]:
    """Return, by what is done to the clips, why a metric does not claim to notice it."""
    return _UNCLAIMED.get(metric, {})
