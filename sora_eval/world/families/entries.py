"""The scene family "entries"."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.families.things import Thing, sample_thing
from sora_eval.world.scene import Body, Scene, Shape

_FAR = 6.4
"""Metres to the side at which an object is out of sight, also in a frame of 16 by 9."""
_WALL = (1.7, 0.25, 1.9)
_WALL_X, _WALL_Y = 2.05, 0.1
_LANES = (-1.5, 1.15)
"""Of the object that crosses the picture, before the wall, and of the one that comes out from behind it."""
_CROSSES, _COMES_OUT = (0.04, 0.62), (0.5, 0.97)
"""When they do, as shares of the clip."""


@dataclass(frozen=True)
class EntriesParams(Params):
    """Parameters of `Entries`."""

    first: Thing
    """The object that crosses the picture from border to border."""
    second: Thing
    """The object that comes out from behind the wall."""
    wall: Colour
    """Colour of the wall."""
    post: Colour
    """Colour of the object that stands there all the time."""
    post_shape: Shape
    """Its shape."""
    to: Side
    """The side to which both go; the wall stands on the other one."""


class Entries(Family[EntriesParams]):
    """One object crosses the picture from border to border, another comes out from behind a wall; nothing else comes or goes."""

    name = "entries"
    in_training = False

    def sample(self, rng: np.random.Generator) -> EntriesParams:
        colours = common.sample_colours(rng, 4)
        first, second = (replace(sample_thing(rng, colours[i]), size="medium") for i in range(2))
        return EntriesParams(
            first=first,
            second=second,
            wall=colours[2],
            post=colours[3],
            post_shape=common.choose(rng, ("cone", "cylinder")),
            to=common.choose(rng, SIDES),
            style=common.sample_style(rng),
        )

    def build(self, p: EntriesParams, duration_s: float) -> Scene:
        """Return the scene; both objects take the same shares of clips of every length."""
        way = SIGN[p.to]
        first, second = (tuple(u * duration_s for u in when) for when in (_CROSSES, _COMES_OUT))
        z = _WALL[2] / 2
        bodies = [
            Body("wall", "box", _WALL, p.wall, (-way * _WALL_X, _WALL_Y, z), solid=False),
            common.standing("post", p.post_shape, 0.85, p.post, way * 1.7, 2.6, solid=False),
            _passing("first", p.first, -way * _FAR, way * _FAR, _LANES[0], first),
            _passing("second", p.second, -way * _WALL_X * 1.1, way * _FAR, _LANES[1], second),
        ]
        # Of the way of the first, the part that a square frame shows.
        there = [first[0] + (first[1] - first[0]) * (1 + side * 2.6 / _FAR) / 2 for side in (-1, 1)]
        facts = {
            "hero": "second",
            "visitor": "first",
            "crosses_s": tuple(there),
            "hidden_s": (0.63 * duration_s, 0.73 * duration_s),
            "stranger": (-way * 0.35, 3.2, 0.0),
        }
        view = common.front_view(duration_s, 10.2, 3.0, (0.0, 0.0, 1.05))
        return common.set_up(p.style, bodies, view, duration_s, facts=facts)

    def phrases(self, p: EntriesParams) -> list[str]:
        to, start, a, b = p.to, OPPOSITE[p.to], p.first, p.second
        wall, post = common.article(f"{p.wall} wall"), common.article(f"{p.post} {p.post_shape}")
        return [
            f"{a.words} comes in from the {start} and {a.verb} across the picture and out on the {to}; then {b.words} {b.verb} out from "
            f"behind {wall} on the {start} and leaves to the {to}; {post} stands there all the time",
            f"{wall} on the {start} and {post}; {a.words} enters on the {start} and {a.verb} past them to the {to}, out of the picture, "
            f"and after it {b.words} comes from behind the wall and goes the same way",
            f"first {a.words} {a.verb} from the {start} border of the picture to the {to} one, then {b.words} {b.verb} out from behind "
            f"{wall} on the {start} and to the {to}, past {post} that stands still",
        ]

    def details(self, p: EntriesParams) -> str:
        return f"{p.first.looks} {p.second.looks} {common.style_words(p.style)} {common.STILL}"


def _passing(name: str, o: Thing, start: float, end: float, y: float, when: tuple[float, ...]) -> Body:
    """Return the body of an object that goes from x = start to x = end in metres at constant speed."""
    body = o.stand(name, start, y)
    z = body.pos[2]
    rolled = float(np.degrees((end - start) * 2 / body.size[0]))
    turns = ((when[0], 0.0, 0.0), (when[1], 0.0, rolled)) if o.shape == "ball" else ()
    return replace(body, motion="path", path=((when[0], start, y, z), (when[1], end, y, z)), turns=turns, solid=False)
