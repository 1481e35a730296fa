"""Trials of tracking metrics: on the clips and tracks of one probe's trials, and on clips in which two objects swap identities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sora_eval.generator.base import CONTROL_NAMES
from sora_eval.probes.base import Probe
from sora_eval.tracking.metrics import METRICS, tracking_metrics
from sora_eval.tracking.truth import true_tracks
from sora_eval.types import Case, Tracks, Video
from sora_eval.world import frame_times, from_states, scene_of
from sora_eval.world.physics import simulate

PROBE = "pass_behind"
"""The probe whose clips are measured: an object is occluded and reappears, and every fault of permanence applies."""
SCENES = 8
"""Scenes that are measured: a paired test needs six to be significant at .05, and a clip takes a fifth of a second."""
SWAP = "exchange"
"""The corruption in which hero and occluder swap colours while the hero is hidden."""


def is_measured(probe: Probe, scene: int, first_held: int) -> bool:
    """Return whether tracking metrics are measured on a scene; scenes from `first_held` on are the second set of true clips."""
    return probe.name == PROBE and (scene if scene < first_held else scene - first_held) < SCENES


def metric_values(case: Case, video: Video, tracks: Tracks) -> dict[str, float | None]:
    """Return every tracking metric of a clip: as an answer to a case with one given frame, and to the same case without."""
    values: dict[str, float | None] = {}
    for variant in (replace(case, mode="i2v", given=1), replace(case, mode="t2v", given=0)):
        values |= tracking_metrics(variant, video, tracks, true_tracks(variant))
    return {name: value for name, value in values.items() if name in metric_names()}


def metric_names() -> tuple[str, ...]:
    """Return the names of the metrics that are validated.

    The camera of the probe's scenes stands still: there is no other view for epipolar geometry or reprojection.
    """
    return tuple(m.name for m in METRICS if m.name not in ("reprojection error", "epipolar error", "epipolar support"))


def with_swapped_identities(case: Case, severity: float) -> Video:
    """Return the true clip in which hero and occluder swap colours for the last `severity` share of the time after the hero hid."""
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


_ELSEWHERE = ("stopped", "teleports", "changes_shape")
_NEW = ("duplicates", "appears_from_nowhere")
_LOST = "a missing or displaced object is lost, not taken for another"
_AS_MANY = "the number of objects is the same"
_NO_EXIT = "without occlusion or reappearance there is no exit: the re-identification rate covers that"
_STILL = "most points are always visible, and a still picture shows them all"
_OF_FIRST = "no point of the first frame is affected"


_BLIND_SPOTS: Mapping[str, Mapping[str, str]] = {
    "DetA": dict.fromkeys(("changes_colour", SWAP), "detection ignores identity"),
    "AssA": dict.fromkeys(("appears_from_nowhere",), "a false box has no true one to be associated with"),
    **{
        name: dict.fromkeys((*CONTROL_NAMES, "vanishes", *_ELSEWHERE, "appears_from_nowhere"), _LOST)
        for name in ("ID switches", "ID switches across occlusion")
    },
    "re-identification rate": dict.fromkeys(
        ("appears_from_nowhere",), "the hidden object is re-identified all the same"
    ),
    **{
        name: {
            **dict.fromkeys((*CONTROL_NAMES, "vanishes", "changes_colour"), _NO_EXIT),
            "appears_from_nowhere": "the hidden object reappears as it must",
        }
        for name in ("exit error, place", "exit error, time")
    },
    "count consistency": dict.fromkeys(("reversed", "mirrored", "changes_colour", SWAP), _AS_MANY),
    "point OA": {**dict.fromkeys(CONTROL_NAMES[:4], _STILL), "other": _STILL, **dict.fromkeys(_NEW, _OF_FIRST)},
    **{
        name: dict.fromkeys(_NEW, _OF_FIRST)
        for name in ("point delta_avg", "point AJ", "point AJ after reappearance", "point re-identification rate")
    },
    "fragments": dict.fromkeys(
        (
            *(c for c in CONTROL_NAMES if c not in ("shuffled", "noise")),
            "vanishes",
            *_ELSEWHERE,
            "changes_colour",
            *_NEW,
            SWAP,
        ),
        "a track that ends, or goes on elsewhere, is not fragmented",
    ),
    "identity switches by motion": dict.fromkeys((*CONTROL_NAMES, "vanishes", *_ELSEWHERE, *_NEW), _LOST),
    "count consistency with the words": {
        **dict.fromkeys(
            ("frozen", "shuffled", "reversed", "mirrored", "other", *_ELSEWHERE, "changes_colour", SWAP), _AS_MANY
        ),
        "vanishes": "a prompt does not say when an object is hidden, so one that vanished may be",
    },
}


def blind_spots(metric: str) -> Mapping[str, str]:
    """Return the known blind spots of a metric: the reason, by condition."""
    return _BLIND_SPOTS.get(metric, {})
