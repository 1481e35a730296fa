"""Building blocks of the scene families: random choices, styles, cameras, objects on the floor, and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from sora_eval.world import cameras, looks, palette
from sora_eval.world.families.params import Lamp, Size, Style, Texture
from sora_eval.world.looks import Look
from sora_eval.world.scene import Body, CameraPath, Light, Scene, Shape, Vec3

T = TypeVar("T")
SHAPES: tuple[Shape, ...] = ("ball", "cube", "cylinder", "cone")
TEXTURES: tuple[Texture, ...] = ("plain", "plain", "striped", "dotted", "glossy")
SIZES: dict[Size, float] = {"small": 0.9, "medium": 1.15, "large": 1.4}
"""Widths in metres."""

LIGHTS: dict[Lamp, Light] = {
    "noon": Light(azimuth=20, elevation=62, ambient=0.52, diffuse=0.52),
    "left": Light(azimuth=-50, elevation=48, ambient=0.46, diffuse=0.58),
    "right": Light(azimuth=50, elevation=48, ambient=0.46, diffuse=0.58),
    "warm": Light(azimuth=35, elevation=38, ambient=0.46, diffuse=0.55, tint=(1.03, 0.99, 0.92)),
    "cool": Light(azimuth=-30, elevation=55, ambient=0.5, diffuse=0.5, tint=(0.94, 0.99, 1.03)),
    "dim": Light(azimuth=-20, elevation=60, ambient=0.36, diffuse=0.36),
}
LIGHT_WORDS: dict[Lamp, str] = {
    "noon": "bright light from above",
    "left": "light from the left",
    "right": "light from the right",
    "warm": "warm low light",
    "cool": "cool light",
    "dim": "dim light",
}
STILL = "The camera does not move."
LEVEL = "The camera looks from the side, level, and does not move."
FLOOR_WORDS: dict[str, str] = {"light grey": "pale", "sand": "pale", "grey": "grey", "slate": "grey"}
"""What prompts call the floors: "sand" and "slate" would be read as materials."""
SAMPLED_LIGHTS: tuple[Lamp, ...] = ("noon", "left", "right", "warm", "cool")
"""The lights that scenes are sampled from; "dim" is kept for tests of robustness."""


def choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Return one of the options at random."""
    return options[int(rng.choice(len(options)))]


def sample_style(rng: np.random.Generator) -> Style:
    """Return floor, backdrop and light at random."""
    return Style(choose(rng, palette.FLOORS), choose(rng, palette.BACKDROPS), choose(rng, SAMPLED_LIGHTS))


def sample_colours(rng: np.random.Generator, count: int) -> list[str]:
    """Return `count` different colours."""
    return [str(c) for c in rng.permutation(list(palette.COLOURS))[:count]]


def set_up(style: Style, bodies: Sequence[Body], camera: CameraPath, duration_s: float, **more: Any) -> Scene:
    """Return a scene in a style; `more` are further fields of the scene."""
    look = look_of(style)
    if look is not None and look.hand_held:
        camera = cameras.shaken(camera, look, duration_s)
    lit = {"light": LIGHTS[style.light], "floor": style.floor, "backdrop": style.backdrop, "look": look}
    return Scene(tuple(bodies), camera, duration_s, **{**lit, **more})


def look_of(style: Style) -> Look | None:
    """Return the look of a style, None for the plain world."""
    choice = style.look
    return None if choice is None else looks.look_of(choice.name, choice.severity, choice.seed, choice.flipped)


def front_view(
    duration_s: float, distance: float = 9.0, height: float = 2.2, look: Vec3 = (0.0, 0.0, 1.3), fov: float = 40.0
) -> CameraPath:
    """Return the camera of most families: still, in front, a little above the floor."""
    return cameras.still(duration_s, (look[0], -distance, height), look, fov)


def extents(shape: Shape, size_m: float) -> Vec3:
    """Return the extents of a shape whose width is `size_m`."""
    tall = {"cylinder": 1.35, "cone": 1.25}.get(shape, 1.0)
    return size_m, size_m, size_m * tall


def standing(name: str, shape: Shape, size_m: float, colour: str, x: float, y: float, **more: Any) -> Body:
    """Return a body that stands on the floor at (x, y)."""
    size = extents(shape, size_m)
    return Body(name, shape, size, colour, (x, y, size[2] / 2), **more)


def article(words: str) -> str:
    """Return the words with "a" or "an" before them."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def sentence(words: str) -> str:
    """Return the words with a capital and a full stop."""
    return words[0].upper() + words[1:] + ("" if words.endswith(".") else ".")


def style_words(style: Style, wall: bool = False) -> str:
    """Return a sentence about floor, backdrop and light. wall: whether a wall of the scene's own hides the surroundings."""
    look = look_of(style)
    if look is not None:
        return f"{_ground(look, wall)} {sentence(LIGHT_WORDS[style.light])}"
    return sentence(
        f"the floor is {style.floor} with tiles, the backdrop is {style.backdrop}, with {LIGHT_WORDS[style.light]}"
    )


def _ground(look: Look, wall: bool) -> str:
    return look.before_wall_words if wall else look.ground_words


def setting(style: Style, camera: str = "", wall: bool = False) -> str:
    """Return the sentence of a prompt on floor and backdrop, then the sentence `camera`: what the probes presuppose.

    wall: whether a wall of the scene's own hides the surroundings of a look.

    Raises:
        KeyError: there are no words for the style's floor.
    """
    look = look_of(style)
    if look is not None:
        return f"{_ground(look, wall)} {held(camera, look)}".strip()
    ground = f"The floor has {FLOOR_WORDS[style.floor]} tiles, the backdrop is plain and pale."
    return f"{ground} {camera}".strip()


def held(camera: str, look: Look) -> str:
    """Return what is said of a camera, with a look's hand that holds it."""
    if not look.hand_held:
        return camera
    if "does not move" in camera:
        return camera.replace("does not move", "is held by hand")
    return f"{camera} The camera is held by hand.".strip()


def level_view(duration_s: float, distance: float = 15.0, height: float = 4.2, fov: float = 40.0) -> CameraPath:
    """Return a still, level camera at right angles to the plane y = 0: motion in that plane keeps its proportions."""
    return front_view(duration_s, distance, height, (0.0, 0.0, height), fov)


def metres(length: float) -> str:
    """Return a length in words, such as "1.5 metres"."""
    return f"{length:g} metres"
