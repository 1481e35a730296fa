"""A character in two shots with a hard cut between them: another distance, another angle, the same character."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, CameraPath, Scene

CUT = 0.48
"""The share of the clip at which the cut comes."""
_FAR, _NEAR = 10.5, 6.6
_BODIES: dict[str, tuple[float, float]] = {"cylinder": (1.15, 1.6), "cone": (1.5, 1.7)}
_HEAD = 1.0


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    body, head, companion = common.sample_colours(rng, 3)
    return {
        "body": body,
        "body_shape": str(rng.choice(list(_BODIES))),
        "head": head,
        "companion": companion,
        "companion_shape": str(rng.choice(["ball", "cone", "cylinder"])),
        "side": str(rng.choice(["left", "right"])),
        "second": str(rng.choice(["closer", "farther"])),
        "swing": str(rng.choice(["left", "right"])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    side, swing = common.OPPOSITE[params["side"]], common.OPPOSITE[params["swing"]]
    return {**params, "side": side, "swing": swing, "style": common.mirrored_style(params["style"])}


def build(
    duration_s: float, *, body: str, body_shape: str, head: str, companion: str, companion_shape: str, side: str,
    second: str, swing: str, texture: str, style: Mapping[str, Any],
) -> Scene:  # fmt: skip
    """Return the scene; `side` is where the companion stands, `swing` the side from which the second shot is taken."""
    way = 1.0 if side == "right" else -1.0
    width, height = _BODIES[body_shape]
    trunk = Body("body", body_shape, (width, width, height), body, (0.0, 0.0, height / 2), texture=texture)  # type: ignore[arg-type]
    # A cone's tip goes into the head.
    top = Body(
        "head",
        "ball",
        (_HEAD, _HEAD, _HEAD),
        head,
        (0.0, 0.0, height + (0.4 if body_shape == "cylinder" else 0.15) * _HEAD),
    )
    mate = common.standing("companion", companion_shape, 0.9, companion, way * 1.7, 0.0)
    look = (way * 0.55, 0.0, 1.3)
    first_m, second_m = (_FAR, _NEAR) if second == "closer" else (_NEAR, _FAR)
    turned = np.radians(32.0 if swing == "right" else -32.0)

    def shot(distance: float, angle: float) -> CameraPath:
        eye = (look[0] + distance * float(np.sin(angle)), -distance * float(np.cos(angle)), look[2] + 0.12 * distance)
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
    return common.set_up(style, (trunk, top, mate), view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    figure = common.article(f"{params['body']} {params['body_shape']}-shaped figure")
    who = f"{figure} with {common.article(params['head'])} ball for a head"
    mate = common.article(f"{params['companion']} {params['companion_shape']}")
    side, swing = params["side"], params["swing"]
    first, second = ("from afar", "from close by") if params["second"] == "closer" else ("from close by", "from afar")
    short = [
        f"two shots of {who} and, to the {side} of it, {mate}: first from the front and {first}, then, after a hard cut, "
        f"{second} and more from the {swing}",
        f"{who} stands still with {mate} to the {side} of it, filmed {first}; cut to the same two {second}, "
        f"from farther {swing}",
        f"{who} and, to the {side} of it, {mate}, neither moving, {first}; then a hard cut to the same scene "
        f"{second}, more from the {swing}",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += f" The figure is {params['texture']}. "
        words += f"{common.style_words(params['style'])} The camera does not move within a shot."
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop; the caption speaks of the camera."""
    return common.setting(params["style"])
