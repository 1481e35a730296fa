"""The scene family "to_and_fro"."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIGN, Across, Params, Side
from sora_eval.world.families.things import Thing, sample_thing
from sora_eval.world.scene import Scene

_KEYS_PER_S = 30.0


@dataclass(frozen=True)
class ToAndFroParams(Params):
    """Parameters of `ToAndFro`."""

    hero: Thing
    """The object."""
    to: Side
    """Where it goes at first."""
    x: Across
    """The middle of its way, where it begins, in metres."""
    reach: float
    """How far from there it goes to each side, in metres."""
    period_s: float
    """Time for the way there and back, in seconds."""


class ToAndFro(Family[ToAndFroParams]):
    """One object goes from the middle to one side, back past it to the other side, and so on, in front of a still camera."""

    name = "to_and_fro"
    in_training = False

    def sample(self, rng: np.random.Generator) -> ToAndFroParams:
        return ToAndFroParams(
            hero=sample_thing(rng, common.sample_colours(rng, 1)[0]),
            to=common.choose(rng, ("left", "right")),
            x=round(float(rng.uniform(-0.3, 0.3)), 2),
            reach=round(float(rng.uniform(1.1, 1.5)), 2),
            period_s=2.125,
            style=common.sample_style(rng),
        )

    def build(self, p: ToAndFroParams, duration_s: float) -> Scene:
        """Return the scene; its period is that of the parameters, whatever the duration."""
        t_s = np.linspace(0.0, duration_s, int(np.ceil(duration_s * _KEYS_PER_S)) + 1)
        x = p.x + SIGN[p.to] * p.reach * np.sin(2 * np.pi * t_s / p.period_s)
        body = p.hero.stand("hero", p.x, 0.0)
        z = body.pos[2]
        rolled = np.degrees((x - x[0]) * 2 / body.size[0])
        ball = p.hero.shape == "ball"
        moving = replace(
            body,
            motion="path",
            path=tuple((float(t), float(v), 0.0, z) for t, v in zip(t_s, x, strict=True)),
            turns=tuple((float(t), 0.0, float(r)) for t, r in zip(t_s, rolled, strict=True)) if ball else (),
        )
        view = common.front_view(duration_s, 7.6, 2.2, (0.0, 0.0, 1.25))
        return common.set_up(
            p.style, (moving,), view, duration_s, facts={"hero": "hero", "looped": SIGN[p.to] * p.reach}
        )

    def phrases(self, p: ToAndFroParams) -> list[str]:
        hero, back = p.hero, OPPOSITE[p.to]
        return [
            f"{hero.words} {hero.verb} to the {p.to}, turns and {hero.verb} back to the {back}, to and fro in an endless loop",
            f"in an endless loop {hero.words} {hero.verb} to and fro, to the {p.to} first and then to the {back}",
        ]

    def details(self, p: ToAndFroParams) -> str:
        return f"{p.hero.looks} {common.style_words(p.style)} {common.STILL}"
