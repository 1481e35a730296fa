"""States -> pixels and truth, by MuJoCo's ray caster and NumPy shading. No GL, no display; the same bytes on every run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Camera, Floats, Frames
from sora_eval.world import cameras, palette
from sora_eval.world.physics import States, geom_xml, orientation
from sora_eval.world.scene import Scene

# Casts of more rays than this are slower per ray: their buffers leave the cache.
_BAND = 16_384
_FAR_M = 60.0
_SHADOW_BIAS_M = 0.01
# Grey levels between neighbours above which a pixel gets all its rays.
_EDGE = 3.0


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
        """Compile the scene's geometry."""
        self.scene, self.size, self.ss = scene, size, supersample
        self.model = mujoco.MjModel.from_xml_string(_xml(scene))
        self.data = mujoco.MjData(self.model)
        self.floor = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_GEOM, "floor")
        self.geom = np.array(
            [mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_GEOM, b.name) for b in scene.bodies], dtype=int
        )
        self.body_of = np.full(self.model.ngeom, -1)
        self.body_of[self.geom] = np.arange(len(self.geom))
        self.base_size = self.model.geom_size.copy()
        self.base_aabb, self.base_bound = self.model.geom_aabb.copy(), self.model.geom_rbound.copy()
        self.centres = _grid(size, 1)[:, 0]
        self.grid = _grid(size, supersample)
        lamp = scene.light
        az, el = np.radians(lamp.azimuth), np.radians(lamp.elevation)
        self.to_lamp = np.array([np.sin(az) * np.cos(el), -np.cos(az) * np.cos(el), np.sin(el)])
        self.glow = np.array([b.glow for b in scene.bodies] + [0.0])
        textures = {"plain": 0, "striped": 1, "dotted": 2, "glossy": 3, "tiled": 4}
        self.texture = np.array([textures[b.texture] for b in scene.bodies] + [0])
        self.extent = np.array([b.size for b in scene.bodies] + [(1.0, 1.0, 1.0)])
        self.noise = np.random.default_rng(7)

    def place(self, states: States, k: int) -> None:
        """Put every body where it is at frame k."""
        m, d = self.model, self.data
        n = len(self.geom)
        if n:
            d.mocap_pos[:n], d.mocap_quat[:n] = states.pos[k], states.quat[k]
            factor = states.scale[k]
            m.geom_size[self.geom] = self.base_size[self.geom] * _per_axis(m.geom_type[self.geom], factor)
            m.geom_aabb[self.geom, 3:] = self.base_aabb[self.geom, 3:] * factor
            m.geom_rbound[self.geom] = self.base_bound[self.geom] * factor.max(axis=1)
            m.geom_rgba[self.geom, 3] = states.shown[k]
        mujoco.mj_kinematics(m, d)

    def cast(self, origin: Floats, directions: Floats) -> tuple[NDArray[np.int32], Floats, Floats]:
        """Return geom ids [R] (-1 for none), distances [R] (metres, -1 for none) and normals [R, 3] of rays [R, 3]."""
        count = len(directions)
        ids, dist = np.empty(count, np.int32), np.empty(count)
        normal = np.zeros((count, 3))
        for a in range(0, count, _BAND):
            b = min(count, a + _BAND)
            mujoco.mj_multiRay(
                self.model, self.data, origin, directions[a:b].ravel(), None, True, -1,
                ids[a:b], dist[a:b], normal[a:b].reshape(-1), b - a, 1e9,
            )  # fmt: skip
        return ids, dist, normal

    def frame(self, states: States, camera: Camera, k: int) -> Frames:
        """Return frame k [H, W, 3]."""
        self.place(states, k)
        ids, image = self._sampled(states, camera, k, self.centres)
        if self.ss > 1:
            edges = self._edges(ids, image)
            _, fine = self._sampled(states, camera, k, self.grid[edges].reshape(-1, 2))
            image[edges] = fine.reshape(-1, self.ss**2, 3).mean(axis=1)
        image = image.reshape(*self.size, 3)
        if states.noise:
            image = image + self.noise.normal(0.0, states.noise, image.shape).astype(np.float32)
        return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)

    def _sampled(
        self, states: States, camera: Camera, k: int, grid: Floats
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the geom ids [R] and colours [R, 3] seen through pixel positions [R, 2]."""
        eye, rays = _rays(grid, camera, k)
        ids, dist, normal = self.cast(eye, rays)
        return ids, self._shade(states, k, eye, rays, ids, dist, normal)

    def _edges(self, ids: NDArray[np.int32], image: NDArray[np.float32]) -> NDArray[np.int_]:
        """Return the pixels that differ from a neighbour in body or brightness: only there do more rays change anything."""
        grey, seen = image.mean(axis=1).reshape(self.size), ids.reshape(self.size)
        across = (np.abs(np.diff(grey, axis=1)) > _EDGE) | (seen[:, 1:] != seen[:, :-1])
        down = (np.abs(np.diff(grey, axis=0)) > _EDGE) | (seen[1:] != seen[:-1])
        edge = np.zeros(self.size, dtype=bool)
        edge[:, 1:] |= across
        edge[:, :-1] |= across
        edge[1:] |= down
        edge[:-1] |= down
        return np.flatnonzero(edge)

    def _shade(
        self, states: States, k: int, eye: Floats, rays: Floats, ids: NDArray[np.int32], dist: Floats, normal: Floats
    ) -> NDArray[np.float32]:
        lamp = self.scene.light
        out = self._backdrop(rays)
        hit = np.flatnonzero((ids >= 0) & ((ids != self.floor) | (dist < _FAR_M)))
        if not len(hit):
            return out
        points = eye + rays[hit] * dist[hit, None]
        n = normal[hit]
        n = np.where((np.einsum("ij,ij->i", n, rays[hit]) > 0)[:, None], -n, n)
        body = self.body_of[ids[hit]]
        base = states.rgb[k][body].astype(np.float32) if len(self.geom) else np.zeros((len(hit), 3), np.float32)
        on_floor = ids[hit] == self.floor
        shift = np.zeros(2) if states.slide is None else states.slide[k]
        base[on_floor] = self._floor(points[on_floor, :2] - shift, dist[hit][on_floor])
        gloss = np.zeros(len(hit), np.float32)
        patterned = self.texture[body] > 0
        if patterned.any():
            base, gloss = self._textured(base, gloss, patterned & ~on_floor, body, points, states, k)
        facing = np.clip(n @ self.to_lamp, 0, None)
        lit = facing > 0
        if lit.any():
            facing[lit] *= self._unshadowed(points[lit], n[lit])
        power = states.lamp[k]
        light = lamp.ambient * (0.55 + 0.45 * power) + lamp.diffuse * power * facing
        glow = np.where(on_floor, 0.0, self.glow[body])
        light = (1 - glow) * light + glow * 1.08
        value = base * light[:, None].astype(np.float32) * np.array(lamp.tint, np.float32)
        if gloss.any():
            half = self.to_lamp - rays[hit]
            half /= np.linalg.norm(half, axis=1, keepdims=True)
            spark = np.clip(np.einsum("ij,ij->i", n, half), 0, None) ** 40 * (facing > 0)
            value += (gloss * 90 * spark)[:, None].astype(np.float32)
        # The floor melts into the backdrop far away: no aliasing at the horizon.
        fade = np.where(on_floor, np.clip((dist[hit] - 14) / 26, 0, 1), 0.0)[:, None].astype(np.float32)
        out[hit] = (1 - fade) * value + fade * out[hit]
        return np.clip(out, 0, 255)

    def _unshadowed(self, points: Floats, normals: Floats) -> Floats:
        # From one far point towards every hit: one origin per cast is what makes casts cheap.
        origin = 40.0 * self.to_lamp
        to = points + _SHADOW_BIAS_M * normals - origin
        far = np.linalg.norm(to, axis=1)
        _, dist, _ = self.cast(origin, to / far[:, None])
        return np.asarray((dist < 0) | (dist > far - _SHADOW_BIAS_M), float)

    def _backdrop(self, rays: Floats) -> NDArray[np.float32]:
        base = np.array(palette.rgb(self.scene.backdrop), np.float32)
        up = np.clip(rays[:, 2] * 1.6, -0.2, 1.0).astype(np.float32)[:, None]
        return np.asarray(base * (0.98 - 0.12 * up), np.float32)

    def _floor(self, points: Floats, dist: Floats) -> NDArray[np.float32]:
        base = np.array(palette.rgb(self.scene.floor), np.float32)
        if self.scene.tile_m <= 0:
            return np.broadcast_to(base, (len(points), 3)).copy()
        # A tile is centred on x = 0, so that a mirrored scene has a mirrored floor.
        tile = np.floor(points / self.scene.tile_m + (0.5, 0.0))
        odd = tile.sum(axis=1) % 2
        contrast = 0.10 * np.clip(1 - (dist - 6) / 14, 0, 1)
        return np.asarray(base * (1 + contrast * (2 * odd - 1))[:, None], np.float32)

    def _textured(
        self, base: NDArray[np.float32], gloss: NDArray[np.float32], which: Bools, body: NDArray[np.int_], points: Floats,
        states: States, k: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
        pick = np.flatnonzero(which)
        b = body[pick]
        turn = self.data.geom_xmat[self.geom[b]].reshape(-1, 3, 3)
        local = np.einsum("nji,nj->ni", turn, points[pick] - self.data.geom_xpos[self.geom[b]])
        local = local / (self.extent[b] * states.scale[k][b])
        kind = self.texture[b]
        # Patterns change the brightness, never the hue: the colour is the object's name.
        stripe = 1 - 0.28 * (np.floor(local[:, 2] * 5 + 0.5) % 2)
        cell = (local * 4) % 1 - 0.5
        dot = 1 - 0.3 * ((cell**2).sum(axis=1) < 0.12)
        # A little inside the cell that a face belongs to: faces lie on whole metres.
        block = 1 - 0.09 * (np.floor(points[pick] - 0.01).sum(axis=1) % 2)
        pattern = np.where(kind == 1, stripe, np.where(kind == 2, dot, np.where(kind == 4, block, 1.0)))
        base[pick] *= pattern[:, None].astype(np.float32)
        gloss[pick] = kind == 3
        return base, gloss

    def video(self, states: States, camera: Camera) -> Iterator[Frames]:
        """Yield the frames [H, W, 3] one by one."""
        for k in range(len(states.t_s)):
            yield self.frame(states, camera, k)

    def truth(self, states: States, camera: Camera) -> tuple[Frames, Truth]:
        """Return the frames [T, H, W, 3] and everything that is known of them."""
        height, width = self.size
        frames, ids, depths = [], [], []
        amodal = np.zeros((len(states.t_s), len(self.geom), height, width), dtype=bool)
        for k in range(len(states.t_s)):
            frames.append(self.frame(states, camera, k))
            seen, depth = self.seen(states, camera, k)
            ids.append(seen)
            depths.append(depth)
            amodal[k] = self._amodal(states, *_rays(self.centres, camera, k), k)
        found = np.array(ids)
        area = amodal.sum(axis=(2, 3)).astype(float)
        seen_area = np.stack([(found == i).sum(axis=(1, 2)) for i in range(len(self.geom))], axis=1).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(area > 0, np.minimum(seen_area / area, 1.0), np.nan)
        xy, z = camera.project(states.pos)
        return np.array(frames), Truth(camera, xy, z, states, found, np.array(depths), amodal, share)

    def seen(self, states: States, camera: Camera, k: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Return for frame k the body [H, W] seen in each pixel, -1 for none, and the z-depth [H, W] in metres, inf where there is none."""
        self.place(states, k)
        eye, rays = _rays(self.centres, camera, k)
        geoms, dist, _ = self.cast(eye, rays)
        ids = np.where(geoms >= 0, self.body_of[np.clip(geoms, 0, None)], -1)
        depth = np.where(dist < 0, np.inf, dist * (rays @ camera.R[k][2]))
        return ids.reshape(self.size).astype(np.int16), depth.reshape(self.size).astype(np.float32)

    def _amodal(self, states: States, eye: Floats, rays: Floats, k: int) -> Bools:
        height, width = self.size
        out = np.zeros((len(self.geom), height, width), dtype=bool)
        alpha = self.model.geom_rgba[:, 3].copy()
        for i, g in enumerate(self.geom):
            if states.shown[k, i]:
                self.model.geom_rgba[:, 3] = 0
                self.model.geom_rgba[g, 3] = 1
                ids, _, _ = self.cast(eye, rays)
                out[i] = (ids == g).reshape(height, width)
        self.model.geom_rgba[:, 3] = alpha
        return out


def _grid(size: tuple[int, int], supersample: int) -> Floats:
    """Return the positions (x, y) [pixels, supersample**2, 2] of the rays through every pixel, row by row."""
    within = (np.arange(supersample) + 0.5) / supersample - 0.5
    offsets = np.stack(np.meshgrid(within, within), axis=-1).reshape(1, -1, 2)
    pixels = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1).reshape(-1, 1, 2)
    return np.asarray(pixels + offsets, dtype=float)


def _rays(grid: Floats, camera: Camera, k: int) -> tuple[Floats, Floats]:
    """Return the eye [3] and the unit directions [R, 3] of the rays through pixels [R, 2] in frame k."""
    K, R = camera.K[k], camera.R[k]
    cam = np.empty((len(grid), 3))
    cam[:, 0] = (grid[:, 0] - K[0, 2]) / K[0, 0]
    cam[:, 1] = (grid[:, 1] - K[1, 2]) / K[1, 1]
    cam[:, 2] = 1.0
    cam /= np.linalg.norm(cam, axis=1, keepdims=True)
    return -R.T @ camera.t[k], cam @ R


def _per_axis(kinds: NDArray[np.int32], factor: Floats) -> Floats:
    """Return factors on MuJoCo's geom_size for factors [N, 3] along x, y, z."""
    out = factor.copy()
    long = np.isin(kinds, [int(mujoco.mjtGeom.mjGEOM_CYLINDER), int(mujoco.mjtGeom.mjGEOM_CAPSULE)])
    out[long, 1] = factor[long, 2]
    return out


def camera_of(scene: Scene, t_s: Floats, size: tuple[int, int]) -> Camera:
    """Return the scene's cameras at times [T] for frames of (height, width) pixels."""
    return cameras.at(scene.camera, t_s, size)


def _xml(scene: Scene) -> str:
    assets, world = [], []
    for b in scene.bodies:
        geom, asset = geom_xml(b)
        assets.append(asset)
        q = " ".join(f"{v:.9g}" for v in orientation(np.array([b.yaw]), np.array([b.roll]))[0])
        world.append(
            f'<body name="{b.name}" mocap="true" pos="{b.pos[0]} {b.pos[1]} {b.pos[2]}" quat="{q}">'
            f'<geom name="{b.name}" {geom} contype="0" conaffinity="0"/></body>'
        )
    return (
        f"<mujoco><asset>{''.join(assets)}</asset><worldbody>"
        '<geom name="floor" type="plane" size="0 0 1" contype="0" conaffinity="0"/>'
        f"{''.join(world)}</worldbody></mujoco>"
    )
