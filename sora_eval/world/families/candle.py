"""The scene family "candle"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from manifold3d import Manifold

from sora_eval.world import shapes
from sora_eval.world.families import common
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Dimming, Event, Mesh, Scene, Vec3

FLAMES: tuple[str, ...] = ("yellow", "orange")
FLAME: Vec3 = (0.56, 0.56, 0.86)
Height = Literal["short", "tall"]
TALL: dict[Height, float] = {"short": 0.95, "tall": 1.25}
_PUFF = ((0.0, 0.0, 0.62), (-0.30, 0.10, 0.46), (-0.24, -0.16, 0.40))
"""The balls of the puff: offset along its way, offset upwards and diameter, metres."""
_WAIT, _THROUGH = 0.08, 0.88
_DIMMED = 0.35


@dataclass(frozen=True)
class CandleParams(Params):
    """Parameters of `Candle`."""

    candle: Colour
    """Colour of the candle."""
    flame: Colour
    """Colour of the flame, one of `FLAMES`."""
    puff: Colour
    """Colour of the puff of air."""
    side: Side
    """Where the puff comes from."""
    height: Height
    """Height of the candle, a key of `TALL`."""


class Candle(StateChange[CandleParams]):
    """A puff of coloured air drifts in from one side and blows out a candle; the room darkens with the flame."""

    name = "candle"

    def sample(self, rng: np.random.Generator) -> CandleParams:
        candle, puff = [c for c in common.sample_colours(rng, 8) if c not in FLAMES][:2]
        return CandleParams(
            candle=candle,
            flame=common.choose(rng, FLAMES),
            puff=puff,
            side=common.choose(rng, SIDES),
            height=common.choose(rng, tuple(TALL)),
            style=common.sample_style(rng),
        )

    def build(self, p: CandleParams, duration_s: float) -> Scene:
        """Return the scene; the puff crosses it once in the clip's duration."""
        way = -SIGN[p.side]
        tall = TALL[p.height]
        z = tall + 0.05 + FLAME[2] / 2
        near, far = -1.22, 1.36
        set_off, through = _WAIT * duration_s, _THROUGH * duration_s
        # The flame goes out as the puff's front touches it.
        out_s = set_off + (through - set_off) * (0.02 - near - (_PUFF[0][2] + FLAME[0]) / 2) / (far - near)
        bodies = [
            Body("candle", "cylinder", (0.72, 0.72, tall), p.candle, (0.0, 0.0, tall / 2)),
            Body("wick", "cylinder", (0.07, 0.07, 0.2), "dark grey", (0.0, 0.0, tall + 0.1), tracked=False),
            Body("flame", "mesh", FLAME, p.flame, (0.0, 0.0, z), glow=1.0, shown=(-1e9, out_s), mesh=flame_mesh()),
            Body("room", "box", (12.0, 0.2, 7.0), p.style.backdrop, (0.0, 1.6, 3.4), tracked=False),
        ]
        for k, (back, up, wide) in enumerate(_PUFF):
            keys = tuple((t, x + way * back, -0.1, z + up) for t, x in ((set_off, way * near), (through, way * far)))
            bodies.append(
                Body(f"puff{k}", "ball", (wide,) * 3, p.puff, keys[0][1:], motion="path", path=keys, solid=False)
            )
        for k in range(3):
            from_s = out_s + 0.04 * k * duration_s
            keys = tuple(
                (t, 0.06 * (k - 1), 0.0, h) for t, h in ((from_s, tall + 0.3), (duration_s, tall + 1.15 - 0.28 * k))
            )
            size = (0.13 + 0.04 * (2 - k),) * 3
            bodies.append(
                Body(
                    f"smoke{k}",
                    "ball",
                    size,
                    "grey",
                    keys[0][1:],
                    motion="path",
                    path=keys,
                    shown=(from_s, 1e9),
                    tracked=False,
                )
            )
        effect = ["flame", "smoke0", "smoke1", "smoke2"]
        facts = {
            "hero": "flame",
            "change": {"cause_s": out_s, "effect": effect, "lamp": True, "lead_s": out_s, "done_s": duration_s * 0.6},
        }
        events = (Event("out", ("puff0", "flame"), out_s),)
        camera = common.front_view(duration_s, distance=5.0, height=1.5, look=(0.0, 0.0, 1.15))
        dimming = Dimming(((0.0, 1.0), (out_s, _DIMMED)))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events, dimming=dimming)

    def states(self, p: CandleParams) -> tuple[str, str]:
        return (
            common.sentence(f"{common.article(p.flame)} flame burns on {common.article(p.candle)} candle"),
            common.sentence(f"{common.article(p.candle)} candle without a flame"),
        )

    def phrases(self, p: CandleParams) -> list[str]:
        side, far = p.side, OPPOSITE[p.side]
        candle, flame, puff = f"{p.candle} candle", f"{p.flame} flame", f"{p.puff} puff of air"
        return [
            f"a {candle} burns with {common.article(flame)}; a {puff} comes from the {side}, blows it out and drifts"
            f" on to the {far},"
            " and the room gets darker",
            f"a {puff} drifts from {side} to {far} past a burning {candle}; its {flame} goes out as the puff arrives,"
            " and the room darkens",
            f"{common.article(flame)} burns on a {candle} until a {puff} from the {side} blows it out; the light goes"
            " with it, and the puff moves"
            f" on to the {far}",
        ]

    def details(self, p: CandleParams) -> str:
        return (
            f"The candle is {p.height} and thick, and grey smoke rises from its wick at the end."
            f" {common.style_words(p.style, wall=True)} The camera is close and does not move."
        )

    def setting(self, p: CandleParams) -> str:
        """Return what a prompt adds to the short caption: the room's own wall is all that is seen behind."""
        return common.setting(p.style, self.camera, wall=True)


@lru_cache(maxsize=1)
def flame_mesh() -> Mesh:
    """Return a flame: a ball drawn out to a tip, centred on its box."""
    radius = FLAME[0] / 2
    low = Manifold.sphere(radius, 28).translate((0.0, 0.0, radius - FLAME[2] / 2))
    tip = Manifold.sphere(0.02, 8).translate((0.0, 0.0, FLAME[2] / 2 - 0.02))
    return shapes.to_mesh(Manifold.batch_hull([low, tip]))
