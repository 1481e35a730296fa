"""Other looks at the truth: sizes, lights, compression and frame rates that no score should mind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sora_eval.types import Case, Video
from sora_eval.video import compress

ALL_LOOKS = "all at once"
LOOKS = ("256 px", "light left", "light warm", "light dim", "H.264 crf 28", "half the frame rate", ALL_LOOKS)
CHEAP = ("H.264 crf 28", "half the frame rate")
"""Looks that are made of a rendered clip: violations are looked at through these as well."""
LIGHTS = ("left", "warm", "dim")
_SIDE = 256


def asked(case: Case, look: str, number: int) -> Case:
    """Return a case as it is rendered for a look; by `number`, lights take turns where there is more to the look."""
    if look in ("256 px", ALL_LOOKS):
        case = replace(case, size=(_SIDE, _SIDE))
    light = LIGHTS[number % len(LIGHTS)] if look == ALL_LOOKS else look.removeprefix("light ")
    return replace(case, scene={**case.scene, "params": lit(case.scene["params"], light)}) if light in LIGHTS else case


def lit(params: Mapping[str, Any], light: str) -> dict[str, Any]:
    """Return the parameters of a scene under another light."""
    return {**params, "style": {**params["style"], "light": light}}


def seen(video: Video, look: str) -> Video:
    """Return a rendered clip through a look: compressed, or every second frame of it."""
    if look in ("H.264 crf 28", ALL_LOOKS):
        video = compress(video, 28)
    return Video(video.frames[::2], video.fps / 2) if look in ("half the frame rate", ALL_LOOKS) else video
