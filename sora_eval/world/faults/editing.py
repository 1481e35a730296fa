"""Faults of editing: cuts, cross-fades and flashes where one part of a clip should go over into another, loops that don't close, and
edits that change too little, too much or something else.

Those of transitions set in between `_MADE`, shares of the clip that no given frame of any mode lies in.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from sora_eval.types import Bools, Floats, Frames
from sora_eval.world import clip, palette
from sora_eval.world.faults.base import Broken, fault, index
from sora_eval.world.physics import States
from sora_eval.world.scene import Scene

_MADE = (0.27, 0.73)
_EPS = 1e-9


def _middle(u: Floats) -> tuple[int, int]:
    """Return the last frame before and the first one after the middle of a clip, given the time of each frame as a share of it [T]."""
    first, last = np.searchsorted(u, _MADE[0] - _EPS) - 1, np.searchsorted(u, _MADE[1] + _EPS)
    return max(int(first), 0), min(int(last), len(u) - 1)


def _inside(u: Floats) -> Bools:
    first, last = _middle(u)
    k = np.arange(len(u))
    return np.asarray((k > first) & (k < last))


@fault("hero")
def holds_and_cuts(scene: Scene, severity: float) -> Broken:
    """The picture stands still for a `severity` share of the clip's middle part, then there is a hard cut to where it should be."""

    def picture(frames: Frames, u: Floats) -> Frames:
        first, last = _middle(u)
        held = frames.copy()
        held[first : first + 1 + round(severity * (last - first - 1))] = frames[first]
        return held

    return Broken(scene, picture=picture)


@fault("hero")
def cross_fades(scene: Scene, severity: float) -> Broken:
    """A `severity` share of the clip's middle part is a cross-fade from the frame before it to the frame after it."""

    def picture(frames: Frames, u: Floats) -> Frames:
        first, last = _middle(u)
        wide = round(severity * (last - first))
        first += (last - first - wide) // 2
        return _faded(frames, first, first + wide, frames[first + wide])

    return Broken(scene, picture=picture)


def _faded(frames: Frames, first: int, last: int, to: Frames) -> Frames:
    """Return frames with those between `first` and `last` a mixture of frame `first` and the image `to`."""
    faded = frames.copy()
    for k in range(first + 1, min(last, len(frames))):
        share = (k - first) / (last - first)
        faded[k] = np.rint((1 - share) * frames[first] + share * to.astype(np.float64))
    return faded


@fault("hero")
def flashes(scene: Scene, severity: float) -> Broken:
    """The clip's middle part is darker, at severity 1 by half: a seam at each end of it."""

    def picture(frames: Frames, u: Floats) -> Frames:
        dark = frames.copy()
        inside = _inside(u)
        dark[inside] = np.rint(frames[inside] * (1 - 0.5 * severity))
        return dark

    return Broken(scene, picture=picture)


@fault("hero")
def turns_into_another(scene: Scene, severity: float) -> Broken:
    """For a `severity` share of the clip's middle part the hero has another colour."""
    hero = scene.body(str(scene.facts["hero"]))
    names = list(palette.COLOURS)
    other = names[(names.index(hero.colour) + len(names) // 2) % len(names)]

    def edit(states: States) -> States:
        u = states.t_s / max(scene.duration_s, _EPS)
        first, last = _middle(u)
        rgb = states.rgb.copy()
        rgb[first + 1 : first + 1 + round(severity * (last - first - 1)), index(scene, hero.name)] = palette.rgb(other)
        return replace(states, rgb=rgb)

    return Broken(scene, edit=edit)


@fault("looped")
def stays_open(scene: Scene, severity: float) -> Broken:
    """From the clip's first third on the hero drifts off, at severity 1 by its whole reach: the end is no beginning."""

    def edit(states: States) -> States:
        u = states.t_s / max(scene.duration_s, _EPS)
        pos = states.pos.copy()
        pos[:, index(scene, "hero"), 0] += severity * scene.facts["looped"] * np.clip((u - 0.3) / 0.7, 0, 1)
        return replace(states, pos=pos)

    return Broken(scene, edit=edit)


@fault("looped")
def fades_back(scene: Scene, severity: float) -> Broken:
    """The clip ends in a cross-fade to its first frame that takes up to 60% of it."""

    def picture(frames: Frames, u: Floats) -> Frames:
        wide = round(0.6 * severity * len(frames))
        return _faded(frames, len(frames) - wide, len(frames), frames[0]) if wide else frames

    return Broken(scene, picture=picture)


def _recoloured(scene: Scene, name: str, colour: str, share: float) -> Broken:
    """Give a body a mixture of its own colour and a share of another one."""
    own, other = (np.array(palette.rgb(c), float) for c in (scene.body(name).colour, colour))

    def edit(states: States) -> States:
        rgb = states.rgb.copy()
        rgb[:, index(scene, name)] = (1 - share) * own + share * other
        return replace(states, rgb=rgb)

    return Broken(scene, edit=edit)


@fault("hero", "before")
def half_edited(scene: Scene, severity: float) -> Broken:
    """The hero's colour is a mixture of the asked one and that of the source clip, at severity 1 the latter."""
    return _recoloured(scene, "hero", str(scene.facts["before"]), severity)


@fault("hero", "way")
def moves_otherwise(scene: Scene, severity: float) -> Broken:
    """The hero moves less than in the source clip, at severity 1 the other way."""

    def edit(states: States) -> States:
        pos = states.pos.copy()
        i = index(scene, "hero")
        middle = pos[:, i, 0].mean()
        pos[:, i, 0] = middle + (1 - 2 * severity) * (pos[:, i, 0] - middle)
        return replace(states, pos=pos)

    return Broken(scene, edit=edit)


@fault("beside")
def recolours_another(scene: Scene, severity: float) -> Broken:
    """What the prompt leaves as it is gets another colour too, at severity 1 that of the hero."""
    return _recoloured(scene, str(scene.facts["beside"]), scene.body("hero").colour, severity)


@fault("beside")
def redraws_all(scene: Scene, severity: float) -> Broken:
    """The surroundings change as well: the picture's background gets darker and more uneven, at severity 1 by two fifths."""

    def picture(frames: Frames, u: Floats) -> Frames:
        height, width = frames.shape[1:3]
        y, x = np.mgrid[:height, :width]
        pattern = 1 - severity * 0.4 * (0.5 + 0.5 * np.sin(9 * x / width) * np.cos(7 * y / height))
        spread = frames.max(axis=3).astype(int) - frames.min(axis=3)
        # Colours of objects stay, so that nothing but the surroundings is another.
        grey = np.array([cv2.GaussianBlur((s < 48).astype(np.float32), (0, 0), 0.02 * width) for s in spread])[
            ..., None
        ]
        return np.asarray(np.rint(frames * (1 - grey * (1 - pattern[None, ..., None]))), dtype=np.uint8)

    return Broken(scene, picture=picture)


def _unedited(scene: Scene, frames: Frames) -> Frames:
    """Return the source clip of an edit that changes the surroundings, at the size and the moments of its frames [T, H, W, 3]."""
    fps = (len(frames) - 1) / max(scene.duration_s, _EPS)
    return clip(scene.facts["unedited"], (frames.shape[1], frames.shape[2]), fps, len(frames)).video.frames


@fault("hero", "unedited")
def changes_in_part(scene: Scene, severity: float) -> Broken:
    """A `severity` share of the picture, from the left, has the surroundings of the source clip."""

    def picture(frames: Frames, u: Floats) -> Frames:
        mixed, kept = frames.copy(), round(severity * frames.shape[2])
        mixed[:, :, :kept] = _unedited(scene, frames)[:, :, :kept]
        return mixed

    return Broken(scene, picture=picture)


@fault("hero", "unedited")
def changes_back(scene: Scene, severity: float) -> Broken:
    """For the last `severity` share of the clip it has the surroundings of the source clip again."""

    def picture(frames: Frames, u: Floats) -> Frames:
        mixed, first = frames.copy(), len(frames) - round(severity * len(frames))
        mixed[first:] = _unedited(scene, frames)[first:]
        return mixed

    return Broken(scene, picture=picture)


@fault("hero", "unedited")
def changes_faintly(scene: Scene, severity: float) -> Broken:
    """The clip is a mixture with the source clip, which has a `severity` share of it."""

    def picture(frames: Frames, u: Floats) -> Frames:
        mixed = (1 - severity) * frames + severity * _unedited(scene, frames)
        return np.asarray(np.rint(mixed), dtype=np.uint8)

    return Broken(scene, picture=picture)


@fault("hero", "beside", "unedited")
def displaces_another(scene: Scene, severity: float) -> Broken:
    """What stands behind the hero's way stands elsewhere, at severity 1 by 1.8 metres farther to the side."""

    def edit(states: States) -> States:
        pos = states.pos.copy()
        i = index(scene, str(scene.facts["beside"]))
        pos[:, i, 0] += severity * 1.8 * np.where(pos[:, i, 0] < 0, 1, -1)
        return replace(states, pos=pos)

    return Broken(scene, edit=edit)
