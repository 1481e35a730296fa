"""Corruptions of clips change nothing at severity 0 and more with each one after it; responses that fail to grow are misses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sora_eval.reporting.validity.encoders import sensitivity_table
from sora_eval.validity.corruptions import CORRUPTIONS, Corruption, corrupted, true_clips
from sora_eval.validity.encoder_sensitivity import EncoderResponse
from sora_eval.validity.trials import SEVERITIES

ERROR = (0.0, 0.001, 0.002, 0.003, 0.004)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda d: d.name)
def test_corruptions_grow(corruption: Corruption) -> None:
    clips = true_clips(corruption.families[:4], 6, 60_000)
    changes = []
    for severity in SEVERITIES:
        made = [corrupted(m, corruption, severity) for m in clips]
        assert all(c.shape == m.frames.shape and c.dtype == np.uint8 for c, m in zip(made, clips, strict=True))
        changes.append(np.mean([np.abs(c.astype(int) - m.frames).mean() for c, m in zip(made, clips, strict=True)]))
    assert changes[0] == 0
    assert changes[-1] > max(0, changes[1])
    assert np.array_equal(corrupted(clips[0], corruption, 0.5), corrupted(clips[0], corruption, 0.5))


def test_backwards_is_a_share_of_the_clips() -> None:
    backwards = next(d for d in CORRUPTIONS if d.name == "backwards")
    (true,) = true_clips(("motion",), 1, 60_000)
    clips = [replace(true, number=i) for i in range(400)]
    assert np.array_equal(corrupted(clips[0], backwards, 1.0), true.frames[::-1])
    turned = [not np.array_equal(corrupted(c, backwards, 0.25), c.frames) for c in clips]
    assert 0.15 < np.mean(turned) < 0.35


def test_a_required_sensitivity_that_fails_is_a_miss() -> None:
    blur = CORRUPTIONS[0]
    good = EncoderResponse("a", "m", blur, (0.0, 0.1, 0.2, 0.4, 0.8), ERROR, 1.0, True)
    bad = EncoderResponse("b", "m", blur, (0.0, 0.5, 0.2, 0.4, 0.8), ERROR, 0.7, True)
    free = EncoderResponse("c", "m", blur, (0.0, 0.5, 0.2, 0.4, 0.8), ERROR, 0.7, False)
    head, _, line = sensitivity_table([good, bad, free]).splitlines()
    assert head.startswith(
        "| corruption, at 0, 0.25, 0.5, 0.75, 1 | PSNR at 1 (dB, of the mean squared error) | a: m (Spearman) |"
    )
    assert line == (
        "| blur (space) | 24 | 0, 0.1, 0.2, 0.4, 0.8 (1.00) | 0, 0.5, 0.2, 0.4, 0.8 (0.70, MISSED)"
        " | 0, 0.5, 0.2, 0.4, 0.8 (0.70, not required) |"
    )
