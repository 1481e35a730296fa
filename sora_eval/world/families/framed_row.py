"""The scene family "framed_row"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.framed import FOV, FramedParams, eye_and_target, facts, turn_deg
from sora_eval.world.families.params import REVERSED
from sora_eval.world.families.things import Thing, listed
from sora_eval.world.scene import Scene, Shape

_PITCH_M = 1.35
_SHAPES: tuple[Shape, ...] = ("ball", "cube", "cone")


@dataclass(frozen=True)
class FramedRowParams(FramedParams):
    """Parameters of `FramedRow`."""

    row: Annotated[tuple[Thing, ...], REVERSED]
    """The objects from left to right."""
    share: float
    """The row's length as a share of the frame's width."""


class FramedRow(Family[FramedRowParams]):
    """Three or four objects side by side, all whole in view, that together take up most of the width of a picture of any aspect ratio."""

    name = "framed_row"
    in_training = False

    def sample(self, rng: np.random.Generator) -> FramedRowParams:
        colours = common.sample_colours(rng, int(rng.integers(3, 5)))
        row = tuple(
            Thing(common.choose(rng, _SHAPES), c, "small", common.choose(rng, common.TEXTURES)) for c in colours
        )
        return FramedRowParams(
            row=row, share=round(float(rng.uniform(0.7, 0.76)), 2), aspect=1.0, style=common.sample_style(rng)
        )

    def build(self, p: FramedRowParams, duration_s: float) -> Scene:
        size, half = common.SIZES["small"], p.half_frame[0]
        start = -(len(p.row) - 1) / 2 * _PITCH_M
        bodies = [thing.stand(f"thing{i}", start + i * _PITCH_M, 0.0) for i, thing in enumerate(p.row)]
        # Their front sides are nearer, and farther apart in the picture.
        distance = size / 2 + (size / 2 - start) / (p.share * half)
        eye, target = eye_and_target(p, (0.0, 0.0, size / 2), distance)
        acts_on = facts(out_deg=(turn_deg(half, 0.0, 0.55), 0.0), stretch=("y", 0.5), bars="y")
        view = cameras.still(duration_s, eye, target, FOV)
        return common.set_up(p.style, bodies, view, duration_s, facts={"hero": [b.name for b in bodies], **acts_on})

    def phrases(self, p: FramedRowParams) -> list[str]:
        things = listed([t.words for t in sorted(p.row, key=lambda t: t.colour)])
        return [
            f"{things} stand side by side in one row; all of them are whole in view, and the row takes up most of the picture's width",
            f"a row of things side by side, seen from in front: {things}; none is cut off, and they fill most of the picture's width",
            f"{things} in one row that reaches over most of the width of the picture, each of them whole in view",
        ]

    def details(self, p: FramedRowParams) -> str:
        order = ", ".join(f"{t.texture} {t.noun}" for t in p.row)
        return f"From left to right: {order}. {common.style_words(p.style)} {common.STILL}"
