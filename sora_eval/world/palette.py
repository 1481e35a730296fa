"""Colours of the world: eight saturated ones for objects, and greys and pastels for everything else.

Hue identifies objects. Light multiplies a colour, so hue and saturation survive shading; floors, walls and skies stay
below a saturation of .2, which is what lets the tracker separate them without weights.
"""

from __future__ import annotations

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 40, 38),
    "orange": (242, 132, 16),
    "yellow": (240, 216, 34),
    "green": (48, 172, 62),
    "cyan": (34, 190, 208),
    "blue": (44, 78, 222),
    "purple": (142, 56, 204),
    "pink": (246, 112, 188),
}

NEUTRALS: dict[str, tuple[int, int, int]] = {
    "white": (236, 236, 232),
    "light grey": (196, 197, 199),
    "grey": (150, 151, 153),
    "dark grey": (92, 93, 96),
    "sand": (214, 204, 184),
    "slate": (128, 136, 146),
    "cream": (232, 226, 212),
    "mist": (190, 198, 206),
    "moss": (158, 172, 146),
    "fern": (147, 161, 136),
    "earth": (144, 132, 122),
    "bark": (108, 98, 90),
    "leaf": (112, 128, 108),
}

FLOORS: tuple[str, ...] = ("light grey", "grey", "sand", "slate")
BACKDROPS: tuple[str, ...] = ("white", "cream", "mist", "light grey")


def rgb(name: str) -> tuple[int, int, int]:
    """Return the sRGB colour of a name, 0..255."""
    return COLOURS[name] if name in COLOURS else NEUTRALS[name]


def hues_apart(a: int, b: int) -> int:
    """Return how many places two of `COLOURS`, by index, are apart in the circle of hues."""
    return min((a - b) % len(COLOURS), (b - a) % len(COLOURS))
