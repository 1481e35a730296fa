"""Looks of the world: the same bytes everywhere, exact truth, exact mirror images, true words; and the plain world stays as it was."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.generator.simulator import another, true_video
from sora_eval.types import Profile
from sora_eval.world import clip, frame_times, from_states, looks, physics, scene_of
from sora_eval.world.families import FAMILIES, draw, family
from sora_eval.world.families.params import LookChoice
from sora_eval.world.kernels import bvh
from sora_eval.world.looks import LOOKS, LookOptions
from sora_eval.world.render import Renderer, camera_of

SMALL = Profile("small", 64, 64, 9, 8, 3)
each_look = pytest.mark.parametrize("look", LOOKS)


def in_look(name, look, seed=0, severity=1.0, number=0, duration_s=1.0):
    params = draw(name, number, 0)[0]
    params = replace(params, style=replace(params.style, look=LookChoice(look, severity, seed)))
    return family(name).build(params, duration_s)


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


# The plain world.

PLAIN = {
    "room": "634debbc773e13db",
    "hands": "0f9b9f606c7dd984",
    "brush": "a3be2285ba9d4771",
    "camera_pan": "b0783dd2c7c6c109",
}


@pytest.mark.parametrize("name", PLAIN)
def test_the_plain_world_has_the_pixels_that_it_had_before_there_were_looks(name):
    made = clip(family(name).build(draw(name, 0, 0)[0], 1.0), (48, 64), 8, 5)
    assert digest(made.video.frames) == PLAIN[name]


@pytest.mark.parametrize("name", registry.probe_names())
def test_plain_cases_say_nothing_of_a_look(name):
    probe = registry.probe(name)
    plain = probe.cases(2, SMALL, "t2v")
    assert plain == probe.cases(2, SMALL, "t2v", 0, LookOptions("plain", 0.5))
    assert all("look" not in c.scene["params"]["style"] for c in plain)


# Pictures.


@each_look
@pytest.mark.parametrize("name", ["room", "two_drops", "hands"])
def test_a_look_grows_out_of_the_plain_world_with_its_severity(name, look):
    plain = clip(family(name).build(draw(name, 0, 0)[0], 1.0), (48, 64), 8, 3).video.frames.astype(int)
    far = [
        np.abs(clip(in_look(name, look, severity=s), (48, 64), 8, 3).video.frames - plain).mean()
        for s in (0.02, 0.25, 0.5, 1.0)
    ]
    assert far == sorted(far)
    assert far[-1] > 6
    # But for walls, which stand at every severity.
    assert far[0] < 3 or look == "indoor"


@each_look
@pytest.mark.parametrize("name", ["relation", "pass_behind", "orbit", "hands", "ramp", "bite"])
def test_twins_are_each_others_mirror_image(name, look):
    a, b = registry.probe(name).cases(2, SMALL, "t2v", 1, LookOptions(look))
    # A lamp that is neither left nor right throws its shadows to the other side in a mirror.
    lit = [
        replace(
            c,
            scene={**c.scene, "params": {**c.scene["params"], "style": {**c.scene["params"]["style"], "light": light}}},
        )
        for c, light in ((a, "left"), (b, "right"))
    ]
    one, two = (true_video(c).frames.astype(int) for c in lit)
    assert np.mean(np.abs(one - two[:, :, ::-1]) > 12) < 0.02
    # Materials are mirrored too: an unmirrored floor would differ all over.
    assert np.abs(one[0] - two[0, :, ::-1]).mean() < 0.7


# Truth.


@each_look
@pytest.mark.parametrize("name", ["room", "shatter", "count", "hands"])
def test_masks_are_those_of_the_picture(name, look):
    scene = in_look(name, look, duration_s=2.0)
    states = physics.simulate(scene, frame_times(9, 4))
    # Nothing is smeared here, and the frame is one in which nothing is in front of the floor alone.
    scene = replace(scene, look=replace(scene.look, shutter=0.0))
    made = from_states(scene, states, (96, 96), 4, full_truth=True)
    for i, body in enumerate(scene.bodies):
        if not states.shown[8, i] or body.glow or (made.truth.ids[8] == i).sum() < 60:
            continue
        rgb = states.rgb.copy()
        rgb[:, i] = 255 - rgb[:, i]
        other = from_states(scene, replace(states, rgb=rgb), (96, 96), 4).video.frames[8]
        changed = np.abs(other.astype(int) - made.video.frames[8]).sum(axis=2) > 6
        mask = (made.truth.ids[8] == i).astype(np.uint8)
        inside = cv2.erode(mask, np.ones((3, 3), np.uint8)).astype(bool)
        around = cv2.dilate(mask, np.ones((3, 3), np.uint8)).astype(bool)
        assert not (changed & ~around).any(), body.name
        assert changed[inside].mean() > 0.98 if inside.any() else True, body.name


def test_a_hand_held_cameras_truth_is_the_shaken_camera():
    scene = in_look("single", "outdoor", seed=3, duration_s=2.0)
    states = physics.simulate(scene, frame_times(17, 8))
    steady = replace(scene, camera=family("single").build(draw("single", 0, 0)[0], 2.0).camera)
    shaken, still = (camera_of(s, states.t_s, (128, 128)) for s in (scene, steady))
    (xy, _), (rest, _) = shaken.project(states.pos), still.project(states.pos)
    assert np.abs(xy - rest).max() > 0.5
    made = from_states(scene, states, (128, 128), 8, full_truth=True)
    assert np.array_equal(made.truth.camera.R, shaken.R)
    # Back-projected, the pixels of the body lie on it in every frame.
    for k in range(17):
        ys, xs = np.nonzero(made.truth.ids[k] == 0)
        K, R, t = shaken.K[k], shaken.R[k], shaken.t[k]
        z = made.truth.depth[k][ys, xs]
        cam = np.stack([(xs - K[0, 2]) / K[0, 0] * z, (ys - K[1, 2]) / K[1, 1] * z, z], axis=1)
        world = (cam - t) @ R
        reach = np.linalg.norm(np.array(scene.bodies[0].size)) / 2
        assert np.linalg.norm(world - states.pos[k, 0], axis=1).max() < reach + 0.02
        assert abs(world[:, 0].mean() - states.pos[k, 0, 0]) < 0.05


def test_walls_have_a_depth():
    scene = in_look("room", "indoor")
    states = physics.simulate(scene, frame_times(2, 8))
    renderer, camera = Renderer(scene, (60, 80)), camera_of(scene, states.t_s, (60, 80))
    ids, depth = renderer.seen(states, camera, 0)
    assert np.isfinite(depth).all()
    K, R, t = camera.K[0], camera.R[0], camera.t[0]
    y, x = np.mgrid[:60, :80]
    cam = np.stack([(x - K[0, 2]) / K[0, 0] * depth, (y - K[1, 2]) / K[1, 1] * depth, depth], axis=-1)
    world = ((cam - t) @ R)[ids < 0]
    on = [np.abs(world[:, 2]), np.abs(world[:, 1] - looks.WALL_BACK_M), np.abs(np.abs(world[:, 0]) - looks.WALL_X_M)]
    assert np.min(on, axis=0).max() < 1e-3
    assert (on[1] < 1e-3).any() and (on[0] < 1e-3).any()


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_goes_through_a_wall(name):
    for number in range(4):
        scene = in_look(name, "indoor", number=number, duration_s=5.0)
        if scene.look.wall is None:
            continue
        states = physics.simulate(scene, frame_times(21, 4))
        eyes = scene.camera.eye
        for xyz in (states.pos.reshape(-1, 3), eyes):
            assert np.abs(xyz[:, 0]).max() < looks.WALL_X_M - 1.5
            assert xyz[:, 1].min() > looks.WALL_FRONT_M + 1 and xyz[:, 1].max() < looks.WALL_BACK_M - 1.0


# Words.


@each_look
@pytest.mark.parametrize("name", registry.probe_names())
def test_prompts_say_what_the_look_shows(name, look):
    cases = registry.probe(name).cases(12, SMALL, "t2v", 2, LookOptions(look))
    for case, plain in zip(cases, registry.probe(name).cases(12, SMALL, "t2v", 2), strict=True):
        shown = scene_of(case.scene, 1.0).look
        assert shown is not None
        said = case.prompt
        assert "tiles" not in said and "backdrop is plain and pale" not in said
        walled = family(case.scene["family"]).name == "candle"
        assert (shown.open_sky and not walled) == ("under a blue sky" in said)
        assert shown.hand_held == ("held by hand" in said)
        assert not (shown.hand_held and re.search("camera [^.]*does not move", said))
        if family(case.scene["family"]).name != "voxel":
            assert f" is {shown.floor.words}," in said
            assert (shown.wall is not None or walled) == (" wall behind" in said)
            assert walled or shown.wall is None or f"a {shown.wall.words} wall" in said
            # Everything else is as in the plain world.
            start = plain.prompt.index("The floor has")
            assert said.startswith(plain.prompt[:start])
    for one, two in zip(cases[::2], cases[1::2], strict=True):
        a, b = (scene_of(c.scene, 1.0).look for c in (one, two))
        assert replace(a, flipped=True) == b


def test_another_cases_clip_is_in_the_same_look():
    case = registry.probe("bite").cases(1, SMALL, "t2v", 0, LookOptions("indoor"))[0]
    style = another(case).scene["params"]["style"]
    assert style["look"] == case.scene["params"]["style"]["look"]
    assert "look" not in another(registry.probe("bite").cases(1, SMALL, "t2v")[0]).scene["params"]["style"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"look": "jungle"}, "world.look"),
        ({"severity": 0.0}, "world.severity must be a number above 0 and at most 1, got 0.0"),
        ({"severity": 1.5}, "world.severity must be a number above 0 and at most 1, got 1.5"),
        ({"looks": "indoor"}, "world.looks"),
    ],
)
def test_wrong_looks_are_refused_in_a_line(values, said):
    with pytest.raises(ConfigError, match=said) as caught:
        LookOptions.of(values)
    assert "\n" not in str(caught.value)


# The cache of kernels.


def test_a_kernel_is_compiled_anew_when_another_file_that_it_calls_has_changed(tmp_path):
    source = Path(bvh.__file__).read_text(encoding="utf-8")
    listed = next(line for line in source.splitlines() if line.startswith("_KERNELS = "))
    (tmp_path / "bvh.py").write_text(source.replace(listed, '_KERNELS = ("bvh", "called", "calls")'), encoding="utf-8")
    (tmp_path / "calls.py").write_text(
        "from bvh import compiled\nfrom called import part\n\n\n@compiled\ndef whole(x):\n    return part(x)\n",
        encoding="utf-8",
    )
    ask = "import calls; print(calls.whole(1.0), sum(calls.whole.stats.cache_hits.values()))"
    answers = []
    for factor in (2.0, 2.0, 3.0):
        (tmp_path / "called.py").write_text(
            f"from bvh import inlined\n\n\n@inlined\ndef part(x):\n    return {factor} * x\n", encoding="utf-8"
        )
        os.utime(tmp_path / "called.py", (1e9, 1e9))
        env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
        out = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, env=env)
        answers.append(out.stdout.split())
    assert answers == [["2.0", "0"], ["2.0", "1"], ["3.0", "0"]]
