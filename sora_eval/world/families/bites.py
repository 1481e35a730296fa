"""The scene family "bites"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from manifold3d import Manifold

from sora_eval.world import shapes
from sora_eval.world.families import common, staged
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Event, Mesh, Scene, Vec3

BITES = 3
BAR: Vec3 = (1.8, 0.4, 0.8)
_BITER_M = 0.9
_NEAR = -0.55
"""Where the bar begins, in metres along the creature's way; the middle of the frame is 0."""
_AT = (0.24, 0.47, 0.70)
"""Shares of the duration at which it bites; it stays there for `_STAY`."""
_STAY = 0.06
_KEYS = ((0.08, -1.75), (0.38, -1.25), (0.615, -1.1), (0.92, -1.75))
"""Shares of the duration and places of the creature's middle along its way, in metres, before, between and after the bites."""


@dataclass(frozen=True)
class BitesParams(Params):
    """Parameters of `Bites`."""

    bar: Colour
    """Colour of the bar."""
    biter: Colour
    """Colour of the creature."""
    block: Colour
    """Colour of the block that has no part in it."""
    side: Side
    """Where the creature comes from, and the end of the bar that it eats."""
    depth: float
    """How much of the bar a bite takes, in metres."""


class Bites(StateChange[BitesParams]):
    """A ball-shaped creature comes up to a long bar three times and bites a piece off its end each time."""

    name = "bites"
    in_training = False

    def sample(self, rng: np.random.Generator) -> BitesParams:
        bar, biter, block = staged.spaced_colours(rng, 3)
        return BitesParams(
            bar=bar,
            biter=biter,
            block=block,
            side=common.choose(rng, SIDES),
            depth=round(float(rng.uniform(0.36, 0.44)), 3),
            style=common.sample_style(rng),
        )

    def build(self, p: BitesParams, duration_s: float) -> Scene:
        """Return the scene; the three visits take three quarters of the clip's duration."""
        way = -SIGN[p.side]
        place: Vec3 = (way * (_NEAR + BAR[0] / 2), 0.0, BAR[2] / 2)
        times = [0.0, *(u * duration_s for u in _AT)]
        bodies = []
        for k in range(BITES + 1):
            shown = (times[k] if k else -1e9, times[k + 1] if k < BITES else 1e9)
            mesh = _bitten(k * p.depth, way)
            bodies.append(Body(f"bar{k}", "mesh", BAR, p.bar, place, shown=shown, mesh=mesh))
        stops = [
            (u + stay, _NEAR + p.depth * (k + 1) - _BITER_M / 2) for k, u in enumerate(_AT) for stay in (0.0, _STAY)
        ]
        keys = tuple((u * duration_s, way * x) for u, x in sorted([*_KEYS, *stops]))

        def walk(dx: float, dy: float, dz: float) -> tuple[tuple[float, float, float, float], ...]:
            return tuple((t, x + way * dx, dy, 0.46 + dz) for t, x in keys)

        for name, wide, colour, offset, tracked in (
            ("biter", _BITER_M, p.biter, (0.0, 0.0, 0.0), True),
            ("eye", 0.24, "white", (0.08, -0.34, 0.2), False),
            ("pupil", 0.13, "dark grey", (0.11, -0.44, 0.21), False),
        ):
            path = walk(*offset)
            bodies.append(
                Body(name, "ball", (wide,) * 3, colour, path[0][1:], motion="path", path=path, tracked=tracked)
            )
        bodies.append(staged.bystander(p.block, OPPOSITE[p.side], x=1.7, y=3.2, wide_m=0.85))
        facts = {
            "hero": "biter",
            "bystander": staged.BYSTANDER,
            "change": staged.change(
                [f"bar{k}" for k in range(BITES + 1)], times[1], 0.78 * duration_s, 0.24 * duration_s
            ),
        }
        events = tuple(Event("bite", ("biter", "bar0"), t) for t in times[1:])
        camera = common.front_view(duration_s, distance=5.0, height=2.6, look=(0.0, 0.0, 0.7))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events)

    def states(self, p: BitesParams) -> tuple[str, str]:
        return f"A long {p.bar} bar.", f"The short rest of {common.article(p.bar)} bar, bitten off on the {p.side}."

    def phrases(self, p: BitesParams) -> list[str]:
        side = p.side
        bar, biter = f"long {p.bar} bar", f"{p.biter} ball-shaped creature"
        block = f"{common.article(f'{p.block} block')} stands behind on the {OPPOSITE[side]}"
        return [
            f"{common.article(biter)} comes from the {side} and eats a {bar} bite by bite: three times it bites a piece off"
            f" its {side} end and backs off to the {side} in between; {block}",
            f"a {bar} lies on the floor; {common.article(biter)} from the {side} takes three bites out of it, one after"
            f" the other, each from its {side} end, backing off after each; the bar gets shorter with every bite; {block}",
            f"bite by bite, three times, {common.article(biter)} bites a piece off the {side} end of a {bar} and moves"
            f" back to the {side}, so that only a short rest of the bar is left; {block}",
        ]

    def details(self, p: BitesParams) -> str:
        return f"The bar does not move. {common.style_words(p.style)} The camera is close and does not move."


@lru_cache(maxsize=32)
def _bitten(length: float, way: float) -> Mesh:
    """Return the bar less `length` metres at the end that the creature reaches first: it goes towards +x or -x."""
    bar = Manifold.cube(BAR, True)
    if length:
        end = -BAR[0] / 2 + length
        # As tall as the bar and more: nothing is left above or below a bite.
        tool = (
            Manifold.cylinder(2.0, 1.2, 1.2, 48, center=True).rotate((90.0, 0.0, 0.0)).translate((end - 1.2, 0.0, 0.1))
        )
        bar = bar - tool - Manifold.cube((2.0, 2.0, 2.0), True).translate((end - 1.2, 0.0, 0.0))
    return shapes.to_mesh(bar if way > 0 else bar.mirror((1.0, 0.0, 0.0)))
