"""Damages of clips: nothing at severity 0, more and more after it; a response that grows is called one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sora_eval.reporting.validity.encoders import dose_table
from sora_eval.validity import encoder_sensitivity
from sora_eval.validity.encoder_sensitivity import DAMAGES, SEVERITIES, Response

ERROR = (0.0, 0.001, 0.002, 0.003, 0.004)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.name)
def test_damages_grow(damage: encoder_sensitivity.Damage) -> None:
    some = encoder_sensitivity.true_clips(damage.families[:4], 6, 60_000)
    changes = []
    for severity in SEVERITIES:
        made = [encoder_sensitivity.damaged(m, damage, severity) for m in some]
        assert all(c.shape == m.frames.shape and c.dtype == np.uint8 for c, m in zip(made, some, strict=True))
        changes.append(np.mean([np.abs(c.astype(int) - m.frames).mean() for c, m in zip(made, some, strict=True)]))
    assert changes[0] == 0
    assert changes[-1] > max(0, changes[1])
    again = encoder_sensitivity.damaged(some[0], damage, 0.5)
    assert np.array_equal(again, encoder_sensitivity.damaged(some[0], damage, 0.5))


def test_backwards_is_a_share_of_the_clips() -> None:
    backwards = next(d for d in DAMAGES if d.name == "backwards")
    some = encoder_sensitivity.true_clips(("motion",), 1, 60_000)
    clips = [replace(some[0], number=i) for i in range(400)]
    assert np.array_equal(encoder_sensitivity.damaged(clips[0], backwards, 1.0), some[0].frames[::-1])
    turned = [not np.array_equal(encoder_sensitivity.damaged(c, backwards, 0.25), c.frames) for c in clips]
    assert 0.15 < np.mean(turned) < 0.35


def test_a_claim_that_does_not_hold_is_a_miss() -> None:
    blur = DAMAGES[0]
    good = Response("a", "m", blur, (0.0, 0.1, 0.2, 0.4, 0.8), ERROR, 1.0, True)
    bad = Response("b", "m", blur, (0.0, 0.5, 0.2, 0.4, 0.8), ERROR, 0.7, True)
    free = Response("c", "m", blur, (0.0, 0.5, 0.2, 0.4, 0.8), ERROR, 0.7, False)
    head, _, line = dose_table([good, bad, free]).splitlines()
    assert head.startswith(
        "| damage, at 0, 0.25, 0.5, 0.75, 1 | PSNR at 1 (dB, of the mean squared error) | a: m (Spearman) |"
    )
    assert line == (
        "| blur (space) | 24 | 0, 0.1, 0.2, 0.4, 0.8 (1.00) | 0, 0.5, 0.2, 0.4, 0.8 (0.70, MISSED)"
        " | 0, 0.5, 0.2, 0.4, 0.8 (0.70, not claimed) |"
    )
