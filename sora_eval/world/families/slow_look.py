"""The scene family "slow_look"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Params, Side
from sora_eval.world.families.room import Placed
from sora_eval.world.families.things import listed
from sora_eval.world.scene import CameraPath, Scene

_EYE, _LOOK = (0.0, -8.4, 2.9), (0.0, 0.0, 0.7)
FOV_DEG = 40.0
"""Field of view of the camera in degrees."""
_PAN = ((5.0, 6.1), (2.3, 3.7))
"""Turns (degrees, period in seconds) to the side; their sum has no period of its own, so that no view comes twice in the same way."""
_TILT = (1.4, 4.7)
_KEYS_PER_S = 30.0


@dataclass(frozen=True)
class SlowLookParams(Params):
    """Parameters of `SlowLook`."""

    to: Side
    """The side to which the camera turns first."""
    things: tuple[Placed, ...]
    """The objects from left to right."""

    def mirrored(self) -> SlowLookParams:
        """Return the parameters in a mirror; the objects go on standing from left to right."""
        image = super().mirrored()
        return type(self)(to=image.to, things=image.things[::-1], style=image.style)


class SlowLook(Family[SlowLookParams]):
    """A camera that looks slowly about, for as long as the clip lasts, among three patterned objects that stay."""

    name = "slow_look"
    camera = ""
    in_training = False

    def sample(self, rng: np.random.Generator) -> SlowLookParams:
        colours = common.sample_colours(rng, 3)
        things = tuple(
            Placed(
                shape=common.choose(rng, common.SHAPES),
                colour=colours[i],
                size=round(float(rng.uniform(0.85, 0.98)), 2),
                x=round(float(x + rng.uniform(-0.1, 0.1)), 2),
                y=round(float(rng.uniform(-0.3, 0.6)), 2),
                yaw=round(float(rng.uniform(0, 90)), 0),
                texture=common.choose(rng, ("striped", "dotted")),
            )
            for i, x in enumerate((-1.25, 0.0, 1.25))
        )
        return SlowLookParams(to=common.choose(rng, SIDES), things=things, style=common.sample_style(rng))

    def build(self, p: SlowLookParams, duration_s: float) -> Scene:
        """Return the scene; the camera turns at the same speed in clips of every length."""
        bodies = [
            common.standing(f"thing{i}", o.shape, o.size, o.colour, o.x, o.y, yaw=o.yaw, texture=o.texture)
            for i, o in enumerate(p.things)
        ]
        facts = {
            "hero": [f"thing{i}" for i in range(len(p.things))],
            "hidden_s": (0.1 * duration_s, 0.2 * duration_s),
            "stranger": (0.6, -1.9, 0.0),
            "long": True,
        }
        return common.set_up(p.style, bodies, _swaying(SIGN[p.to], duration_s), duration_s, facts=facts)

    def phrases(self, p: SlowLookParams) -> list[str]:
        things = listed([common.article(f"{o.texture} {o.colour} {o.shape}") for o in p.things])
        side = p.to
        return [
            f"the camera looks slowly about on the spot, first to the {side}, then to and fro without a rest; from left to right "
            f"{things} stand still",
            f"from left to right, {things} stand still side by side while the camera turns slowly to the {side} and back again, "
            f"on and on, and everything stays as it is",
            f"{things} stand in a row from left to right; the camera turns to the {side}, to the {OPPOSITE[side]} and so on, slowly, "
            f"for the whole clip",
        ]

    def details(self, p: SlowLookParams) -> str:
        return f"{common.style_words(p.style)} Nothing but the camera moves."


def _swaying(way: float, duration_s: float) -> CameraPath:
    t_s = np.linspace(0.0, duration_s, int(np.ceil(duration_s * _KEYS_PER_S)) + 1)
    eye, look = (np.tile(np.array(v), (len(t_s), 1)) for v in (_EYE, _LOOK))
    still = CameraPath(t_s, eye, look, np.full(len(t_s), FOV_DEG))
    pan = np.sum([degrees * np.sin(2 * np.pi * t_s / period) for degrees, period in _PAN], axis=0)
    return cameras.turned(still, way * pan, _TILT[0] * np.sin(2 * np.pi * t_s / _TILT[1]))
