"""The scene family "bite"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from manifold3d import CrossSection, Manifold

from sora_eval.world import shapes
from sora_eval.world.families import common
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Event, Mesh, Scene, Vec3

COOKIE: Vec3 = (1.5, 0.3, 1.5)
BITER_M = 1.0
_WAIT, _ARRIVE, _BITE, _GO, _GONE = 0.08, 0.40, 0.43, 0.47, 0.80
"""Shares of the duration: the creature sets off, stands at the cookie, bites, turns back, is back."""


@dataclass(frozen=True)
class BiteParams(Params):
    """Parameters of `Bite`."""

    cookie: Colour
    """Colour of the cookie."""
    biter: Colour
    """Colour of the creature."""
    side: Side
    """Where the creature comes from, and the edge that it bites."""
    depth: float
    """How deep the bite goes into the cookie, in metres."""
    chips: int
    """Seed of the places of the chocolate chips."""


class Bite(StateChange[BiteParams]):
    """A ball-shaped creature comes from one side, bites a piece out of a round cookie's edge and goes away again."""

    name = "bite"

    def sample(self, rng: np.random.Generator) -> BiteParams:
        cookie, biter = common.sample_colours(rng, 2)
        return BiteParams(
            cookie=cookie,
            biter=biter,
            side=common.choose(rng, SIDES),
            depth=round(float(rng.uniform(0.42, 0.56)), 3),
            chips=int(rng.integers(1000)),
            style=common.sample_style(rng),
        )

    def build(self, p: BiteParams, duration_s: float) -> Scene:
        """Return the scene; the creature's way takes four fifths of the clip's duration."""
        way = -SIGN[p.side]
        place: Vec3 = (0.5 * way, 0.0, COOKIE[2] / 2)
        height = BITER_M / 2 + 0.05
        # Centres this far apart overlap by the depth of the bite.
        apart = (COOKIE[0] + BITER_M) / 2 - p.depth
        off = float(np.sqrt(apart**2 - (place[2] - height) ** 2))
        at: Vec3 = (-way * off, 0.0, height - place[2])
        bite_s = _BITE * duration_s
        bodies = [
            Body(
                "cookie",
                "mesh",
                COOKIE,
                p.cookie,
                place,
                shown=(-1e9, bite_s),
                mesh=shapes.to_mesh(shapes.disc(COOKIE)),
            ),
            Body("bitten", "mesh", COOKIE, p.cookie, place, shown=(bite_s, 1e9), mesh=bitten(COOKIE, BITER_M, at)),
            *_chips(p.chips, way, place, at),
        ]
        start, stop = (-1.26 * way, 0.0, height), (place[0] + at[0], 0.0, height)
        turns = ((_WAIT, start), (_ARRIVE, stop), (_GO, stop), (_GONE, start))

        def walk(dx: float, dy: float, dz: float) -> tuple[tuple[float, float, float, float], ...]:
            return tuple((u * duration_s, x + dx, y + dy, z + dz) for u, (x, y, z) in turns)

        body = Body(
            "biter", "ball", (BITER_M,) * 3, p.biter, start, motion="path", path=walk(0, 0, 0), shown=(bite_s, 1e9)
        )
        bodies += [
            body,
            Body(
                "mouth",
                "mesh",
                body.size,
                p.biter,
                start,
                motion="path",
                path=body.path,
                shown=(-1e9, bite_s),
                mesh=_mouth(way),
            ),
            Body(
                "eye",
                "ball",
                (0.22,) * 3,
                "white",
                start,
                motion="path",
                path=walk(0.02 * way, -0.36, 0.24),
                tracked=False,
            ),
            Body(
                "pupil",
                "ball",
                (0.12,) * 3,
                "dark grey",
                start,
                motion="path",
                path=walk(0.05 * way, -0.45, 0.25),
                tracked=False,
            ),
        ]
        facts = {
            "hero": "bitten",
            "change": {
                "cause_s": bite_s,
                "effect": ["cookie", "bitten"],
                "lead_s": bite_s,
                "done_s": _GONE * duration_s,
            },
            "bite": {"size": COOKIE, "tool_m": BITER_M, "at": at, "depth_m": p.depth},
        }
        events = (Event("bite", ("biter", "cookie"), bite_s),)
        camera = common.front_view(duration_s, distance=5.0, height=1.15, look=(0.0, 0.0, 0.85))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events)

    def states(self, p: BiteParams) -> tuple[str, str]:
        return (
            f"A round {p.cookie} cookie.",
            f"A {p.cookie} cookie with a big bite out of its {p.side} edge.",
        )

    def phrases(self, p: BiteParams) -> list[str]:
        side = p.side
        cookie, biter = f"round {p.cookie} cookie", f"{p.biter} ball-shaped creature"
        return [
            f"{common.article(biter)} comes from the {side}, bites a piece out of the {side} edge of a {cookie} and"
            " goes away again",
            f"a {cookie} stands facing us; {common.article(biter)} comes from the {side}, takes a bite out of its"
            f" {side} side and goes back",
            f"from the {side} {common.article(biter)} comes up to a {cookie}, takes a big bite out of its {side} edge"
            f" and goes back to the {side}",
        ]

    def details(self, p: BiteParams) -> str:
        return (
            "The cookie has dark chips, does not move and is half as wide again as the creature."
            f" {common.style_words(p.style)}"
            " The camera is close and does not move."
        )


def bitten(size: Vec3, tool_m: float, at: Vec3) -> Mesh:
    """Return a standing disc of extents `size` less a ball of diameter `tool_m`, `at` from the disc's centre."""
    return shapes.to_mesh(shapes.disc(size) - shapes.ball(tool_m / 2, at))


@lru_cache(maxsize=8)
def _mouth(way: float) -> Mesh:
    """Return the creature with its mouth open towards +x or -x."""
    reach = 2 * BITER_M
    wedge = CrossSection([np.array([[0.0, 0.0], [reach, -0.55 * reach], [reach, 0.55 * reach]])])
    prism = Manifold.extrude(wedge, reach).translate((0.06, 0.0, -reach / 2)).rotate((90.0, 0.0, 0.0))
    return shapes.to_mesh(Manifold.sphere(BITER_M / 2, 32) - (prism if way > 0 else prism.rotate((0.0, 0.0, 180.0))))


def _chips(seed: int, way: float, place: Vec3, at: Vec3) -> list[Body]:
    """Return the chocolate chips, all where nothing is bitten off; `way` mirrors them."""
    rng = np.random.default_rng(seed)
    spots = []
    for k in range(5):
        angle, far = 2 * np.pi * (k + rng.uniform(-0.2, 0.2)) / 5, rng.uniform(0.30, 0.55)
        x, z = way * far * np.cos(angle), far * np.sin(angle)
        if np.hypot(x - at[0], z - at[2]) > BITER_M / 2 + 0.14:
            spots.append((place[0] + x, -COOKIE[1] / 2, place[2] + z))
    size = (0.18, 0.18, 0.18)
    return [Body(f"chip{k}", "ball", size, "dark grey", s, solid=False, tracked=False) for k, s in enumerate(spots)]
