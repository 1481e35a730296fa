"""The scene family "two_shots"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, CameraPath, Scene, Shape

CUT = 0.48
"""The share of the clip at which the cut comes."""
_FAR, _NEAR = 10.5, 6.6
Trunk = Literal["cylinder", "cone"]
_BODIES: dict[Trunk, tuple[float, float]] = {"cylinder": (1.15, 1.6), "cone": (1.5, 1.7)}
_HEAD = 1.0


@dataclass(frozen=True)
class TwoShotsParams(Params):
    """Parameters of `TwoShots`."""

    body: Colour
    """Colour of the figure's body."""
    body_shape: Trunk
    """Shape of the body, a key of `_BODIES`."""
    head: Colour
    """Colour of the head, a ball."""
    companion: Colour
    """Colour of the companion."""
    companion_shape: Shape
    """Shape of the companion."""
    side: Side
    """Where the companion stands, seen from the figure."""
    second: Literal["closer", "farther"]
    """The distance of the second shot against the first."""
    swing: Side
    """The side from which the second shot is taken."""
    texture: Texture
    """The pattern of the body."""


class TwoShots(Family[TwoShotsParams]):
    """A character in two shots with a hard cut between them: another distance, another angle, the same character."""

    name = "two_shots"
    camera = ""

    def sample(self, rng: np.random.Generator) -> TwoShotsParams:
        body, head, companion = common.sample_colours(rng, 3)
        return TwoShotsParams(
            body=body,
            body_shape=common.choose(rng, tuple(_BODIES)),
            head=head,
            companion=companion,
            companion_shape=common.choose(rng, ("ball", "cone", "cylinder")),
            side=common.choose(rng, SIDES),
            second=common.choose(rng, ("closer", "farther")),
            swing=common.choose(rng, SIDES),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: TwoShotsParams, duration_s: float) -> Scene:
        """Return the scene; `side` is where the companion stands, `swing` the side from which the second shot is taken."""
        way = SIGN[p.side]
        width, height = _BODIES[p.body_shape]
        trunk = Body("body", p.body_shape, (width, width, height), p.body, (0.0, 0.0, height / 2), texture=p.texture)
        # A cone's tip goes into the head.
        top = Body(
            "head",
            "ball",
            (_HEAD, _HEAD, _HEAD),
            p.head,
            (0.0, 0.0, height + (0.4 if p.body_shape == "cylinder" else 0.15) * _HEAD),
        )
        mate = common.standing("companion", p.companion_shape, 0.9, p.companion, way * 1.7, 0.0)
        look = (way * 0.55, 0.0, 1.3)
        first_m, second_m = (_FAR, _NEAR) if p.second == "closer" else (_NEAR, _FAR)
        turned = np.radians(32.0 if p.swing == "right" else -32.0)

        def shot(distance: float, angle: float) -> CameraPath:
            eye = (
                look[0] + distance * float(np.sin(angle)),
                -distance * float(np.cos(angle)),
                look[2] + 0.12 * distance,
            )
            return cameras.still(duration_s, eye, look)

        cut_s = CUT * duration_s
        view = cameras.cut(shot(first_m, 0.0), shot(second_m, float(turned)), cut_s)
        facts = {
            "hero": "head",
            "hidden_s": (cut_s - 0.01, cut_s),
            "elsewhere": (-way * 1.0, 0.0, -0.9),
            "spare": (-way * 1.0, 0.0, -1.2),
            "stranger": (-way * 1.2, 0.2, 0.0),
        }
        return common.set_up(p.style, (trunk, top, mate), view, duration_s, facts=facts)

    def phrases(self, p: TwoShotsParams) -> list[str]:
        figure = common.article(f"{p.body} {p.body_shape}-shaped figure")
        who = f"{figure} with {common.article(p.head)} ball for a head"
        mate = common.article(f"{p.companion} {p.companion_shape}")
        side, swing = p.side, p.swing
        first, second = ("from afar", "from close by") if p.second == "closer" else ("from close by", "from afar")
        return [
            f"two shots of {who} and, to the {side} of it, {mate}: first from the front and {first}, then, after a hard cut, "
            f"{second} and more from the {swing}",
            f"{who} stands still with {mate} to the {side} of it, filmed {first}; cut to the same two {second}, "
            f"from farther {swing}",
            f"{who} and, to the {side} of it, {mate}, neither moving, {first}; then a hard cut to the same scene "
            f"{second}, more from the {swing}",
        ]

    def details(self, p: TwoShotsParams) -> str:
        return f"The figure is {p.texture}. {common.style_words(p.style)} The camera does not move within a shot."
