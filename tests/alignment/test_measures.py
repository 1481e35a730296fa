import numpy as np
import pytest

from sora_eval.alignment.measures import PSNR_MOST, drift, pixels, place


def picture():
    y, x = np.mgrid[:48, :64]
    return np.stack([60 + 2 * x, 40 + 3 * y, 90 + x + y], axis=-1).astype(np.uint8)


def test_a_copy_has_the_best_values():
    values = pixels(picture(), picture())
    assert values["PSNR"] == PSNR_MOST
    assert [values[k] for k in ("gain", "gamma", "cast red", "cast green", "cast blue")] == pytest.approx(
        [1] * 5, abs=1e-6
    )


def test_gain_gamma_and_cast_are_told_apart():
    given = picture() / 255
    made = 0.9 * given**1.3 * np.array([1.1, 1.0, 1 / 1.1])
    values = pixels(picture(), (255 * made).round().astype(np.uint8))
    assert values["gamma"] == pytest.approx(1.3, abs=0.02)
    assert values["gain"] == pytest.approx(0.9, abs=0.01)
    assert values["cast red"] == pytest.approx(1.1, abs=0.01)
    assert values["cast blue"] == pytest.approx(1 / 1.1, abs=0.01)


def test_an_object_that_moves_is_no_change_of_colour():
    made = picture()
    made[10:25, 10:30] = (200, 30, 30)
    values = pixels(picture(), made)
    assert values["gain"] == pytest.approx(1, abs=0.01)
    assert values["cast red"] == pytest.approx(1, abs=0.01)
    assert values["PSNR"] < 25


def test_black_and_white_pictures_have_no_colour_to_compare():
    assert pixels(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)) == {"PSNR": PSNR_MOST}


def test_drift_is_the_change_up_to_the_last_frame():
    assert drift({"gain": 1.0, "PSNR": 30.0, "shift": 0.1}, {"gain": 0.9, "PSNR": 20.0}) == pytest.approx(
        {"gain drift": -0.1, "PSNR drift": -10.0}
    )


def test_place_in_a_letterboxed_and_in_a_zoomed_clip():
    assert place((0, 14, 64, 50), (64, 64), (36, 64)) == {"shift": 0, "zoom": 1}
    assert place((-5, -2.5, 105, 52.5), (50, 100), (50, 100)) == pytest.approx({"shift": 0, "zoom": 1.1})
