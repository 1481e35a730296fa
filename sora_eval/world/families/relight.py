"""The scene family "relight"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common, staged
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.candle import FLAME, FLAMES, TALL, Height, flame_mesh
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Dimming, Event, Scene

_SET_OFF, _TOUCH, _LEAVE, _GONE = 0.12, 0.42, 0.50, 0.80
"""Shares of the duration: the taper sets off, meets the wick, leaves it, is where it came from."""
_DARK = 0.45
_TAPER = (1.0, 0.2, 0.2)
_TIP_M = 0.3


@dataclass(frozen=True)
class RelightParams(Params):
    """Parameters of `Relight`."""

    candle: Colour
    """Colour of the candle."""
    flame: Colour
    """Colour of the flames, one of `candle.FLAMES`."""
    taper: Colour
    """Colour of the taper."""
    block: Colour
    """Colour of the block that has no part in it."""
    side: Side
    """Where the taper comes from."""
    height: Height
    """Height of the candle."""


class Relight(StateChange[RelightParams]):
    """A burning taper comes from one side and lights a candle that had gone out; the room brightens and the flame stays."""

    name = "relight"
    in_training = False

    def sample(self, rng: np.random.Generator) -> RelightParams:
        flame, candle, taper, block = staged.spaced_colours(rng, 4, FLAMES)
        return RelightParams(
            candle=candle,
            flame=flame,
            taper=taper,
            block=block,
            side=common.choose(rng, SIDES),
            height=common.choose(rng, tuple(TALL)),
            style=common.sample_style(rng),
        )

    def build(self, p: RelightParams, duration_s: float) -> Scene:
        """Return the scene; the taper's way takes two thirds of the clip's duration."""
        way, tall = SIGN[p.side], TALL[p.height]
        z = tall + 0.05 + FLAME[2] / 2
        lit_s = _TOUCH * duration_s
        far, near = 1.75, 0.12
        tip = tuple((u * duration_s, way * x, -0.25, z) for u, x in _keys(far, near))
        middle = tuple((t, x + way * (_TIP_M + _TAPER[0]) / 2, y, h) for t, x, y, h in tip)
        bodies = [
            Body("candle", "cylinder", (0.72, 0.72, tall), p.candle, (0.0, 0.0, tall / 2)),
            Body("wick", "cylinder", (0.1, 0.1, 0.24), "dark grey", (0.0, 0.0, tall + 0.12), tracked=False),
            Body("flame", "mesh", FLAME, p.flame, (0.0, 0.0, z), glow=1.0, shown=(lit_s, 1e9), mesh=flame_mesh()),
            Body("room", "box", (12.0, 0.2, 7.0), p.style.backdrop, (0.0, 1.6, 3.4), tracked=False),
            Body("taper", "box", _TAPER, p.taper, middle[0][1:], motion="path", path=middle, solid=False),
            Body(
                "tip", "ball", (_TIP_M,) * 3, p.flame, tip[0][1:], motion="path", path=tip, glow=1.0, solid=False,
                tracked=False,
            ),
            staged.bystander(p.block, OPPOSITE[p.side], x=1.2, y=0.0),
        ]  # fmt: skip
        facts = {
            "hero": "flame",
            "bystander": staged.BYSTANDER,
            "change": staged.change(["flame"], lit_s, _LEAVE * duration_s, lit_s, lamp=True),
        }
        events = (Event("lit", ("tip", "flame"), lit_s),)
        camera = common.front_view(duration_s, distance=5.0, height=1.5, look=(0.0, 0.0, 1.15))
        dimming = Dimming(((0.0, _DARK), (lit_s, 1.0)))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events, dimming=dimming)

    def states(self, p: RelightParams) -> tuple[str, str]:
        return (
            common.sentence(f"{common.article(p.candle)} candle without a flame"),
            common.sentence(f"{common.article(p.flame)} flame burns on {common.article(p.candle)} candle"),
        )

    def phrases(self, p: RelightParams) -> list[str]:
        side = p.side
        candle, taper = f"{p.candle} candle", f"{p.taper} taper"
        flame = common.article(f"{p.flame} flame")
        block = staged.beside(p.block, OPPOSITE[side])
        return [
            f"a {candle} has gone out; a burning {taper} comes from the {side}, lights it again with {flame} and goes"
            f" back to the {side}, the room gets brighter and the candle burns on; {block}",
            f"{block} beside an unlit {candle}; from the {side} a burning {taper} comes up to the wick and the candle"
            f" catches fire; the taper goes back to the {side}, {flame} stays on the candle and lights the room",
            f"an unlit {candle} is lit again by a burning {taper} that comes from the {side} and leaves to the {side};"
            f" {flame} burns on the candle from then on, the room is brighter, and {block}",
        ]

    def details(self, p: RelightParams) -> str:
        return (
            f"The candle is {p.height} and thick. {common.style_words(p.style, wall=True)} The camera is close and does"
            " not move."
        )

    def setting(self, p: RelightParams) -> str:
        """Return what a prompt adds to the short caption: the room's own wall is all that is seen behind."""
        return common.setting(p.style, self.camera, wall=True)


def _keys(far: float, near: float) -> tuple[tuple[float, float], ...]:
    """Return the key frames of the tip: shares of the duration and distances from the wick in metres."""
    return (_SET_OFF, far), (_TOUCH, near), (_LEAVE, near), (_GONE, far)
