"""The scene family "knocked_wall"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common, staged
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, Scene

BLOCK_M = 0.75
_COLUMNS = 2
_START, _STAND = -5.5, -0.4
"""Where the ball begins and where the wall's middle is, in metres along the ball's way."""
_SPEED = 6.0


@dataclass(frozen=True)
class KnockedWallParams(Params):
    """Parameters of `KnockedWall`."""

    wall: Colour
    """Colour of the wall's blocks."""
    ball: Colour
    """Colour of the ball."""
    block: Colour
    """Colour of the block that has no part in it."""
    to: Side
    """Direction of the throw."""
    rows: int
    """Number of rows of blocks."""
    texture: Texture
    """The pattern of the ball."""


class KnockedWall(StateChange[KnockedWallParams]):
    """A thrown ball hits a wall of loose blocks, which fall and stay lying on the floor."""

    name = "knocked_wall"
    in_training = False
    camera = common.LEVEL

    def sample(self, rng: np.random.Generator) -> KnockedWallParams:
        wall, ball, block = staged.spaced_colours(rng, 3)
        return KnockedWallParams(
            wall=wall,
            ball=ball,
            block=block,
            to=common.choose(rng, SIDES),
            rows=common.choose(rng, (4, 5)),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: KnockedWallParams, duration_s: float) -> Scene:
        """Return the scene; the ball flies for two thirds of a second, whatever the clip's duration."""
        way, wide = SIGN[p.to], 1.3
        hit = 0.72 * p.rows * BLOCK_M
        touch_s = (_STAND - _COLUMNS * BLOCK_M / 2 - wide / 2 - _START) / _SPEED
        bodies = [
            Body(
                "ball", "ball", (wide,) * 3, p.ball, (way * _START, 0.0, hit), texture=p.texture, motion="free",
                velocity=(way * _SPEED, 0.0, 9.81 * touch_s / 2), mass=5.0, friction=0.6, restitution=0.3,
            )
        ]  # fmt: skip
        for row in range(p.rows):
            for column in range(_COLUMNS):
                x = _STAND + (column - (_COLUMNS - 1) / 2) * BLOCK_M
                place = (way * x, 0.0, (row + 0.5) * BLOCK_M)
                size = (BLOCK_M - 0.02, BLOCK_M, BLOCK_M)
                bodies.append(
                    Body(f"brick{row}_{column}", "box", size, p.wall, place, motion="free", mass=0.5, friction=0.6)
                )
        # It stands behind, on the side from which the ball comes: nothing falls there.
        stands = staged.bystander(p.block, OPPOSITE[p.to], x=3.9, y=3.5, wide_m=1.1)
        facts = {
            "hero": [b.name for b in bodies[1:]],
            "bystander": staged.BYSTANDER,
            "change": staged.change(
                [b.name for b in bodies[1:]], touch_s, max(touch_s + 0.9, 0.75 * duration_s), touch_s
            ),
        }
        camera = common.level_view(duration_s, distance=13.0, height=3.4)
        return common.set_up(p.style, [*bodies, stands], camera, duration_s, facts=facts)

    def states(self, p: KnockedWallParams) -> tuple[str, str]:
        return (
            common.sentence(f"a wall of {p.wall} blocks stands on the floor"),
            common.sentence(f"{p.wall} blocks lie scattered on the floor"),
        )

    def phrases(self, p: KnockedWallParams) -> list[str]:
        to, start = p.to, OPPOSITE[p.to]
        wall, ball = f"wall of {p.wall} blocks", common.article(f"{p.ball} ball")
        block = f"{common.article(f'large {p.block} block')} stands behind on the {start}"
        return [
            f"{ball} flies in from the {start} and knocks down a {wall}; the blocks fall over to the {to} and stay lying"
            f" on the floor; {block}",
            f"a {wall} stands on the floor until {ball} thrown from the {start} hits it; it collapses to the {to} and its"
            f" blocks stay where they fall; {block}",
            f"{block}; {ball} is thrown to the {to} against a {wall}, which falls apart to the {to} and stays down",
        ]

    def details(self, p: KnockedWallParams) -> str:
        return (
            f"The wall is two blocks wide, {p.rows} high and loose, the ball is {p.texture}. {common.style_words(p.style)}"
            f" {common.LEVEL}"
        )
