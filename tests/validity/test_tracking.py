"""Trials of tracking metrics."""

from __future__ import annotations

import numpy as np
from validity.made_up import SMALL

from sora_eval import registry
from sora_eval.generator.simulator import CONTROLS, OTHER, true_video
from sora_eval.tracking.world import track
from sora_eval.validity.tracking import (
    PROBE as TRACKING_PROBE,
)
from sora_eval.validity.tracking import (
    SWAP,
    blind_spots,
    is_measured,
    metric_names,
    metric_values,
    with_swapped_identities,
)
from sora_eval.validity.trials import (
    case_of,
)


def test_tracking_metrics_are_tried_on_the_clips_of_a_probes_trials() -> None:
    case = case_of(registry.probe(TRACKING_PROBE), SMALL, "t2v", 0, 0)
    true = true_video(case)
    found = {s: metric_values(case, v, track(v)) for s in (0.0, 1.0) for v in [with_swapped_identities(case, s)]}
    assert np.array_equal(with_swapped_identities(case, 0.0).frames, true.frames)
    assert tuple(found[0.0]) == metric_names()
    assert (found[0.0]["ID switches"], found[1.0]["ID switches"]) == (0, 2)
    probe = registry.probe(TRACKING_PROBE)
    assert [is_measured(probe, s, 12) for s in (7, 8, 12, 19, 20)] == [True, False, True, True, False]
    assert not is_measured(registry.probe("motion"), 0, 12)


def test_blind_spots_of_tracking_metrics_are_conditions_that_are_tried() -> None:
    probe = registry.probe(TRACKING_PROBE)
    done = {*CONTROLS, OTHER, *probe.violations, SWAP}
    for name in metric_names():
        assert set(blind_spots(name)) < done, name
