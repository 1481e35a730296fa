"""The true tracks of a case: boxes of its coloured things, points on their surfaces, and when each is out of sight.

From the world's own geometry, not from pixels: a body's mask is what rays through the pixel centres hit, a point of a surface moves with
its body and is visible where a ray from the eye meets it first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sora_eval.metrics.mot import BoxTracks
from sora_eval.types import Bools, Camera, Case, Floats, Frames
from sora_eval.world import frame_times, physics, scene_of
from sora_eval.world.palette import COLOURS
from sora_eval.world.physics import States
from sora_eval.world.render import Renderer, camera_of
from sora_eval.world.scene import Scene

LEAST_SHARE = 8 / 64**2
"""Share of the frame that a thing must show to have a box: 8 pixels at 64 x 64, what the tracker finds whatever its shape."""
POINTS = 16
_APART = 2.5 / 64
"""Share of the frame's shorter side by which points of one thing are apart, where it is large enough."""
_SEEN_M = 0.02
"""How far before a point a ray may end that still meets it: edges of meshes, 32-bit ray lengths."""
_Ids = NDArray[np.int16]


@dataclass(frozen=True)
class TrueTracks:
    """Objects and surface points in the true clip of a case, at the case's size (H, W) and moments [T]."""

    colours: tuple[str, ...]
    """Colours of N things."""
    boxes: BoxTracks
    """Boxes of their visible pixels, with the thing's number as identity."""
    xy: Floats
    """[N, T, 2] centroid of these pixels, NaN where a thing shows too little."""
    points: Floats
    """[P, T, 2] places of surface points in pixels, each visible in the first frame."""
    points_visible: Bools
    """[P, T]."""
    depth: Floats
    """[H, W] z-depth in metres of the first frame."""
    camera: Camera
    """Camera per frame."""
    rigid: bool
    """Whether nothing but the camera moves."""
    unknown: tuple[str, ...]
    """Colours of things that break: which piece is which can't be known, so no track of theirs is judged."""
    size: tuple[int, int]
    """(height, width) in pixels."""
    fps: float
    """Frames per second."""

    @property
    def visible(self) -> Bools:
        """Where each thing has a box, [N, T]."""
        return np.asarray(np.isfinite(self.xy[..., 0]))

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many things have a box in each frame, [T]."""
        return np.asarray(self.visible.sum(axis=0), dtype=np.int64)


def true_tracks(case: Case) -> TrueTracks:
    """Return the true tracks of a case; cases of one scene in several modes share them.

    A thing is a body with a colour of the palette, which is what the tracker finds. Bodies of one colour are one thing where they are
    never seen apart: a coat and its sleeves, a cookie before and after the bite. What breaks and its pieces are left out.
    """
    return _of_scene(json.dumps(case.scene, sort_keys=True), case.size, case.fps, case.frames)


@lru_cache(maxsize=16)
def _of_scene(spec: str, size: tuple[int, int], fps: float, frames: int) -> TrueTracks:
    scene = scene_of(json.loads(spec), (frames - 1) / fps)
    states = physics.simulate(scene, frame_times(frames, fps))
    camera = camera_of(scene, states.t_s, size)
    renderer = Renderer(scene, size)
    seen = [renderer.seen(states, camera, k) for k in range(frames)]
    ids, depth = np.array([i for i, _ in seen]), seen[0][1].astype(np.float64)
    things = _things(scene, ids)
    of_body = np.full(len(scene.bodies) + 1, -1)
    for number, bodies in enumerate(things):
        of_body[bodies] = number
    boxes, xy = _boxes(of_body[ids], len(things))
    points, visible = _points(scene, states, camera, renderer, of_body, ids[0], depth)
    moving = states.pos.std(axis=0).max(initial=0.0) > 1e-6 or bool((states.shown != states.shown[:1]).any())
    turning = bool(np.ptp(camera.R, axis=0).max() > 1e-9 or np.ptp(camera.t, axis=0).max() > 1e-9)
    colours = tuple(scene.bodies[bodies[0]].colour for bodies in things)
    unknown = (scene.body(scene.fracture.body).colour,) if scene.fracture else ()
    return TrueTracks(colours, boxes, xy, points, visible, depth, camera, turning and not moving, unknown, size, fps)


def _things(scene: Scene, ids: _Ids) -> list[list[int]]:
    """Return the bodies of each thing, by their numbers."""
    broken = {scene.fracture.body, *scene.fracture.pieces} if scene.fracture else set()
    coloured = [
        i for i, b in enumerate(scene.bodies) if b.colour in COLOURS and b.name not in broken and (ids == i).any()
    ]
    group = {i: i for i in coloured}
    for i, j in combinations(coloured, 2):
        if scene.bodies[i].colour == scene.bodies[j].colour and _one_thing(ids == i, ids == j):
            old, new = group[j], group[i]
            group = {k: new if g == old else g for k, g in group.items()}
    return [[k for k in coloured if group[k] == g] for g in dict.fromkeys(group.values())]


def _one_thing(a: Bools, b: Bools) -> bool:
    """Return whether two masks [T, H, W] touch in most of the frames that show both, or no frame does."""
    both = np.flatnonzero(a.any(axis=(1, 2)) & b.any(axis=(1, 2)))
    near = np.ones((3, 3), np.uint8)
    return (
        len(both) == 0 or float(np.mean([(cv2.dilate(a[k].astype(np.uint8), near) & b[k]).any() for k in both])) > 0.5
    )


def _boxes(things: NDArray[np.int64], count: int) -> tuple[BoxTracks, Floats]:
    frames, height, width = things.shape
    least = LEAST_SHARE * height * width
    xy = np.full((count, frames, 2), np.nan)
    ids, boxes = [], []
    for k, frame in enumerate(things):
        here, visible = [], []
        for i in range(count):
            y, x = np.nonzero(frame == i)
            if len(x) >= least:
                here.append(i)
                visible.append((x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5))
                xy[i, k] = x.mean(), y.mean()
        ids.append(np.array(here, dtype=np.int64))
        boxes.append(np.array(visible, dtype=np.float64).reshape(-1, 4))
    return BoxTracks(ids, boxes), xy


def _points(
    scene: Scene, states: States, camera: Camera, renderer: Renderer, of_body: NDArray[np.int64], first: _Ids, depth: Floats
) -> tuple[Floats, Bools]:  # fmt: skip
    """Return points [P, T, 2] on the things' surfaces that the first frame shows, and where each is visible [P, T]."""
    pixels = list(_chosen(of_body[first], renderer.frame(states, camera, 0)))
    frames, (height, width) = len(states.t_s), first.shape
    if not pixels:
        return np.zeros((0, frames, 2)), np.zeros((0, frames), dtype=bool)
    y, x = np.array(pixels).T
    rays = np.stack([x, y, np.ones(len(x))], axis=1) @ np.linalg.inv(camera.K[0]).T
    world = (rays * depth[y, x, None] - camera.t[0]) @ camera.R[0]
    body = first[y, x].astype(int)
    quat = states.quat[:, body]
    turns = Rotation.from_quat(quat.reshape(-1, 4), scalar_first=True).as_matrix().reshape(*quat.shape[:2], 3, 3)
    # The turn of a plain ball cannot be seen: its points keep the side that they are on.
    plain = [scene.bodies[b].shape == "ball" and scene.bodies[b].texture in ("plain", "glossy") for b in body]
    turns[:, plain] = np.eye(3)
    local = np.einsum("pji,pj->pi", turns[0], world - states.pos[0, body]) / states.scale[0, body]
    moved = states.pos[:, body] + np.einsum("tpij,tpj->tpi", turns, local * states.scale[:, body])
    xy, z = camera.project(moved)
    inside = (z > 0) & (xy >= -0.5).all(axis=-1) & (xy[..., 0] < width - 0.5) & (xy[..., 1] < height - 0.5)
    visible = np.zeros((len(body), frames), dtype=bool)
    for k in range(frames):
        renderer.place(states, k)
        eye = -camera.R[k].T @ camera.t[k]
        to = moved[k] - eye
        far = np.linalg.norm(to, axis=1)
        _, reached = renderer.cast(eye, to / far[:, None])
        visible[:, k] = inside[k] & states.shown[k, body] & (reached >= 0) & (reached > far - _SEEN_M)
    visible[:, 0] = True
    return np.moveaxis(xy, 0, 1), visible


def _chosen(things: NDArray[np.int64], frame: Frames) -> Iterator[tuple[int, int]]:
    """Yield up to POINTS pixels (y, x), as many of each thing as of the next: those with most texture around, apart from each other.

    A point of an even face looks like its neighbours, and no tracker could tell where it went.
    """
    texture = _texture(frame)
    numbers = [int(i) for i in np.unique(things) if i >= 0 and (things == i).sum() >= LEAST_SHARE * things.size]
    for place, i in enumerate(numbers):
        pixels = np.argwhere(things == i)
        ranked = pixels[np.argsort(-texture[tuple(pixels.T)], kind="stable")]
        share = POINTS // len(numbers) + (place < POINTS % len(numbers))
        picked: list[NDArray[np.intp]] = []
        for apart in (_APART * min(things.shape), 0.5):
            for pixel in ranked:
                if len(picked) < share and all(np.abs(pixel - other).max() > apart for other in picked):
                    picked.append(pixel)
        yield from ((int(y), int(x)) for y, x in picked)


def _texture(frame: Frames) -> Floats:
    """Return the smaller eigenvalue of the gradients around each pixel [H, W]: Shi and Tomasi 1994."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cornerMinEigenVal(grey, blockSize=3, ksize=3), dtype=np.float64)
