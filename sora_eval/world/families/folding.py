"""The scene family "folding"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common, staged
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Event, Scene

_STRIP_M = 0.5
_STRIPS = 4
_POLE_M = 1.1
"""How far the pole stands from the middle, on the side from which the glove does not come."""
_LOW = 1.0
_FOLDS = ((0.26, 0.42), (0.52, 0.66))
"""Shares of the duration in which the first and the second fold are made."""
_SET_OFF, _GONE = 0.08, 0.84
_OFF_M = 2.4
_GLOVE_M = 0.42
_ANGLES = 9

_Key = tuple[float, float, float]
"""Share of the duration, distance from the pole and distance towards the viewer in metres."""


@dataclass(frozen=True)
class FoldingParams(Params):
    """Parameters of `Folding`."""

    flag: Colour
    """Colour of the flag."""
    glove: Colour
    """Colour of the glove that folds it."""
    block: Colour
    """Colour of the block that has no part in it."""
    side: Side
    """Where the flag's free edge is, and the glove comes from."""
    tall: float
    """Height of the flag in metres."""


class Folding(StateChange[FoldingParams]):
    """A glove folds a flag that hangs from a pole twice, its free edge over to the pole each time."""

    name = "folding"
    in_training = False

    def sample(self, rng: np.random.Generator) -> FoldingParams:
        flag, glove, block = staged.spaced_colours(rng, 3)
        return FoldingParams(
            flag=flag,
            glove=glove,
            block=block,
            side=common.choose(rng, SIDES),
            tall=round(float(rng.uniform(1.1, 1.3)), 2),
            style=common.sample_style(rng),
        )

    def build(self, p: FoldingParams, duration_s: float) -> Scene:
        """Return the scene; the two folds take half of the clip's duration."""
        way, middle = SIGN[p.side], _LOW + p.tall / 2
        pole = -way * _POLE_M

        def placed(keys: Sequence[_Key], z: float) -> tuple[tuple[float, float, float, float], ...]:
            return tuple((u * duration_s, pole + way * x, -y, z) for u, x, y in keys)

        bodies = [
            Body("pole", "cylinder", (0.12, 0.12, 2.6), "dark grey", (pole - way * 0.06, 0.05, 1.3), tracked=False)
        ]
        for k in range(_STRIPS):
            keys, turns = _strip(k)
            path = placed(keys, middle)
            yaws = tuple((u * duration_s, -way * angle, 0.0) for u, angle in turns)
            bodies.append(
                Body(
                    f"strip{k}", "box", (_STRIP_M + 0.01, 0.03, p.tall), p.flag, path[0][1:], motion="path", path=path,
                    turns=yaws, solid=False,
                )
            )  # fmt: skip
        edge, half = _STRIPS * _STRIP_M, _STRIPS * _STRIP_M / 2
        keys = [
            (_SET_OFF, edge + _OFF_M / 2, 0.1),
            *((u, x, y + 0.1) for u, x, y, _ in _arc(_FOLDS[0], half, half)),
            (_FOLDS[1][0] - 0.02, half, 0.1),
            *((u, x, y + 0.1) for u, x, y, _ in _arc(_FOLDS[1], half / 2, half / 2)),
            (_GONE, edge + _OFF_M / 2, 0.1),
        ]
        hand = placed(keys, middle)
        bodies += [
            Body("glove", "ball", (_GLOVE_M,) * 3, p.glove, hand[0][1:], motion="path", path=hand, solid=False),
            staged.bystander(p.block, OPPOSITE[p.side], x=1.2, y=0.0),
        ]
        strips = [f"strip{k}" for k in range(_STRIPS)]
        begin_s = _FOLDS[0][0] * duration_s
        facts = {
            "hero": "glove",
            "bystander": staged.BYSTANDER,
            "change": staged.change(strips, begin_s, (_FOLDS[1][1] + 0.04) * duration_s, 0.26 * duration_s),
        }
        events = tuple(Event("fold", ("glove", "strip3"), u * duration_s) for u, _ in _FOLDS)
        camera = common.front_view(duration_s, distance=5.4, height=1.6, look=(0.0, 0.0, 1.3))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events)

    def states(self, p: FoldingParams) -> tuple[str, str]:
        return (
            common.sentence(f"a wide {p.flag} flag hangs from a pole"),
            common.sentence(f"a folded {p.flag} flag, a quarter as wide, hangs from a pole"),
        )

    def phrases(self, p: FoldingParams) -> list[str]:
        side, pole = p.side, OPPOSITE[p.side]
        flag, glove = f"wide {p.flag} flag", common.article(f"round {p.glove} glove")
        block = staged.beside(p.block, pole)
        return [
            f"a {flag} hangs from a pole on the {pole}; {glove} comes from the {side}, folds its free edge over to the"
            f" pole, does so once more, and leaves to the {side}; the flag stays a quarter as wide; {block}",
            f"{glove} from the {side} folds a {flag} twice, each time its {side} edge over to the pole on the {pole}; the"
            f" flag gets half as wide with each fold and stays folded when the glove has gone; {block}",
            f"{block}; above it, on a pole on the {pole}, hangs a {flag}, which {glove} from the {side} folds in half"
            " towards the pole and then in half again, and leaves like that",
        ]

    def details(self, p: FoldingParams) -> str:
        return f"The flag is flat and smooth. {common.style_words(p.style)} The camera is close and does not move."


def _arc(span: tuple[float, float], hinge: float, radius: float) -> list[tuple[float, float, float, float]]:
    """Return half a turn about a hinge: shares of the duration, distances from the pole and towards the viewer, angles in degrees."""
    angle = np.linspace(0.0, np.pi, _ANGLES)
    times = np.linspace(*span, _ANGLES)
    return [
        (float(u), float(hinge + radius * np.cos(a)), float(radius * np.sin(a)), float(np.degrees(a)))
        for u, a in zip(times, angle, strict=True)
    ]


def _strip(k: int) -> tuple[list[_Key], list[tuple[float, float]]]:
    """Return the key frames of a strip's middle, the strips counted from the pole, and those of its turn in degrees."""
    w, half = _STRIP_M, _STRIPS * _STRIP_M / 2
    x = (k + 0.5) * w
    keys: list[_Key] = [(0.0, x, 0.0)]
    turns = [(0.0, 0.0)]
    layer = 0.0
    for number, (span, hinge) in enumerate(zip(_FOLDS, (half, half / 2), strict=True), start=1):
        if x < hinge:
            continue
        was = turns[-1][1]
        # What is folded over lies in front of the rest.
        for u, at, out, angle in _arc(span, hinge, x - hinge):
            keys.append((u, at, layer + out + 0.04 * number * angle / 180))
            turns.append((u, was + angle))
        x, layer = 2 * hinge - x, layer + 0.04 * number
    return keys, turns
