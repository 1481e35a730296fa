"""Looks of the world: materials, surroundings, light and lens of a scene, from plain to full by one dial. Plain data, no pixels.

A look changes what a scene looks like and never what happens in it: bodies and their motion stay. Masks, tracks and depth are those
of the picture, so a hand-held camera's truth is the shaken camera, and a wall has a depth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import numpy as np

from sora_eval.settings import Settings, option

Rgb = tuple[float, float, float]

LookName = Literal["studio", "indoor", "outdoor"]
LOOKS: tuple[LookName, ...] = get_args(LookName)
"""The looks beside "plain"."""
PLAIN = "plain"
MaterialName = Literal["wood", "concrete", "gravel", "grass", "brick", "fabric", "plaster", "paper", "water"]
WALL_X_M, WALL_BACK_M, WALL_FRONT_M = 30.0, 5.0, -24.0
"""Where the walls of a room stand: farther than anything goes that a family moves, and behind every camera."""


@dataclass(frozen=True)
class LookOptions(Settings):
    """The look of scenes."""

    GROUP: ClassVar[str] = "world"

    look: str = option(PLAIN, choices=(PLAIN, *LOOKS))
    """Materials, surroundings, light and lens of the scenes: plain, studio, indoor or outdoor. Prompts name what is there."""
    severity: float = option(1.0, above=0, most=1)
    """How far the look goes from plain, above 0, to full, 1."""

    @property
    def name(self) -> str:
        """The look as a part of a file's name, "" for plain: "indoor", "indoor@0.5"."""
        if self.look == PLAIN:
            return ""
        return self.look if self.severity == 1 else f"{self.look}@{self.severity:g}"


PLAIN_WORLD = LookOptions()
"""No look."""


@dataclass(frozen=True)
class Material:
    """A surface: a pattern in two colours."""

    kind: MaterialName
    """The pattern."""
    first: Rgb
    """Its colour, 0..255."""
    second: Rgb
    """The colour that the pattern mixes in, 0..255; of bricks that of the mortar."""
    words: str
    """What captions call it as a floor or a wall: "wooden", "brick"."""


@dataclass(frozen=True)
class Look:
    """What a scene looks like beside its bodies. Strengths are those at the look's severity."""

    name: LookName
    """Its name."""
    severity: float
    """Share of the way from plain to full, above 0 up to 1."""
    seed: int
    """Seed of the patterns."""
    flipped: bool
    """Whether patterns are seen in a mirror."""
    floor: Material
    """Of the floor."""
    wall: Material | None
    """Of the walls; None for none."""
    open_sky: bool
    """Whether there are hills, a sky and clouds; else a plain backdrop."""
    zenith: Rgb
    """Colour of the sky or the backdrop high up, 0..255."""
    horizon: Rgb
    """Colour of the sky or the backdrop low down, and of haze, 0..255."""
    clouds: float
    """Strength of the clouds, 0 to 1."""
    haze_m: float
    """Distance at which a quarter of an open floor's colour is haze, half of a studio's, metres."""
    sun: Rgb
    """Factors on the colour of the lamp's light."""
    fill: Rgb
    """Factors on the colour of the ambient light."""
    lamp: float
    """Factor on the lamp's strength."""
    ambient: float
    """Factor on the ambient light's strength."""
    softness: float
    """Tangent of the lamp's radius: width of a penumbra per distance."""
    occlusion: float
    """Share of the ambient light that a corner loses."""
    gloss: float
    """Strength of highlights and of reflections at grazing angles on bodies."""
    mirror: float
    """Strength of the floor's reflections."""
    balance: Rgb
    """White balance: factors on red, green and blue."""
    shutter: float
    """Time that the shutter is open, as a share of a frame's time."""
    aperture: float
    """Blur of what is infinitely far away, radius as a share of the frame's shorter side."""
    sway_deg: float
    """How far a hand-held camera turns to either side, degrees; 0 for a camera on a tripod."""

    @property
    def ground_words(self) -> str:
        """The sentence of captions on floor and surroundings."""
        if self.wall is not None:
            return f"The floor is {self.floor.words}, and there is a {self.wall.words} wall behind."
        if self.open_sky:
            return f"The ground is {self.floor.words}, under a blue sky with hills far away."
        return f"The floor of the studio is {self.floor.words}, the backdrop is plain."

    @property
    def before_wall_words(self) -> str:
        """The sentence of captions on floor and surroundings of a scene that has a wall of its own."""
        return f"The floor is {self.floor.words}, and there is a plain wall behind."

    @property
    def distance(self) -> Rgb:
        """Colour of the floor far away, 0..255: that of the backdrop, or a third of the sky's and the ground's."""
        if not self.open_sky:
            return self.horizon
        r, g, b = (
            0.35 * sky + 0.3 * (one + two)
            for sky, one, two in zip(self.horizon, self.floor.first, self.floor.second, strict=True)
        )
        return r, g, b

    @property
    def sky_words(self) -> str:
        """The surroundings alone, for scenes with ground of their own: " under a blue sky", or ""."""
        return " under a blue sky with hills far away" if self.open_sky else ""

    @property
    def hand_held(self) -> bool:
        """Whether the camera is held by hand."""
        return self.sway_deg > 0


_OAK = Material("wood", (176, 140, 102), (142, 106, 72), "wooden")
_WALNUT = Material("wood", (126, 98, 78), (92, 70, 56), "wooden")
_ASH = Material("wood", (190, 172, 148), (164, 142, 116), "wooden")
_CONCRETE = Material("concrete", (168, 167, 163), (140, 139, 137), "concrete")
_DARK_CONCRETE = Material("concrete", (122, 123, 126), (98, 100, 104), "concrete")
_CARPET = Material("fabric", (150, 146, 140), (118, 114, 110), "carpeted")
_BEIGE_CARPET = Material("fabric", (186, 174, 156), (158, 146, 130), "carpeted")
_FELT = Material("fabric", (122, 126, 136), (98, 102, 112), "carpeted")
_PAPER = Material("paper", (206, 205, 202), (206, 205, 202), "smooth and pale")
_GRASS = Material("grass", (112, 134, 78), (78, 106, 54), "grass")
_DRY_GRASS = Material("grass", (140, 146, 92), (108, 118, 70), "grass")
_GRAVEL = Material("gravel", (188, 184, 180), (150, 148, 147), "gravel")
_BRICK = Material("brick", (150, 108, 92), (176, 170, 162), "brick")
_PALE_BRICK = Material("brick", (188, 178, 168), (206, 202, 196), "brick")
_PAVING = Material("brick", (158, 140, 128), (120, 116, 110), "paved with bricks")
_PLASTER = Material("plaster", (214, 208, 196), (214, 208, 196), "plastered")
_GREY_PLASTER = Material("plaster", (188, 194, 198), (188, 194, 198), "plastered")
_WOOD_WALL = Material("wood", (170, 142, 112), (144, 116, 88), "wooden")
_WATER = Material("water", (170, 186, 196), (146, 166, 180), "water")

_FLOORS: dict[LookName, tuple[Material, ...]] = {
    "studio": (_PAPER, _CONCRETE, _DARK_CONCRETE, _FELT),
    "indoor": (_OAK, _WALNUT, _ASH, _CARPET, _BEIGE_CARPET, _CONCRETE),
    "outdoor": (_GRASS, _GRASS, _DRY_GRASS, _GRAVEL, _PAVING),
}
_WALLS = (_BRICK, _PALE_BRICK, _PLASTER, _PLASTER, _GREY_PLASTER, _CONCRETE, _WOOD_WALL)
_PALE_WALLS = (_PALE_BRICK, _PLASTER, _GREY_PLASTER)
_BALANCES: tuple[Rgb, ...] = ((1.0, 1.0, 1.0), (1.04, 1.0, 0.95), (0.96, 1.0, 1.04))
_FULL: dict[LookName, Look] = {
    "studio": Look(
        "studio", 1.0, 0, False, _PAPER, None, False, (150, 152, 158), (216, 216, 216), 0.0, 14.0,
        sun=(1.0, 1.0, 1.0), fill=(1.0, 1.0, 1.0), lamp=0.95, ambient=1.04, softness=0.16, occlusion=0.62, gloss=0.55,
        mirror=0.30, balance=(1.0, 1.0, 1.0), shutter=0.5, aperture=0.0025, sway_deg=0.0,
    ),
    "indoor": Look(
        "indoor", 1.0, 0, False, _OAK, _PLASTER, False, (186, 184, 180), (196, 194, 188), 0.0, 0.0,
        sun=(1.05, 1.0, 0.92), fill=(1.0, 1.0, 1.0), lamp=1.0, ambient=1.08, softness=0.10, occlusion=0.66, gloss=0.4,
        mirror=0.18, balance=(1.0, 1.0, 1.0), shutter=0.5, aperture=0.0025, sway_deg=0.0,
    ),
    "outdoor": Look(
        "outdoor", 1.0, 0, False, _GRASS, None, True, (112, 154, 202), (212, 222, 230), 0.9, 90.0,
        sun=(1.06, 1.0, 0.90), fill=(0.94, 0.99, 1.08), lamp=1.25, ambient=0.88, softness=0.035, occlusion=0.60, gloss=0.4,
        mirror=0.0, balance=(1.0, 1.0, 1.0), shutter=0.4, aperture=0.0025, sway_deg=0.25,
    ),
}  # fmt: skip


def look_of(name: LookName, severity: float, seed: int, flipped: bool = False) -> Look:
    """Return a look at a severity above 0 up to 1: every strength in proportion, materials and white balance drawn by the seed."""
    full, s = _FULL[name], severity
    rng = np.random.default_rng([seed, *b"look", *name.encode()])
    floor = _FLOORS[name][int(rng.integers(len(_FLOORS[name])))]
    walls = [wall for wall in _WALLS if wall.kind != floor.kind]
    wall = walls[int(rng.integers(len(walls)))] if full.wall is not None else None
    balance = _BALANCES[int(rng.integers(len(_BALANCES)))]
    shiny = {"fabric": 0.0, "concrete": 0.7}.get(floor.kind, 1.0)
    return replace(
        full,
        severity=s,
        seed=int(rng.integers(1 << 20)),
        flipped=flipped,
        floor=floor,
        wall=wall,
        sun=_towards(full.sun, s),
        fill=_towards(full.fill, s),
        balance=_towards(balance, s),
        lamp=1 + s * (full.lamp - 1),
        ambient=1 + s * (full.ambient - 1),
        softness=max(0.004, s * full.softness),
        occlusion=s * full.occlusion,
        gloss=s * full.gloss,
        mirror=s * full.mirror * shiny,
        shutter=s * full.shutter,
        aperture=s * full.aperture,
        sway_deg=s * full.sway_deg,
    )


def _towards(factors: Rgb, share: float) -> Rgb:
    r, g, b = (1 + share * (f - 1) for f in factors)
    return r, g, b


def on_water(look: Look) -> Look:
    """Return a look for a scene that stands in water: no walls."""
    return replace(look, floor=_WATER, wall=None, mirror=max(look.mirror, 0.5 * look.severity))


def on_floor(name: LookName, kind: MaterialName, seed: int, flipped: bool = False) -> Look:
    """Return a full look on a floor of a kind of material, which the look must have, before a pale wall if it has any, on a tripod."""
    look = look_of(name, 1.0, seed, flipped)
    rng = np.random.default_rng([seed, *b"floor", *kind.encode()])
    floors = sorted({f for f in _FLOORS[name] if f.kind == kind}, key=lambda f: f.first)
    floor, pale = (options[int(rng.integers(len(options)))] for options in (floors, _PALE_WALLS))
    return replace(look, floor=floor, wall=pale if look.wall else None, balance=(1.0, 1.0, 1.0), sway_deg=0.0)


def at_night(look: Look) -> Look:
    """Return a look at night: two fifths of the light, a little bluish, and a dark sky without hills."""
    moon = (0.92, 0.97, 1.06)
    return replace(
        look, sun=moon, fill=moon, lamp=0.42 * look.lamp, ambient=0.42 * look.ambient, open_sky=False,
        zenith=(18, 20, 24), horizon=(36, 40, 46), clouds=0.0,
    )  # fmt: skip
