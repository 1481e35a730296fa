"""The scene family "opposite_motion"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.params import SIDES, SIGN, Colour, Side
from sora_eval.world.families.things import Named, TwoNamed, TwoNamedParams, sample_thing, sides
from sora_eval.world.scene import Body, Scene

_REACH_M = 2.1
Lane = Literal["near", "far"]
_LANES_M: dict[Lane, float] = {"near": -1.1, "far": 0.9}


@dataclass(frozen=True)
class OppositeMotionParams(TwoNamedParams):
    """Parameters of `OppositeMotion`."""

    pillar: Colour
    """Colour of the pillar."""
    to: Side
    """Direction of object `a`."""
    lane: Lane
    """The lane of object `a`; object `b` has the other."""

    @property
    def side_of_a(self) -> Side:
        """`to`."""
        return self.to


class OppositeMotion(TwoNamed[OppositeMotionParams]):
    """One object moves to the left while another moves to the right, past a standing pillar."""

    name = "opposite_motion"

    def sample(self, rng: np.random.Generator) -> OppositeMotionParams:
        colours = common.sample_colours(rng, 3)
        return OppositeMotionParams(
            a=sample_thing(rng, colours[0]),
            b=sample_thing(rng, colours[1]),
            pillar=colours[2],
            to=common.choose(rng, SIDES),
            lane=common.choose(rng, tuple(_LANES_M)),
            style=common.sample_style(rng),
        )

    def build(self, p: OppositeMotionParams, duration_s: float) -> Scene:
        """Return the scene; `a` runs in its `lane`, `b` in the other, and both cross the picture in the clip's duration."""
        way = SIGN[p.to]
        other: Lane = "far" if p.lane == "near" else "near"
        first = p.a.cross("a", way, _REACH_M, _LANES_M[p.lane], duration_s)
        second = p.b.cross("b", -way, _REACH_M, _LANES_M[other], duration_s)
        post = Body("pillar", "box", (0.8, 0.8, 2.9), p.pillar, (0.0, 2.4, 1.45))
        view = common.front_view(duration_s, 9.2, 3.0, (0.0, 0.0, 1.15))
        facts = {"hero": ["a", "b"], "sided": ["a", "b"]}
        return common.set_up(p.style, (first, second, post), view, duration_s, facts=facts)

    def phrases(self, p: OppositeMotionParams, first: Named = "a") -> list[str]:
        one, two = (p.a, p.b) if first == "a" else (p.b, p.a)
        a, b, does, also = one.words, two.words, one.verb, two.verb
        to, other = sides(p.to, first)
        post = common.article(f"{p.pillar} pillar")
        return [
            f"{a} {does} to the {to} while {b} {also} to the {other}, past {post}",
            f"{a} {does} to the {to} and {b} {also} to the {other}; {post} stands behind them",
            f"in front of {post}, {a} {does} from {other} to {to} and {b} {also} from {to} to {other}",
        ]

    def details(self, p: OppositeMotionParams) -> str:
        return f"{p.a.looks} {p.b.looks} {common.style_words(p.style)} {common.STILL}"
