import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from sora_eval.world import clip
from sora_eval.world.families import FAMILIES, family, room

SIZES = [(64, 64), (54, 96), (96, 54), (33, 47)]


def _scene(name, seed=3, duration_s=1.0, **fixed):
    params = replace(family(name).sample(np.random.default_rng(seed)), **fixed)
    return family(name).build(params, duration_s)


def _hash(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_same_seed_gives_same_bytes_in_another_process():
    here = clip(_scene("room"), (48, 64), 4, 4, full_truth=True)
    script = (
        "import hashlib, numpy as np\n"
        "from sora_eval.world import clip\n"
        "from sora_eval.world.families import family\n"
        "room = family('room')\n"
        "c = clip(room.build(room.sample(np.random.default_rng(3)), 1.0), (48, 64), 4, 4, full_truth=True)\n"
        "h = lambda a: hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()\n"
        "print(h(c.video.frames), h(c.truth.ids), h(c.truth.amodal))\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert out == [_hash(here.video.frames), _hash(here.truth.ids), _hash(here.truth.amodal)]


@pytest.mark.parametrize("size", SIZES)
def test_any_size_and_a_single_image(size):
    one = clip(_scene("room"), size, 8, 1)
    assert one.video.frames.shape == (1, *size, 3)


def test_the_shorter_side_sees_the_same_angle():
    scene = _scene("room")
    square, wide = (clip(scene, size, 8, 1, full_truth=True) for size in ((64, 64), (64, 128)))
    middle = wide.video.frames[0, :, 32:96]
    assert np.abs(middle.astype(int) - square.video.frames[0]).mean() < 1.0


def test_masks_depth_and_camera_agree():
    made = clip(_scene("room", move="still", to="still"), (128, 128), 8, 2, full_truth=True)
    truth = made.truth
    for i, body in enumerate(made.scene.bodies):
        ys, xs = np.nonzero(truth.ids[0] == i)
        assert len(xs) > 20, body.name
        # Back-project the seen pixels: they lie on the body, so within its half diagonal of its centre.
        z = truth.depth[0][ys, xs]
        K, R, t = truth.camera.K[0], truth.camera.R[0], truth.camera.t[0]
        cam = np.stack([(xs - K[0, 2]) / K[0, 0] * z, (ys - K[1, 2]) / K[1, 1] * z, z], axis=1)
        world = (cam - t) @ R
        reach = np.linalg.norm(np.array(body.size)) / 2
        assert np.linalg.norm(world - truth.states.pos[0, i], axis=1).max() < reach + 0.05


def test_amodal_masks_hold_the_visible_ones_and_visibility_is_their_share():
    made = clip(_scene("pass_behind", duration_s=2.0), (64, 64), 8, 17, full_truth=True)
    truth = made.truth
    names = [b.name for b in made.scene.bodies]
    hero = names.index("hero")
    for k in range(17):
        assert not ((truth.ids[k] == hero) & ~truth.amodal[k, hero]).any()
    assert np.nanmin(truth.visible[:, hero]) == 0.0
    assert np.nanmax(truth.visible[:, hero]) == 1.0


@pytest.mark.parametrize("kind", FAMILIES.values(), ids=FAMILIES)
def test_mirroring_twice_changes_nothing(kind):
    params = kind.sample(np.random.default_rng(11))
    assert kind.mirrored(kind.mirrored(params)) == params


@pytest.mark.parametrize("move", sorted(room.MOVES))
def test_mirrored_room_is_the_mirrored_picture(move):
    kind = room.Room()
    params = kind.sample(np.random.default_rng(5), move)
    params = replace(params, style=replace(params.style, light="left"))
    a, b = (clip(kind.build(p, 1.0), (64, 64), 4, 5).video.frames for p in (params, params.mirrored()))
    # Striped and turned things may differ by a ray at their rims; the picture as a whole may not.
    assert np.mean(np.abs(a.astype(int) - b[:, :, ::-1]) > 12) < 0.02
