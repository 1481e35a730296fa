import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sora_eval.metrics.rigidity import fit_rigid, floor_guess

SIZE = (64, 64)


def _scene(moving=0.0, noise=0.0):
    """Seven points before a camera that circles by 30 degrees at 10 m; return pixels [N, T, 2] and places in the first camera."""
    rng = np.random.default_rng(0)
    points = np.stack([np.linspace(-2, 2, 7), rng.uniform(-2, 1.5, 7), rng.uniform(0, 1, 7)], axis=1)
    focal = 32 / np.tan(np.radians(20))
    out, first = [], None
    for k, a in enumerate(np.radians(np.linspace(-15, 15, 17))):
        eye = 10 * np.array([np.sin(a), -np.cos(a), 0.35])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(forward, right), forward])
        here = points + moving * np.sin(6 * np.pi * k / 16) * np.array([[1.0, 0, 0]]) * (np.arange(7) < 3)[:, None]
        cam = (here - eye) @ R.T
        first = cam if first is None else first
        out.append(31.5 + focal * cam[:, :2] / cam[:, 2:])
    xy = np.array(out).transpose(1, 0, 2)
    return xy + rng.normal(0, noise, xy.shape), first


def test_a_rigid_scene_is_explained_to_the_last_hundredth_of_a_pixel():
    xy, first = _scene()
    fit = fit_rigid(xy, np.ones((7, 17), bool), SIZE, first * 1.1 + 0.2)
    assert np.nanmax(fit.residual) < 0.02


def test_the_camera_is_recovered():
    xy, first = _scene()
    fit = fit_rigid(xy, np.ones((7, 17), bool), SIZE, first)
    assert fit.turned[1] == pytest.approx(-30, abs=3)
    assert fit.moved[0] == pytest.approx(2 * np.sin(np.radians(15)) * np.cos(np.radians(15)), abs=0.08)


def test_residual_grows_with_what_moves():
    errors = []
    for moving in (0.0, 0.1, 0.3, 0.9):
        xy, first = _scene(moving)
        errors.append(np.sqrt(np.nanmean(fit_rigid(xy, np.ones((7, 17), bool), SIZE, first).residual ** 2)))
    assert errors == sorted(errors)
    assert errors[-1] > 20 * errors[0] + 1


def test_residual_is_the_noise():
    xy, first = _scene(noise=0.3)
    residual = fit_rigid(xy, np.ones((7, 17), bool), SIZE, first).residual
    # 238 numbers are seen, 21 + 18 + 1 are fitted, 7 of these are free choices.
    expected = 0.3 * np.sqrt(2 * (238 - 33) / 238)
    assert np.sqrt(np.mean(residual**2)) == pytest.approx(expected, rel=0.15)


def test_gaps_are_left_out():
    xy, first = _scene()
    seen = np.ones((7, 17), bool)
    seen[2, 5:9] = False
    xy[2, 5:9] = np.nan
    fit = fit_rigid(xy, seen, SIZE, first)
    assert np.isnan(fit.residual[2, 5:9]).all()
    assert np.nanmax(fit.residual) < 0.05


def test_too_little_is_refused():
    xy, first = _scene()
    with pytest.raises(ValueError, match="too few landmarks"):
        fit_rigid(xy[:3], np.ones((3, 17), bool), SIZE, first[:3])


def test_floor_guess_finds_points_on_the_floor():
    # An eye 4 m up, looking 20 degrees down, sees a floor point 10 m ahead (on the ground) at a known depth.
    a = np.radians(20)
    R = Rotation.from_euler("x", 0).as_matrix()
    cam = R @ np.array([1.0, 4 * np.cos(a) - 10 * np.sin(a), 4 * np.sin(a) + 10 * np.cos(a)])
    focal = 32 / np.tan(np.radians(20))
    xy = 31.5 + focal * cam[:2] / cam[2]
    assert floor_guess(xy[None], SIZE, np.zeros(1), 4.0, 20.0)[0] == pytest.approx(cam, abs=1e-6)
