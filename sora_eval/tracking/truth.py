"""The true tracks of a case: boxes of its coloured things, points on their surfaces, and when each is out of sight.

From the world's own geometry, not from pixels: a body's mask is what rays through the pixel centres hit, a point of a surface moves with
its body and is visible where a ray from the eye meets it first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sora_eval.metrics.mot import BoxTracks
from sora_eval.types import Bools, Camera, Case, Floats, Frames
from sora_eval.world import frame_times, labels, physics, scene_of
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
    depth: NDArray[np.float32] | None
    """[H, W] z-depth in metres of the first frame where nothing but the camera moves, else None: it would not hold for later frames."""
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

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it as arrays by name, without objects: what `from_arrays` takes."""
        box = np.full((*self.xy.shape[:2], 4), np.nan)
        for k, (ids, boxes) in enumerate(zip(self.boxes.ids, self.boxes.boxes, strict=True)):
            box[ids, k] = boxes
        names = {"colours": self.colours, "unknown": self.unknown}
        return {
            **{key: np.array(value, dtype="U16") for key, value in names.items()},
            "box": box,
            "xy": self.xy,
            "points": self.points,
            "points_visible": self.points_visible,
            "K": self.camera.K,
            "R": self.camera.R,
            "t": self.camera.t,
            "rigid": np.array(self.rigid),
            "size": np.array(self.size),
            "fps": np.array(self.fps),
            **({} if self.depth is None else {"depth": self.depth}),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> TrueTracks:
        """Return the true tracks of `to_arrays`.

        Raises:
            KeyError: an array is missing.
        """
        height, width = (int(v) for v in arrays["size"])
        return cls(
            tuple(str(c) for c in arrays["colours"]),
            _box_tracks(arrays["box"]),
            arrays["xy"],
            arrays["points"],
            arrays["points_visible"],
            arrays.get("depth"),
            Camera(arrays["K"], arrays["R"], arrays["t"]),
            bool(arrays["rigid"]),
            tuple(str(c) for c in arrays["unknown"]),
            (height, width),
            float(arrays["fps"]),
        )


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
    first, depth = renderer.seen(states, camera, 0)
    statistics, touching = _statistics(renderer, states, camera)
    things = _things(scene, statistics, touching)
    of_body = np.full(len(scene.bodies) + 1, -1)
    for number, bodies in enumerate(things):
        of_body[bodies] = number
    boxes, xy = _boxes(statistics, things, size)
    points, visible = _points(scene, states, camera, renderer, of_body, first, depth)
    moving = states.pos.std(axis=0).max(initial=0.0) > 1e-6 or bool((states.shown != states.shown[:1]).any())
    turning = bool(np.ptp(camera.R, axis=0).max() > 1e-9 or np.ptp(camera.t, axis=0).max() > 1e-9)
    rigid = turning and not moving
    colours = tuple(scene.bodies[bodies[0]].colour for bodies in things)
    unknown = (scene.body(scene.fracture.body).colour,) if scene.fracture else ()
    return TrueTracks(
        colours, boxes, xy, points, visible, depth if rigid else None, camera, rigid, unknown, size, float(fps)
    )


def _statistics(renderer: Renderer, states: States, camera: Camera) -> tuple[NDArray[np.int64], Bools]:
    """Return the statistics [T, N, 7] of N bodies' masks, and which of them touch [T, N, N]."""
    frames, bodies = len(states.t_s), len(renderer.scene.bodies)
    statistics, touching = np.empty((frames, bodies, 7), np.int64), np.empty((frames, bodies, bodies), bool)
    ids = np.empty(renderer.size, np.int16)
    for k in range(frames):
        # Frame by frame: the masks of a clip of 832 x 480 x 81 would take gigabytes.
        renderer.labels(states, camera, k, ids)
        labels.statistics(ids, statistics[k], touching[k])
    return statistics, touching


def _things(scene: Scene, statistics: NDArray[np.int64], touching: Bools) -> list[list[int]]:
    """Return the bodies of each thing, by their numbers."""
    shown = statistics[..., labels.AREA] > 0
    broken = {scene.fracture.body, *scene.fracture.pieces} if scene.fracture else set()
    coloured = [
        i for i, b in enumerate(scene.bodies) if b.colour in COLOURS and b.name not in broken and shown[:, i].any()
    ]
    group = {i: i for i in coloured}
    for i, j in combinations(coloured, 2):
        both = shown[:, i] & shown[:, j]
        # One thing touches itself in most of the frames that show both parts; parts that are never seen together are states of one.
        one = not both.any() or touching[both, i, j].mean() > 0.5
        if scene.bodies[i].colour == scene.bodies[j].colour and one:
            old, new = group[j], group[i]
            group = {k: new if g == old else g for k, g in group.items()}
    return [[k for k in coloured if group[k] == g] for g in dict.fromkeys(group.values())]


def _boxes(
    statistics: NDArray[np.int64], things: Sequence[Sequence[int]], size: tuple[int, int]
) -> tuple[BoxTracks, Floats]:
    box, xy = np.full((len(things), len(statistics), 4), np.nan), np.full((len(things), len(statistics), 2), np.nan)
    for i, bodies in enumerate(things):
        of = np.moveaxis(statistics[:, bodies], -1, 0)  # [7, T, bodies]
        area = of[labels.AREA].sum(axis=1)
        seen = area >= LEAST_SHARE * size[0] * size[1]
        low = [of[side].min(axis=1)[seen] - 0.5 for side in (labels.LEFT, labels.TOP)]
        high = [of[side].max(axis=1)[seen] + 0.5 for side in (labels.RIGHT, labels.BOTTOM)]
        box[i, seen] = np.stack([*low, *high], axis=1)
        for axis, total in enumerate((labels.SUM_X, labels.SUM_Y)):
            xy[i, seen, axis] = of[total].sum(axis=1)[seen] / area[seen]
    return _box_tracks(box), xy


def _box_tracks(box: Floats) -> BoxTracks:
    """Return boxes [N, T, 4], NaN where there is none, frame by frame."""
    ids = [np.flatnonzero(np.isfinite(box[:, k, 0])) for k in range(box.shape[1])]
    return BoxTracks(ids, [box[i, k] for k, i in enumerate(ids)])


def _points(
    scene: Scene, states: States, camera: Camera, renderer: Renderer, of_body: NDArray[np.int64], first: _Ids,
    depth: NDArray[np.float32],
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
        picked: list[tuple[int, int]] = []
        for apart in (_APART * min(things.shape), 0.5):
            left = ranked
            for pixel in picked:
                left = left[np.abs(left - pixel).max(axis=1) > apart]
            while len(picked) < share and len(left):
                picked.append((int(left[0, 0]), int(left[0, 1])))
                left = left[np.abs(left - left[0]).max(axis=1) > apart]
        yield from picked


def _texture(frame: Frames) -> Floats:
    """Return the smaller eigenvalue of the gradients around each pixel [H, W]: Shi and Tomasi 1994."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cornerMinEigenVal(grey, blockSize=3, ksize=3), dtype=np.float64)
