"""The scene family "relation"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.params import SIDES, SIGN, Across, Side
from sora_eval.world.families.things import Named, TwoNamed, TwoNamedParams, sample_thing, sides
from sora_eval.world.scene import Scene

_CLOSER_M = 1.7
_DISTANCE_M = 8.6


@dataclass(frozen=True)
class RelationParams(TwoNamedParams):
    """Parameters of `Relation`."""

    side: Side
    """Where object `a` stands, seen from object `b`."""
    apart: float
    """Distance of their centres along x, in metres."""
    shift: Across
    """Position of their middle along x, in metres."""
    depth: float
    """How much farther from the cameran object `a` stands, in metres."""

    @property
    def side_of_a(self) -> Side:
        """`side`."""
        return self.side


class Relation(TwoNamed[RelationParams]):
    """Two objects stand side by side while the camera comes slowly closer."""

    name = "relation"
    camera = ""

    def sample(self, rng: np.random.Generator) -> RelationParams:
        colours = common.sample_colours(rng, 2)
        return RelationParams(
            a=sample_thing(rng, colours[0]),
            b=sample_thing(rng, colours[1]),
            side=common.choose(rng, SIDES),
            apart=round(float(rng.uniform(2.2, 2.8)), 2),
            shift=round(float(rng.uniform(-0.25, 0.25)), 2),
            depth=round(float(rng.uniform(-0.5, 0.5)), 2),
            style=common.sample_style(rng),
        )

    def build(self, p: RelationParams, duration_s: float) -> Scene:
        """Return the scene: centres `apart` metres from each other, their middle `shift` metres right of the frame's."""
        way = SIGN[p.side]
        first = p.a.stand("a", p.shift + way * p.apart / 2, p.depth / 2)
        second = p.b.stand("b", p.shift - way * p.apart / 2, -p.depth / 2)
        camera = cameras.move(
            duration_s, (0.0, -_DISTANCE_M, 2.3), (0.0, 0.0, 0.9), (0.0, _CLOSER_M, -0.25), about_middle=False
        )
        return common.set_up(
            p.style, (first, second), camera, duration_s, facts={"hero": ["a", "b"], "sided": ["a", "b"]}
        )

    def phrases(self, p: RelationParams, first: Named = "a") -> list[str]:
        a, b = (p.a.words, p.b.words) if first == "a" else (p.b.words, p.a.words)
        side, other = sides(p.side, first)
        return [
            f"{a} stands to the {side} of {b}, and the camera moves slowly closer",
            f"{a} is to the {side} of {b} while the camera slowly moves in",
            f"the camera moves slowly towards {a} on the {side} and {b} on the {other}",
            f"on the {side} there is {a}, on the {other} {b}; the camera slowly comes closer",
        ]

    def details(self, p: RelationParams) -> str:
        return f"{p.a.looks} {p.b.looks} They don't move. {common.style_words(p.style)}"
