"""The scene family "camera_pan"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, REVERSED, SIDES, SIGN, Params, Side
from sora_eval.world.families.things import Thing, listed, sample_thing
from sora_eval.world.scene import Scene

_AZIMUTHS = (-24.0, -8.0, 8.0, 24.0)
_EYE = (0.0, -6.8, 1.9)
_PAN_DEG = 15.0


@dataclass(frozen=True)
class CameraPanParams(Params):
    """Parameters of `CameraPan`."""

    row: Annotated[tuple[Thing, ...], REVERSED]
    """The objects from left to right."""
    away: Annotated[tuple[float, ...], REVERSED]
    """Their distances from the camera in metres."""
    to: Side
    """Direction of the pan."""


class CameraPan(Family[CameraPanParams]):
    """The camera pans to the left or right over objects that stand in a row."""

    name = "camera_pan"
    camera = ""

    def sample(self, rng: np.random.Generator) -> CameraPanParams:
        colours = common.sample_colours(rng, len(_AZIMUTHS))
        return CameraPanParams(
            row=tuple(sample_thing(rng, c) for c in colours),
            away=tuple(round(float(v), 2) for v in rng.uniform(6.2, 7.4, len(_AZIMUTHS))),
            to=common.choose(rng, SIDES),
            style=common.sample_style(rng),
        )

    def build(self, p: CameraPanParams, duration_s: float) -> Scene:
        """Return the scene: objects on an arc around the camera, `away` metres from it, and a pan over 30 degrees."""
        way = SIGN[p.to]
        bodies = []
        for i, (thing, far, angle) in enumerate(zip(p.row, p.away, np.radians(_AZIMUTHS), strict=True)):
            x, y = far * np.sin(angle), _EYE[1] + far * np.cos(angle)
            bodies.append(thing.stand(f"thing{i}", float(x), float(y)))

        def pan(u: float) -> float:
            return way * _PAN_DEG * (2 * u - 1)

        view = cameras.turn(duration_s, _EYE, (0.0, 0.0, 0.85), pan, lambda u: 0.0)
        facts = {"hero": [b.name for b in bodies], "sided": []}
        return common.set_up(p.style, bodies, view, duration_s, facts=facts)

    def phrases(self, p: CameraPanParams) -> list[str]:
        to, start = p.to, OPPOSITE[p.to]
        names = sorted(t.words for t in p.row)
        row = listed(names)
        return [
            f"the camera pans to the {to} over {row}, which stand in a row",
            f"{row} stand in a row; the camera pans from {start} to {to}",
            f"a slow pan to the {to} along a row of things: {row}",
        ]

    def details(self, p: CameraPanParams) -> str:
        sizes = " ".join(t.looks for t in sorted(p.row, key=lambda t: t.colour))
        return f"{sizes} Nothing but the camera moves. {common.style_words(p.style)}"
