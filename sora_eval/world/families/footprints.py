"""The scene family "footprints"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common, staged
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Event, Scene, Vec3

PRINTS = 3
SANDS: tuple[str, ...] = ("yellow", "orange")
_BOX: Vec3 = (3.2, 1.5, 0.16)
_APART_M = 0.95
_STEP_AT = (0.26, 0.45, 0.64)
"""Shares of the duration at which the walker comes down; it rests there for `_REST`."""
_REST = 0.05
_SET_OFF, _GONE = 0.06, 0.88
_HOP_M = 0.55
_WALKER_M = 0.6
_PRINT: Vec3 = (0.62, 0.7, 0.02)


@dataclass(frozen=True)
class FootprintsParams(Params):
    """Parameters of `Footprints`."""

    sand: Colour
    """Colour of the sand, one of `SANDS`."""
    walker: Colour
    """Colour of the creature that hops over it."""
    block: Colour
    """Colour of the block that has no part in it."""
    to: Side
    """Direction in which it hops."""


class Footprints(StateChange[FootprintsParams]):
    """A ball-shaped creature hops over a bed of sand and leaves a dark print wherever it comes down."""

    name = "footprints"
    in_training = False

    def sample(self, rng: np.random.Generator) -> FootprintsParams:
        sand, walker, block = staged.spaced_colours(rng, 3, SANDS)
        return FootprintsParams(
            sand=sand, walker=walker, block=block, to=common.choose(rng, SIDES), style=common.sample_style(rng)
        )

    def build(self, p: FootprintsParams, duration_s: float) -> Scene:
        """Return the scene; the creature crosses the sand in three quarters of the clip's duration."""
        way, top = SIGN[p.to], _BOX[2]
        places = [way * _APART_M * (k - (PRINTS - 1) / 2) for k in range(PRINTS)]
        low = top + _WALKER_M / 2
        hops = [(_SET_OFF, -way * 2.3, low + _HOP_M)]
        for k, (u, x) in enumerate(zip(_STEP_AT, places, strict=True)):
            if k:
                # A hop goes up and over before it comes down.
                begin, gap = hops[-1][0], u - hops[-1][0]
                hops += [
                    (begin + s * gap, places[k - 1] + s * (x - places[k - 1]), low + 0.8 * _HOP_M) for s in (0.3, 0.7)
                ]
            hops += [(u, x, low), (u + _REST, x, low)]
        hops.append((_GONE, way * 2.3, low + _HOP_M))
        path = tuple((u * duration_s, x, 0.0, z) for u, x, z in hops)
        bodies = [
            Body("sand", "box", _BOX, p.sand, (0.0, 0.0, top / 2)),
            Body("walker", "ball", (_WALKER_M,) * 3, p.walker, path[0][1:], motion="path", path=path),
        ]
        for k, (u, x) in enumerate(zip(_STEP_AT, places, strict=True)):
            bodies.append(
                Body(
                    f"print{k}", "box", _PRINT, "bark", (x, 0.0, top + 0.003), shown=(u * duration_s, 1e9), solid=False,
                    tracked=False,
                )
            )  # fmt: skip
        bodies.append(staged.bystander(p.block, OPPOSITE[p.to], x=1.9, y=2.6, wide_m=0.7))
        prints = [f"print{k}" for k in range(PRINTS)]
        facts = {
            "hero": "walker",
            "bystander": staged.BYSTANDER,
            "change": staged.change(
                prints, _STEP_AT[0] * duration_s, (_STEP_AT[-1] + 0.12) * duration_s, _STEP_AT[0] * duration_s
            ),
        }
        events = tuple(Event("step", ("walker", n), u * duration_s) for n, u in zip(prints, _STEP_AT, strict=True))
        camera = common.front_view(duration_s, distance=4.6, height=4.0, look=(0.0, 0.0, 0.35))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events)

    def states(self, p: FootprintsParams) -> tuple[str, str]:
        return (
            common.sentence(f"a smooth bed of {p.sand} sand"),
            common.sentence(f"a bed of {p.sand} sand with three dark prints in it"),
        )

    def phrases(self, p: FootprintsParams) -> list[str]:
        to, start = p.to, OPPOSITE[p.to]
        walker, sand = common.article(f"{p.walker} ball-shaped creature"), f"bed of {p.sand} sand"
        block = f"{common.article(f'{p.block} block')} stands behind on the {start}"
        return [
            f"{walker} hops from {start} to {to} over a smooth {sand} and leaves three large dark footprints in it, one"
            f" wherever it comes down; {block}",
            f"a {sand} is smooth until {walker} from the {start} hops over it to the {to}; it comes down three times, and"
            f" each time a large dark print stays in the sand; {block}",
            f"{block}; {walker} crosses a smooth {sand} to the {to} in hops and three large dark footprints remain where it"
            " came down",
        ]

    def details(self, p: FootprintsParams) -> str:
        return f"The sand lies in a flat bed on the floor. {common.style_words(p.style)} The camera is close, looks down and does not move."
