"""Nuisance transforms: sizes, lights, compression and frame rates that change a true clip and must not change its score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sora_eval.types import Case, Video
from sora_eval.video import compress
from sora_eval.world.looks import LOOKS

ALL_AT_ONCE = "all at once"
NUISANCES = ("256 px", "light left", "light warm", "light dim", "H.264 crf 28", "half the frame rate", ALL_AT_ONCE)
"""The nuisance transforms of probes."""
POST_RENDER = ("H.264 crf 28", "half the frame rate")
"""Those of a rendered clip: violations are tried under them as well."""
LIGHTS = ("left", "warm", "dim")
LOOK_SEVERITIES = (0.5, 1.0)
"""Severities of each look that the truth is tried in."""
_SIDE_PX = 256


def transformed_case(case: Case, nuisance: str, number: int) -> Case:
    """Return a case whose scene is rendered larger or under another light, by the nuisance transform.

    number: of the scene; ALL_AT_ONCE takes the lights by turns.
    """
    if nuisance in ("256 px", ALL_AT_ONCE):
        # A case whose scene depends on the aspect ratio keeps it.
        stretch = (case.size[0] / case.size[1]) ** 0.5 if "aspect" in case.expect else 1.0
        case = replace(case, size=(round(_SIDE_PX * stretch), round(_SIDE_PX / stretch)))
    light = LIGHTS[number % len(LIGHTS)] if nuisance == ALL_AT_ONCE else nuisance.removeprefix("light ")
    if light not in LIGHTS:
        return case
    return with_style(case, {"light": light})


def relit(params: Mapping[str, Any], light: str) -> dict[str, Any]:
    """Return the parameters of a scene under another light."""
    return _styled(params, {"light": light})


def _styled(params: Mapping[str, Any], style: Mapping[str, Any]) -> dict[str, Any]:
    return {**params, "style": {**params["style"], **style}}


def with_style(case: Case, style: Mapping[str, Any]) -> Case:
    """Return a case whose scene, and that of its source clip, has some fields of its style replaced."""
    both = {key: _styled(case.scene[key], style) for key in ("params", "source") if key in case.scene}
    return replace(case, scene={**case.scene, **both})


def looks_of(case: Case) -> Iterator[tuple[str, float, Case]]:
    """Yield a case in every look: its name, its severity and the case; materials differ by the seed of the case."""
    for name in LOOKS:
        for severity in LOOK_SEVERITIES:
            look = {"name": name, "severity": severity, "seed": case.seed, "flipped": False}
            yield name, severity, with_style(case, {"look": look})


def transformed(video: Video, nuisance: str) -> Video:
    """Return a rendered clip compressed or at half its frame rate, by the nuisance transform; others change nothing here."""
    if nuisance in ("H.264 crf 28", ALL_AT_ONCE):
        video = compress(video, 28)
    return Video(video.frames[::2], video.fps / 2) if nuisance in ("half the frame rate", ALL_AT_ONCE) else video
