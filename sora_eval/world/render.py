"""States -> pixels and truth, by a compiled ray caster. No GL, no display; the same bytes on every run and processor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Camera, Floats, Frames
from sora_eval.world import cameras, looks, palette, shapes
from sora_eval.world.looks import Look
from sora_eval.world.physics import States
from sora_eval.world.scene import Body, Mesh, Scene

_Bins = tuple[NDArray[np.int64], NDArray[np.int64]]
_POSE = (
    "x",
    "y",
    "z",
    "r00",
    "r01",
    "r02",
    "r10",
    "r11",
    "r12",
    "r20",
    "r21",
    "r22",
    "fx",
    "fy",
    "cx",
    "cy",
    "slide_x",
    "slide_y",
)
"""Of the view, what floor, walls and sky depend on from frame to frame."""
_EXACT = 12
"""Decimals of metres and of directions that reach the kernels: what processors' sines differ in is cut off."""


@dataclass(frozen=True)
class Truth:
    """Exact annotations of a clip: T frames, N bodies in the order of the scene."""

    camera: Camera
    """Intrinsics and pose per frame."""
    xy: Floats
    """[T, N, 2] projected centres in pixels."""
    z: Floats
    """[T, N] depth of the centres in metres."""
    states: States
    """Positions, velocities and events."""
    ids: NDArray[np.int16] | None = None
    """[T, H, W] index of the visible body, -1 for floor and backdrop; None unless requested."""
    depth: NDArray[np.float32] | None = None
    """[T, H, W] z-depth in metres, inf where nothing is hit; None unless requested."""
    amodal: Bools | None = None
    """[T, N, H, W] silhouettes as if nothing were in front; None unless requested."""
    visible: Floats | None = None
    """[T, N] share of the amodal silhouette that is seen, NaN where it is out of the frame; None unless requested."""


class Renderer:
    """Renders the frames of one scene at one size.

    size: (height, width) in pixels. supersample: rays per pixel along each side, where the picture has an edge; elsewhere one
    ray through the middle of the pixel sees the same.
    """

    def __init__(self, scene: Scene, size: tuple[int, int], supersample: int = 2) -> None:
        """Prepare the scene's geometry. The first renderer of a process loads the compiled kernels, or compiles them."""
        # Numba takes half a second to import, and the kernels ten to compile: only who renders waits for it.
        from sora_eval.world.kernels import culling, intersection, raycast

        self._kernels, self._culling, self._place = raycast, culling, intersection.place
        self.scene, self.size, self.ss = scene, size, supersample
        self._half, self._bodies, self._nodes, self._triangles = _solids(scene.bodies)
        self._view = _view(scene)
        self._look = _look_table(scene.look)
        self._pose, self._behind = b"", (np.empty(0, np.float32), np.empty(0, np.float32))
        self.noise = np.random.default_rng(7)

    @property
    def _tables(self) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void]]:
        return self._bodies, self._nodes, self._triangles

    def place(self, states: States, k: int) -> None:
        """Put every body where it is at frame k."""
        pos, quat = states.pos[k].round(_EXACT), states.quat[k].round(_EXACT)
        self._place(self._bodies, self._half, pos, quat, states.scale[k], states.shown[k], states.rgb[k])

    def cast(self, origin: Floats, directions: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Return the bodies [R] (-1 for none, N for the floor) and distances [R] (metres, -1 for none) of unit rays [R, 3]."""
        ids, dist = np.empty(len(directions), np.int64), np.empty(len(directions))
        self._kernels.cast_rays(*self._tables, origin, directions, ids, dist)
        return ids, dist

    def frame(self, states: States, camera: Camera, k: int) -> Frames:
        """Return frame k [H, W, 3]."""
        self.place(states, k)
        return self._painted(states, camera, k, self._tiles(camera, k))

    def _painted(self, states: States, camera: Camera, k: int, tiles: _Bins) -> Frames:
        view, image = self._view, np.empty((*self.size, 3), np.float32)
        view["power"] = states.lamp[k]
        view["slide_x"], view["slide_y"] = (0.0, 0.0) if states.slide is None else states.slide[k]
        cells = self._culling.open_lamp(self._bodies, self._nodes, view)
        if self.scene.look is None:
            self._kernels.paint(*self._tables, view, *tiles, *cells, self.ss, image)
        else:
            image = self._in_look(self.scene.look, states, camera, k, tiles, image)
        if states.noise:
            image = np.clip(image + self.noise.normal(0.0, states.noise, image.shape).astype(np.float32), 0, 255)
        frame = np.empty(image.shape, np.uint8)
        self._kernels.to_bytes(image.reshape(-1), frame.reshape(-1))
        return frame

    def _in_look(
        self, look: Look, states: States, camera: Camera, k: int, tiles: _Bins, image: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the image [H, W, 3] of frame k in a look; `image` is overwritten."""
        from sora_eval.world.kernels import lens, shading

        view = self._view
        cells = shading.open_look(self._bodies, self._nodes, view, self._look)
        # They are of the camera alone: one that stands still needs them once.
        pose = view[list(_POSE)].tobytes()
        if pose != self._pose:
            self._pose, self._behind = pose, (np.empty_like(image), np.empty_like(image))
            shading.backdrop(view, self._look, *self._behind)
        ids, dist = np.empty(self.size, np.int32), np.empty(self.size, np.float32)
        shading.paint_look(*self._tables, view, self._look, *tiles, *cells, *self._behind, self.ss, image, ids, dist)
        around = [max(k - 1, 0), min(k + 1, len(states.t_s) - 1)]
        share = look.shutter / max(around[1] - around[0], 1)
        moved = any(
            not np.array_equal(v[around[0]], v[around[1]])
            for v in (states.pos, states.quat, states.scale, camera.R, camera.t, camera.K)
        )
        if share > 0 and moved:
            way = np.empty((*self.size, 2), np.float32)
            now, before, after = (self._poses(states, j) for j in (k, *around))
            K, R, t = (v[around].round(_EXACT) for v in (camera.K, camera.R, camera.t))
            if lens.ways(now, before, after, view, K, R, t, share, ids, dist, way):
                smeared = image.copy()
                lens.smear(image, dist, way, smeared)
                image = smeared
        return np.minimum(image * np.array(look.balance, np.float32), np.float32(255))

    def _poses(self, states: States, k: int) -> NDArray[np.void]:
        """Return the bodies at frame k, and after them one that rests in the world: floor, walls and sky."""
        table = np.concatenate([self._bodies, np.zeros(1, self._bodies.dtype)])
        pos, quat = states.pos[k].round(_EXACT), states.quat[k].round(_EXACT)
        self._place(table[:-1], self._half, pos, quat, states.scale[k], states.shown[k], states.rgb[k])
        rest = table[-1:]
        rest["t00"], rest["t11"], rest["t22"], rest["shown"] = 1, 1, 1, 1
        return table

    def _tiles(self, camera: Camera, k: int) -> _Bins:
        """Set up the camera of frame k; return the bodies by tile of its picture."""
        K, R, t = (v[k].round(_EXACT) for v in (camera.K, camera.R, camera.t))
        return self._culling.open_eye(self._bodies, self._nodes, self._view, K, R, t, *self.size)

    def video(self, states: States, camera: Camera) -> Iterator[Frames]:
        """Yield the frames [H, W, 3] one by one."""
        for k in range(len(states.t_s)):
            yield self.frame(states, camera, k)

    def truth(self, states: States, camera: Camera) -> tuple[Frames, Truth]:
        """Return the frames [T, H, W, 3] and everything that is known of them."""
        times, bodies = len(states.t_s), len(self.scene.bodies)
        frames = np.empty((times, *self.size, 3), np.uint8)
        ids, depths = np.empty((times, *self.size), np.int16), np.empty((times, *self.size), np.float32)
        amodal = np.zeros((times, bodies, *self.size), dtype=bool)
        for k in range(times):
            self.place(states, k)
            tiles = self._tiles(camera, k)
            frames[k] = self._painted(states, camera, k, tiles)
            self._look_at(tiles, ids[k], depths[k])
            self._kernels.silhouettes(*self._tables, self._view, *tiles, amodal[k])
        area = amodal.sum(axis=(2, 3)).astype(float)
        seen_area = np.array([(ids == i).sum(axis=(1, 2)) for i in range(bodies)], dtype=float).reshape(bodies, times).T
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(area > 0, np.minimum(seen_area / area, 1.0), np.nan)
        xy, z = camera.project(states.pos)
        return frames, Truth(camera, xy, z, states, ids, depths, amodal, share)

    def seen(self, states: States, camera: Camera, k: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Return for frame k the body [H, W] seen in each pixel, -1 for none, and the z-depth [H, W] in metres, inf where there is none."""
        self.place(states, k)
        ids, depth = np.empty(self.size, np.int16), np.empty(self.size, np.float32)
        self._look_at(self._tiles(camera, k), ids, depth)
        return ids, depth

    def labels(self, states: States, camera: Camera, k: int, out: NDArray[np.int16]) -> None:
        """Fill out [H, W] with the body that frame k shows in each pixel, -1 for none, as `seen` returns it."""
        self.place(states, k)
        self._kernels.label(*self._tables, self._view, *self._tiles(camera, k), out)

    def _look_at(self, tiles: _Bins, ids: NDArray[np.int16], depth: NDArray[np.float32]) -> None:
        """Fill ids [H, W] and depth [H, W] as `seen` returns them."""
        self._kernels.look(*self._tables, self._view, *tiles, ids, depth)
        if self.scene.look is not None and self.scene.look.wall is not None:
            from sora_eval.world.kernels import shading

            shading.wall_depth(self._view, self._look, ids, depth)


def camera_of(scene: Scene, t_s: Floats, size: tuple[int, int]) -> Camera:
    """Return the scene's cameras at times [T] for frames of (height, width) pixels, which show the scene's window."""
    window = scene.window
    if window is None:
        return cameras.at(scene.camera, t_s, size)
    whole = cameras.at(scene.camera, t_s, window.frame)
    x0, y0, x1, y1 = window.box
    # Pixel centres are at whole numbers, the edges of a window half a pixel before and after.
    scale, low = np.array([size[1] / (x1 - x0), size[0] / (y1 - y0)]), np.array([x0, y0])
    K = whole.K.copy()
    K[:, [0, 1], [0, 1]] *= scale
    K[:, :2, 2] = (K[:, :2, 2] + 0.5 - low) * scale - 0.5
    return Camera(K, whole.R, whole.t)


def _view(scene: Scene) -> NDArray[np.void]:
    """Return the table of light and surroundings; the camera is set frame by frame."""
    from sora_eval.world.kernels import raycast

    light = scene.light
    az, el = np.radians(light.azimuth), np.radians(light.elevation)
    view = np.zeros(1, raycast.VIEW)
    view["lx"], view["ly"], view["lz"] = np.array(
        [np.sin(az) * np.cos(el), -np.cos(az) * np.cos(el), np.sin(el)]
    ).round(_EXACT)
    view["ambient"], view["diffuse"], view["tile"] = light.ambient, light.diffuse, scene.tile_m
    for name, colour in (
        ("tint", light.tint),
        ("floor", palette.rgb(scene.floor)),
        ("sky", palette.rgb(scene.backdrop)),
    ):
        view[f"{name}_r"], view[f"{name}_g"], view[f"{name}_b"] = colour
    return view


def _look_table(look: Look | None) -> NDArray[np.void]:
    """Return the table of a look, empty for none; the kernels fill in the pixel, the focus and the grid."""
    if look is None:
        return np.zeros(0, [("", np.float64)])
    from sora_eval.world.kernels import materials

    kinds = {
        "wood": materials.WOOD, "concrete": materials.CONCRETE, "gravel": materials.GRAVEL, "grass": materials.GRASS,
        "brick": materials.BRICK, "fabric": materials.FABRIC, "plaster": materials.PLASTER, "paper": materials.PAPER,
        "water": materials.WATER,
    }  # fmt: skip
    table = np.zeros(1, materials.LOOK)
    wall = look.wall or look.floor
    for prefix, colour in (
        ("f0", look.floor.first), ("f1", look.floor.second), ("w0", wall.first), ("w1", wall.second),
        ("z", look.zenith), ("h", look.horizon), ("d", look.distance), ("sun_", look.sun), ("fill_", look.fill),
    ):  # fmt: skip
        table[f"{prefix}r"], table[f"{prefix}g"], table[f"{prefix}b"] = colour
    table["mix"], table["soft"], table["ambient_shade"] = look.severity, look.softness, look.occlusion
    table["gloss"], table["mirror"], table["lamp"], table["fill"] = look.gloss, look.mirror, look.lamp, look.ambient
    table["wall_x"], table["wall_y0"], table["wall_y1"] = looks.WALL_X_M, looks.WALL_FRONT_M, looks.WALL_BACK_M
    table["haze_m"], table["cloud"], table["flip"] = look.haze_m, look.clouds, -1 if look.flipped else 1
    table["aperture"] = look.aperture
    table["floor"], table["wall"] = kinds[look.floor.kind], kinds[look.wall.kind] if look.wall else 0
    table["sky"], table["seed"] = materials.SKY if look.open_sky else materials.COVE, look.seed
    return table


def _solids(bodies: tuple[Body, ...]) -> tuple[Floats, NDArray[np.void], NDArray[np.void], NDArray[np.void]]:
    """Return half extents [N, 3] and the tables of bodies, of nodes and of triangles."""
    from sora_eval.world.kernels import bvh, intersection

    kinds = {
        "ball": intersection.BALL, "cube": intersection.BOX, "box": intersection.BOX, "cylinder": intersection.CYLINDER,
        "capsule": intersection.CAPSULE, "cone": intersection.CONE, "mesh": intersection.MESH,
    }  # fmt: skip
    textures = {
        "plain": intersection.PLAIN, "striped": intersection.STRIPED, "dotted": intersection.DOTTED,
        "glossy": intersection.GLOSSY, "tiled": intersection.TILED,
    }  # fmt: skip
    table = np.zeros(len(bodies), intersection.BODY)
    half = np.array([b.size for b in bodies], dtype=float).reshape(-1, 3) / 2
    nodes, triangles = [np.zeros(0, bvh.NODE)], [np.zeros(0, bvh.TRIANGLE)]
    for i, (b, row) in enumerate(zip(bodies, table, strict=True)):
        row["kind"], row["texture"], row["glow"] = kinds[b.shape], textures[b.texture], b.glow
        row["wx"], row["wy"], row["wz"] = b.size
        if b.shape == "capsule":
            half[i, 2] -= half[i, 0]
        elif b.shape == "cone":
            # Its pattern is centred on its centre of mass.
            row["rise"] = b.size[2] / 4
        elif isinstance(b.mesh, shapes.Ellipsoid):
            row["kind"], half[i] = intersection.ELLIPSOID, np.array(b.mesh.size) / 2
        elif b.mesh is not None:
            new_nodes, new_triangles = (part.copy() for part in _tree(_Held(b.mesh)))
            row["node"] = sum(map(len, nodes))
            row["end"] = row["node"] + len(new_nodes)
            new_nodes["skip"] += row["node"]
            new_nodes["first"] += sum(map(len, triangles))
            nodes.append(new_nodes)
            triangles.append(new_triangles)
    return half, table, np.concatenate(nodes), np.concatenate(triangles)


@dataclass(frozen=True, eq=False)
class _Held:
    """A mesh as a key: the same object, not equal numbers."""

    mesh: Mesh

    def __hash__(self) -> int:
        return id(self.mesh)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.mesh is self.mesh


@lru_cache(maxsize=64)
def _tree(held: _Held) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return the nodes and triangles of a mesh."""
    from sora_eval.world.kernels import bvh

    a, b, c = np.moveaxis(held.mesh.vertices[held.mesh.faces], 1, 0)
    normal = np.cross(b - a, c - a)
    size = np.linalg.norm(normal, axis=1)
    numbers = np.concatenate([a, b - a, c - a, normal / np.where(size > 0, size, 1)[:, None]], axis=1)[size > 0]
    triangles = np.ascontiguousarray(numbers).view(bvh.TRIANGLE)[:, 0]
    order, nodes = bvh.tree(triangles)
    return nodes, triangles[order]
