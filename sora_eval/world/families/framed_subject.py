"""The scene family "framed_subject"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.framed import FOV, TAN, FramedParams, eye_and_target, facts, turn_deg
from sora_eval.world.families.params import EXCHANGED, Colour, Texture
from sora_eval.world.scene import Scene

Side = Literal["left", "middle", "right"]
Place = Annotated[Side, EXCHANGED]
PLACES: tuple[Side, ...] = ("left", "middle", "right")
ACROSS: dict[str, float] = {"left": -1 / 3, "middle": 0.0, "right": 1 / 3}
"""Where the subject stands, in half widths right of the frame's middle."""
_ELSEWHERE: dict[str, float] = {"left": 0.4, "middle": 0.55, "right": -0.4}
_WORDS: dict[str, str] = {
    "left": "in the left third of the picture",
    "middle": "in the middle of the picture",
    "right": "in the right third of the picture",
}


@dataclass(frozen=True)
class FramedSubjectParams(FramedParams):
    """Parameters of `FramedSubject`."""

    shape: Literal["ball", "cube"]
    """Shape of the subject: one of those whose height and width are about the same."""
    colour: Colour
    """Its colour."""
    texture: Texture
    """The pattern of its surface."""
    yaw: float
    """Its turn about the vertical in degrees."""
    place: Place
    """Where in the picture it is."""
    share: float
    """Its longer side as a share of the shorter side of the frame."""


class FramedSubject(Family[FramedSubjectParams]):
    """A large ball or cube stands still, whole in view, in the middle or in the left or right third of a picture of any aspect ratio."""

    name = "framed_subject"
    in_training = False

    def sample(self, rng: np.random.Generator, places: Sequence[Side] = PLACES) -> FramedSubjectParams:
        """Return the parameters of a random member, for a square frame; places: where the subject may be."""
        return FramedSubjectParams(
            shape=common.choose(rng, ("ball", "cube")),
            colour=common.sample_colours(rng, 1)[0],
            texture=common.choose(rng, common.TEXTURES),
            yaw=round(float(rng.uniform(0, 90)), 0),
            place=common.choose(rng, places),
            share=round(float(rng.uniform(0.36, 0.44)), 2),
            aspect=1.0,
            style=common.sample_style(rng),
        )

    def build(self, p: FramedSubjectParams, duration_s: float) -> Scene:
        subject = common.standing("hero", p.shape, 1.0, p.colour, 0.0, 0.0, yaw=p.yaw, texture=p.texture)
        turned = np.radians(p.yaw)
        extent = float(abs(np.cos(turned)) + abs(np.sin(turned))) if p.shape == "cube" else 1.0
        across, half = ACROSS[p.place], p.half_frame[0]
        eye, target = eye_and_target(p, subject.pos, extent / (2 * p.share * TAN), across)
        acts_on = facts(
            out_deg=(turn_deg(half, across, -1.0 if p.place == "left" else 1.0), 0.0),
            elsewhere_deg=turn_deg(half, across, _ELSEWHERE[p.place]),
            stretch=("x", (1 + across) / 2) if p.aspect >= 1 else ("y", 0.5),
            bars="x" if p.aspect >= 1 else "y",
        )
        view = cameras.still(duration_s, eye, target, FOV)
        return common.set_up(p.style, (subject,), view, duration_s, facts={"hero": "hero", **acts_on})

    def phrases(self, p: FramedSubjectParams) -> list[str]:
        subject, place = f"{p.colour} {p.shape}", _WORDS[p.place]
        return [
            f"{common.article(f'large {subject}')} {place}, seen from close up and whole in view",
            f"a close view of {common.article(subject)} {place}, large and whole, not cut off by the border",
            f"{place} stands {common.article(f'large {subject}')}, all of it in view, filmed from nearby",
        ]

    def details(self, p: FramedSubjectParams) -> str:
        return f"The {p.shape} is {p.texture}. {common.style_words(p.style)} {common.STILL}"
