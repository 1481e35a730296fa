"""What the families of framing share: frames of any aspect ratio, views that place something in them, and what faults act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sora_eval.world.families.params import Params
from sora_eval.world.scene import Vec3

FOV = 40.0
"""Field of view across the shorter side of the frame in degrees."""
TAN = float(np.tan(np.radians(FOV / 2)))
"""Half of the shorter side over the distance."""


@dataclass(frozen=True, kw_only=True)
class FramedParams(Params):
    """Base of the parameters of a family whose camera stands where the frame's aspect ratio wants it."""

    aspect: float
    """Width of the frame over its height."""

    @property
    def half_frame(self) -> tuple[float, float]:
        """Half of the frame's width and height over the distance."""
        return TAN * max(1.0, self.aspect), TAN * max(1.0, 1 / self.aspect)


def eye_and_target(
    p: FramedParams, centre: Vec3, distance: float, across: float = 0.0, down_deg: float = 14.0
) -> tuple[Vec3, Vec3]:
    """Return where a camera stands and looks that shows `centre` halfway up, at `across` half widths right of the frame's middle.

    distance: depth of `centre` in metres; down_deg: by how many degrees the camera looks down.
    """
    x = centre[0] - across * p.half_frame[0] * distance
    down = np.radians(down_deg)
    eye = (x, centre[1] - distance * float(np.cos(down)), centre[2] + distance * float(np.sin(down)))
    return eye, (x, centre[1], centre[2])


def turn_deg(half: float, at: float, to: float) -> float:
    """Return by how many degrees a camera turns to the right so that what it shows at `at` half frames is at `to`. half: that of the frame
    over the distance.
    """
    return float(np.degrees(np.arctan(at * half) - np.arctan(to * half)))


def facts(
    *,
    out_deg: tuple[float, float],
    stretch: tuple[Literal["x", "y"], float],
    bars: Literal["x", "y"],
    elsewhere_deg: float | None = None,
    gradual: bool = False,
) -> dict[str, Any]:
    """Return what faults of framing act on.

    out_deg: turn of the camera (to the right, upwards) that puts a half of the subject out of the picture. stretch: axis along which the
    picture is stretched, and the place on it that stays, as a share of the side. bars: axis along which it is padded.
    elsewhere_deg: turn to the right that puts the subject at another place; None where no place is asked. gradual: whether the faults set
    in within the first half of the clip.
    """
    elsewhere = {} if elsewhere_deg is None else {"elsewhere_deg": elsewhere_deg}
    return {"framed": gradual, "out_deg": out_deg, "stretch": stretch, "bars": bars, **elsewhere}
