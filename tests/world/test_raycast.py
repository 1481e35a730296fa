"""The compiled ray caster: against MuJoCo's, against formulas of light and shadow, against itself on lesser processors."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from sora_eval.world import cameras, clip, frame_times, physics, shapes
from sora_eval.world.families import FAMILIES, draw
from sora_eval.world.kernels import bvh
from sora_eval.world.physics import geom_xml
from sora_eval.world.render import Renderer, camera_of
from sora_eval.world.scene import Body, Light, Scene

SEVERAL = {
    "ball": {},
    "cube": {},
    "box": {"size": (0.7, 1.1, 1.6)},
    "cylinder": {"size": (0.8, 0.8, 1.5)},
    "capsule": {"size": (0.6, 0.6, 1.7)},
    "mesh": {"mesh": shapes.to_mesh(shapes.goblet((1.0, 1.0, 1.0)))},
}


def _scene(*bodies, **more):
    camera = cameras.still(1.0, (0.0, -6.0, 1.5), (0.0, 0.0, 1.5))
    return Scene(bodies, camera, 1.0, **{"tile_m": 0.0, **more})


def _body(shape, **more):
    return Body("it", shape, **{"size": (1.0, 1.0, 1.0), "colour": "red", "pos": (0.0, 0.0, 1.5), **more})


def _ready(scene, size=(64, 64)):
    states = physics.simulate(scene, frame_times(2, 8))
    renderer = Renderer(scene, size)
    renderer.place(states, 0)
    return renderer, states, camera_of(scene, states.t_s, size)


def _hash(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


@pytest.mark.parametrize("shape", sorted(SEVERAL))
@pytest.mark.parametrize("inside", [False, True])
def test_rays_meet_what_mujocos_rays_meet(shape, inside):
    body = _body(shape, yaw=33.0, roll=21.0, **SEVERAL[shape])
    renderer, states, _ = _ready(_scene(body))
    geom, asset = geom_xml(body)
    quat = " ".join(map(repr, map(float, states.quat[0, 0])))
    model = mujoco.MjModel.from_xml_string(
        f"<mujoco><asset>{asset}</asset><worldbody><geom type='plane' size='0 0 1'/><body pos='0 0 1.5' quat='{quat}'>"
        f"<geom {geom} contype='0' conaffinity='0'/></body></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    rng = np.random.default_rng(1)
    for _ in range(6):
        origin = rng.normal(0, 0.05, 3) + (0, 0, 1.5) if inside else rng.normal(0, 1, 3) * 3 + (0, 0, 9)
        to = rng.normal(0, 0.6, (300, 3)) + (0, 0, 1.2) - origin
        to /= np.linalg.norm(to, axis=1, keepdims=True)
        ids, dist = renderer.cast(origin, to)
        geoms, far = np.empty(300, np.int32), np.empty(300)
        mujoco.mj_multiRay(model, data, origin, to.ravel(), None, True, -1, geoms, far, None, 300, 1e9)
        assert np.array_equal(np.where(ids == 1, 0, np.where(ids == 0, 1, -1)), geoms)
        assert dist == pytest.approx(far, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "on_surface"),
    [
        (_body("cone", size=(1.0, 1.0, 2.0)), lambda p: np.hypot(p[:, 0], p[:, 1]) - 0.25 * (1 - p[:, 2])),
        (
            _body("mesh", mesh=shapes.ellipsoid((2.0, 1.0, 1.4))),
            lambda p: np.linalg.norm(p / (1.0, 0.5, 0.7), axis=1) - 1,
        ),
    ],
    ids=["cone", "ellipsoid"],
)
def test_round_shapes_that_mujoco_has_no_rays_for_are_met_on_their_surface(body, on_surface):
    renderer, _, _ = _ready(_scene(body))
    to = np.random.default_rng(2).normal(0, 0.4, (2000, 3)) + (0, 0, 1.5) - (0.3, -4.0, 2.0)
    to /= np.linalg.norm(to, axis=1, keepdims=True)
    ids, dist = renderer.cast(np.array([0.3, -4.0, 2.0]), to)
    met = (np.array([0.3, -4.0, 2.0]) + dist[:, None] * to - (0, 0, 1.5))[ids == 0]
    assert len(met) > 500
    bottom = (body.shape == "cone") & (np.abs(met[:, 2] + 1) < 1e-9)
    assert np.abs(on_surface(met[~bottom])).max() < 1e-9


@pytest.mark.parametrize(
    ("body", "normal"),
    [
        (_body("ball"), (0.0, -1.0, 0.0)),
        (_body("box", yaw=30.0), (0.5, -np.sqrt(0.75), 0.0)),
        (_body("cylinder", roll=90.0), (0.0, -1.0, 0.0)),
        (_body("capsule", size=(0.8, 0.8, 2.0)), (0.0, -1.0, 0.0)),
        (_body("cone", size=(1.0, 1.0, 2.0)), (0.0, -4 / np.sqrt(17), 1 / np.sqrt(17))),
        (_body("mesh", mesh=shapes.ellipsoid((2.0, 1.0, 1.4))), (0.0, -1.0, 0.0)),
    ],
    ids=["ball", "box", "cylinder", "capsule", "cone", "ellipsoid"],
)
def test_light_falls_by_the_cosine_to_the_normal(body, normal):
    light = Light(azimuth=20, elevation=50, ambient=0.4, diffuse=0.5)
    renderer, states, camera = _ready(_scene(body, light=light), (65, 65))
    lamp = np.array([np.sin(np.radians(20)), -np.cos(np.radians(20)), 0]) * np.cos(np.radians(50))
    lamp[2] = np.sin(np.radians(50))
    level = 0.4 + 0.5 * max(0.0, lamp @ np.array(normal))
    seen = renderer.frame(states, camera, 0)[32, 32]
    assert np.abs(seen - level * np.array([222, 40, 38])).max() <= 0.5 + 1e-6


def test_a_shadow_lies_where_the_way_to_the_lamp_is_blocked():
    scene = _scene(_body("cube", pos=(0.0, 0.0, 0.5)), light=Light(azimuth=-60, elevation=40))
    renderer, states, camera = _ready(scene, (96, 96))
    ids, depth = renderer.seen(states, camera, 0)
    renderer.ss = 1
    frame = renderer.frame(states, camera, 0).astype(float).mean(axis=2)
    y, x = np.nonzero((ids < 0) & (depth < 12))
    K, R, t = camera.K[0], camera.R[0], camera.t[0]
    z = depth[y, x].astype(float)
    points = (np.stack([(x - K[0, 2]) / K[0, 0] * z, (y - K[1, 2]) / K[1, 1] * z, z], axis=1) - t) @ R
    az, el = np.radians(-60), np.radians(40)
    lamp = 40 * np.array([np.sin(az) * np.cos(el), -np.cos(az) * np.cos(el), np.sin(el)])
    to = points + (0, 0, 0.01) - lamp
    far = np.linalg.norm(to, axis=1)
    met, _ = renderer.cast(lamp, to / far[:, None])
    dark = frame[y, x] < 0.8 * np.median(frame[y, x])
    assert 100 < dark.sum() < 0.5 * dark.size
    assert np.mean(dark != (met == 0)) < 0.002


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_tiles_miss_nothing(family):
    scene = FAMILIES[family].build(draw(family, 1, 0)[0], 1.0)
    states = physics.simulate(scene, frame_times(3, 2))
    renderer, camera = Renderer(scene, (45, 70)), camera_of(scene, states.t_s, (45, 70))
    for k in range(3):
        ids, depth = renderer.seen(states, camera, k)
        rays = np.stack(np.meshgrid(np.arange(70), np.arange(45)), axis=-1).reshape(-1, 2) - camera.K[k, :2, 2]
        rays = np.concatenate([rays / camera.K[k, 0, 0], np.ones((len(rays), 1))], axis=1)
        rays = (rays / np.linalg.norm(rays, axis=1, keepdims=True)) @ camera.R[k]
        every, dist = renderer.cast(-camera.R[k].T @ camera.t[k], rays)
        every = np.where(every == len(scene.bodies), -1, every).reshape(45, 70)
        # Rays of another arithmetic may fall on the other side of a border.
        assert np.mean(every != ids) < 0.002
        near = (every == ids) & (dist.reshape(45, 70) > 0) & (depth < 50)
        assert (
            np.abs(dist.reshape(45, 70) - depth / (rays @ camera.R[k, 2]).reshape(45, 70))[near].max(initial=0) < 1e-3
        )


def test_a_frame_without_anything_to_see_is_floor_and_backdrop():
    hidden = replace(_body("ball"), shown=(5.0, 6.0))
    empty, one = _scene(), _scene(hidden, replace(hidden, name="other", shape="box"))
    assert np.array_equal(
        clip(empty, (40, 40), 8, 2).video.frames, clip(one, (40, 40), 8, 2, full_truth=True).video.frames
    )


def test_a_camera_inside_the_bounds_of_a_body_sees_past_it():
    arch = _body("box", size=(12.0, 0.2, 7.0), pos=(0.0, -5.95, 0.0))
    behind = _body("ball", pos=(0.0, 0.0, 1.5))
    renderer, states, camera = _ready(_scene(arch, replace(behind, name="ball")))
    ids, _ = renderer.seen(states, camera, 0)
    assert (ids == 0).all()


def test_only_rendering_imports_numba():
    script = (
        "import sys; import sora_eval.commands.cli, sora_eval.world, sora_eval.world.render, sora_eval.world.families;"
        "print('numba' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_a_kernel_that_cannot_be_cached_is_compiled_all_the_same():
    names = {}
    exec(compile("def twice(x):\n    return 2 * x\n", "<nowhere>", "exec"), names)
    assert bvh.compiled(names["twice"])(3) == 6


@pytest.mark.parametrize("count", [1, 5, 300])
def test_a_tree_holds_every_triangle_in_boxes_around_it(count):
    rng = np.random.default_rng(count)
    table = np.zeros(count, bvh.TRIANGLE)
    for name in ("x", "y", "z", "ax", "ay", "az", "bx", "by", "bz"):
        table[name] = rng.normal(size=count)
    order, nodes = bvh.tree(table)
    assert sorted(order) == list(range(count))
    leaves = nodes[nodes["count"] > 0]
    assert sorted(np.concatenate([np.arange(n["first"], n["first"] + n["count"]) for n in leaves])) == list(
        range(count)
    )
    assert nodes[0]["skip"] == len(nodes)
    for k, node in enumerate(nodes):
        for leaf in nodes[k : node["skip"]]:
            for t in table[order[leaf["first"] : leaf["first"] + leaf["count"]]]:
                for c in "xyz":
                    corners = t[c] + np.array([0.0, t[f"a{c}"], t[f"b{c}"]])
                    assert node[f"{c}0"] <= corners.min() and corners.max() <= node[f"{c}1"]
