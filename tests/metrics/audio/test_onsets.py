"""Onsets: clicks and thuds are found where they are, in noise too; silence and constant noise have none."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.audio.onsets import match_onsets, onset_times
from sora_eval.world.sound import thuds

RATE = 16_000
TIMES = (0.31, 0.92, 1.4, 1.77)


def _noise(level: float, seconds: float = 2.0, seed: int = 1) -> np.ndarray:
    return level * np.random.default_rng(seed).normal(size=round(seconds * RATE))


def _clicks() -> np.ndarray:
    samples = np.zeros(2 * RATE)
    for t in TIMES:
        samples[round(t * RATE) : round(t * RATE) + 20] = 0.8
    return samples


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.02])
@pytest.mark.parametrize("kind", ["clicks", "thuds"])
def test_sounds_are_found_to_ten_milliseconds_in_noise_too(kind: str, noise: float) -> None:
    clean = _clicks() if kind == "clicks" else thuds(TIMES, 2.0, RATE).samples
    found = onset_times(clean + _noise(noise), RATE)
    assert len(found) == len(TIMES)
    assert np.abs(np.array(found) - TIMES).max() < 0.01


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_other_rates(rate: int) -> None:
    found = onset_times(thuds(TIMES, 2.0, rate).samples, rate)
    assert found == pytest.approx(TIMES, abs=0.01)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("level", [0.001, 0.05, 0.3])
def test_constant_noise_has_no_onsets(level: float, seed: int) -> None:
    assert onset_times(_noise(level, 8.0, seed), RATE) == ()


def test_silence_a_lasting_tone_and_a_slow_swell_have_no_onsets() -> None:
    t = np.arange(2 * RATE) / RATE
    tone = 0.4 * np.sin(2 * np.pi * 330 * t)
    assert onset_times(np.zeros(2 * RATE), RATE) == ()
    assert onset_times(tone, RATE) == ()
    assert onset_times(tone * t / 2 + _noise(0.01), RATE) == ()


def test_a_short_track_is_no_error() -> None:
    assert onset_times(np.zeros(10), RATE) == ()
    assert onset_times(np.zeros(0), RATE) == ()


def test_what_is_no_track_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        onset_times(np.zeros((2, 100)), RATE)
    with pytest.raises(ValueError, match="finite"):
        onset_times(np.array([np.nan] * 100), RATE)
    with pytest.raises(ValueError, match="rate"):
        onset_times(np.zeros(100), 8)


def test_matching_by_hand() -> None:
    fit = match_onsets([0.5, 0.56, 1.0, 3.0], [0.55, 0.6, 2.0], 0.06)
    # 0.5 with 0.55 and 0.56 with 0.6; 1.0 and 3.0 belong to nothing, 2.0 is silent.
    assert (fit.precision, fit.recall) == (0.5, pytest.approx(2 / 3))
    assert fit.f1 == pytest.approx(2 * 2 / 7)
    assert fit.offset_s == pytest.approx(-0.045)


def test_silence_matches_nothing() -> None:
    fit = match_onsets([], [0.5], 0.1)
    assert (fit.precision, fit.recall, fit.f1, fit.offset_s) == (None, 0, 0, None)
    with pytest.raises(ValueError, match="event"):
        match_onsets([0.5], [], 0.1)
