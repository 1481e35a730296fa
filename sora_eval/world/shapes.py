"""Meshes that MuJoCo has no primitive for, and solid cuts: cone, bitten disc, goblet, Voronoi pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from manifold3d import Manifold
from manifold3d import Mesh as ManifoldMesh
from numpy.typing import NDArray
from scipy.spatial import Voronoi

from sora_eval.world.scene import Mesh, Vec3

SEGMENTS = 24


def cone(size: Vec3) -> Mesh:
    """Return a cone of extents `size`, its apex up, centred on its box."""
    return to_mesh(Manifold.cylinder(size[2], size[0] / 2, 0.001, SEGMENTS, center=True))


def goblet(size: Vec3) -> Manifold:
    """Return a tumbler: a cylinder with a hollow, open at the top."""
    outer = Manifold.cylinder(size[2], size[0] * 0.42, size[0] / 2, SEGMENTS, center=True)
    hollow = Manifold.cylinder(size[2], size[0] * 0.32, size[0] * 0.40, SEGMENTS, center=True)
    return outer - hollow.translate((0.0, 0.0, size[2] * 0.15))


def disc(size: Vec3) -> Manifold:
    """Return a disc standing on its edge, facing the viewer: round in x and z, `size[1]` thick."""
    return Manifold.cylinder(size[1], size[0] / 2, size[0] / 2, 2 * SEGMENTS, center=True).rotate((90.0, 0.0, 0.0))


def ball(radius: float, at: Vec3) -> Manifold:
    """Return a ball as a cutting tool."""
    return Manifold.sphere(radius, 2 * SEGMENTS).translate(at)


@dataclass(frozen=True)
class Ellipsoid(Mesh):
    """The mesh of an ellipsoid of extents `size`: physics takes the triangles, the picture the surface itself."""

    size: Vec3
    """Extents along x, y and z in metres."""


def ellipsoid(size: Vec3) -> Ellipsoid:
    """Return an ellipsoid of extents `size` around its centre."""
    mesh = to_mesh(Manifold.sphere(0.5, 2 * SEGMENTS).scale(size))
    return Ellipsoid(mesh.vertices, mesh.faces, size)


def to_mesh(solid: Manifold) -> Mesh:
    """Return the triangle mesh of a solid."""
    m = solid.to_mesh()
    return Mesh(np.array(m.vert_properties[:, :3], dtype=float), np.array(m.tri_verts, dtype=np.int32))


def from_mesh(mesh: Mesh) -> Manifold:
    """Return the solid that a mesh encloses."""
    return Manifold(ManifoldMesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)))


def voronoi_pieces(solid: Manifold, count: int, seed: int) -> list[tuple[Vec3, Mesh]]:
    """Return about `count` pieces of a solid as (centre, mesh around that centre), cut along Voronoi cells.

    Eight far mirror points bound every cell, so that each is a convex hull of its vertices.
    """
    rng = np.random.default_rng(seed)
    low, high = np.array(solid.bounding_box()[:3]), np.array(solid.bounding_box()[3:])
    seeds = rng.uniform(low, high, size=(count, 3))
    far = (low + high) / 2 + 20 * (high - low).max() * _corners()
    cells = Voronoi(np.concatenate([seeds, far]))
    pieces: list[tuple[Vec3, Mesh]] = []
    for i in range(count):
        corners = cells.vertices[[v for v in cells.regions[cells.point_region[i]] if v >= 0]]
        piece = solid ^ Manifold.hull_points(corners.astype(np.float32))
        if piece.is_empty() or piece.volume() < 1e-4 * solid.volume():
            continue
        mesh = to_mesh(piece)
        centre = mesh.vertices.mean(axis=0)
        pieces.append(
            ((float(centre[0]), float(centre[1]), float(centre[2])), Mesh(mesh.vertices - centre, mesh.faces))
        )
    return pieces


def _corners() -> NDArray[np.float64]:
    return np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
