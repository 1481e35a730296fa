"""The scene family "two_places"."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIGN, Params, Side
from sora_eval.world.families.things import Thing, sample_thing
from sora_eval.world.scene import Body, Scene

STAYS = (0.27, 0.73)
"""The camera stays at the first object up to the first, and at the second from the second share of the clip on."""
_APART_M = 4.4
"""Way of the camera in metres: the view is 5.5 m wide, so that each end shows one object."""
_ASIDE_M = 0.75
"""How far each object is from the middle of the view that it is in: away from the other one."""


@dataclass(frozen=True)
class TwoPlacesParams(Params):
    """Parameters of `TwoPlaces`."""

    first: Thing
    """What the beginning shows."""
    second: Thing
    """What the end shows."""
    to: Side
    """The way of the camera from one to the other."""
    way: float
    """How far each of them slides towards the other in the clip, in metres."""


class TwoPlaces(Family[TwoPlacesParams]):
    """The camera shows one object, glides to the side, and shows another one; both slide slowly."""

    name = "two_places"
    camera = ""
    in_training = False

    def sample(self, rng: np.random.Generator) -> TwoPlacesParams:
        first, second = (sample_thing(rng, colour) for colour in common.sample_colours(rng, 2))
        return TwoPlacesParams(
            first=first,
            second=second,
            to=common.choose(rng, ("left", "right")),
            way=round(float(rng.uniform(0.9, 1.2)), 2),
            style=common.sample_style(rng),
        )

    def build(self, p: TwoPlacesParams, duration_s: float) -> Scene:
        sign = SIGN[p.to]
        half = _APART_M / 2
        bodies = [
            _sliding("first", p.first, -sign * (half + _ASIDE_M), sign * p.way, duration_s),
            _sliding("second", p.second, sign * (half + _ASIDE_M), -sign * p.way, duration_s),
        ]
        still = common.front_view(duration_s, 7.6, 2.2, (0.0, 0.0, 1.25))
        u = np.clip((still.t_s / max(duration_s, 1e-9) - STAYS[0]) / (STAYS[1] - STAYS[0]), 0, 1)
        # Less at its fastest than the smoothest step of a polynomial: frames of a short clip still overlap.
        eased = np.where(u < 0.25, 8 / 3 * u**2, np.where(u > 0.75, 1 - 8 / 3 * (1 - u) ** 2, 4 / 3 * u - 1 / 6))
        along = sign * _APART_M * (eased - 0.5)
        shift = np.stack([along, np.zeros_like(along), np.zeros_like(along)], axis=1)
        view = replace(still, eye=still.eye + shift, target=still.target + shift)
        return common.set_up(p.style, bodies, view, duration_s, facts={"hero": "first"})

    def phrases(self, p: TwoPlacesParams) -> list[str]:
        a, b, back = p.first, p.second, OPPOSITE[p.to]
        return [
            f"{a.words} {_slides(a)} to the {p.to}, then the camera glides to the {p.to} to {b.words}, which {_slides(b)} to the {back}",
            f"first {a.words} that {_slides(a)} to the {p.to}, and after the camera has gone over to the {p.to}, "
            f"{b.words} that {_slides(b)} to the {back}",
        ]

    def details(self, p: TwoPlacesParams) -> str:
        return f"{p.first.looks} {p.second.looks} {common.style_words(p.style)}"


def _slides(thing: Thing) -> str:
    return f"{thing.verb} slowly"


def _sliding(name: str, thing: Thing, x: float, way: float, duration_s: float) -> Body:
    body = thing.stand(name, x, 0.0)
    z = body.pos[2]
    rolled = float(np.degrees(2 * way / body.size[0])) if thing.shape == "ball" else 0.0
    return replace(
        body,
        motion="path",
        path=((0.0, x - way / 2, 0.0, z), (duration_s, x + way / 2, 0.0, z)),
        turns=((0.0, 0.0, 0.0), (duration_s, 0.0, rolled)) if rolled else (),
    )
