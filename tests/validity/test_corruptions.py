"""Corruptions and other conditions of clips."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.data.heldout import Member
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.features import CLIP_FEATURES, MOTION_FEATURES, ClipEntry, FeatureSet
from sora_eval.generator.simulator import CONTROLS, OTHER
from sora_eval.validity import corruptions
from sora_eval.validity.corruptions import (
    ALL_FAMILIES,
    Condition,
    condition_features,
    conditions,
    real_set,
    true_set,
    under_condition,
)
from sora_eval.validity.trials import (
    SEVERITIES,
)
from sora_eval.video import read_video


def test_conditions_are_all_controls_corruptions_and_nuisances() -> None:
    found = conditions()
    assert len(set(found)) == len(found)
    assert {t.name for t in found if t.kind == "control"} == {*CONTROLS, OTHER}
    by_what = {}
    for t in found:
        if t.kind in ("corruption", "violation"):
            by_what.setdefault(t.name, []).append(t.severity)
    assert len(by_what) == 9
    assert all(tuple(s) == SEVERITIES[1:] for s in by_what.values())
    for families in {t.families for t in found}:
        assert real_set(families) in found
        assert true_set(families) in found


@pytest.mark.parametrize("what", sorted(CONTROLS))
def test_controls_of_metrics_are_those_of_probes(what: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
    true = Member("motion", {}, "", frames, 3)
    spoilt = under_condition(true, Condition("control", what, 1.0, ALL_FAMILIES)).frames
    assert spoilt.shape == frames.shape
    assert not np.array_equal(spoilt, frames)
    assert np.array_equal(under_condition(true, Condition("oracle", "oracle", 0.0, ALL_FAMILIES)).frames, frames)


def test_clips_are_written_as_a_models_are(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
    members = [Member("motion", {}, f"ball {i}", frames, i) for i in range(2)]
    monkeypatch.setattr(corruptions, "true_clips", lambda families, count, first: members[:count])
    seen_clips = []

    def fake(clips: list[ClipEntry], config: FidelityConfig) -> FeatureSet:
        for c in clips:
            assert c.reference is not None
            seen_clips.append((c.position, c.prompt, read_video(c.path).frames, read_video(c.reference).frames))
        return FeatureSet(missing={CLIP_FEATURES: "not today", MOTION_FEATURES: "not today"})

    monkeypatch.setattr(corruptions, "extract", fake)
    found = condition_features(Condition("control", "mirrored", 1.0, ALL_FAMILIES), 2)
    assert [(i, prompt) for i, prompt, _, _ in seen_clips] == [(0, "ball 0"), (1, "ball 1")]
    assert all(
        np.array_equal(true, frames) and np.array_equal(clip, frames[:, :, ::-1]) for _, _, clip, true in seen_clips
    )
    assert found.missing[CLIP_FEATURES] == "not today"
    assert found.clip_features.size == 0
