"""True clips under nuisance transforms that once scored as if a law were broken."""

import pytest

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.tracking.world import track
from sora_eval.validity.nuisances import transformed, transformed_case
from sora_eval.validity.trials import case_of


@pytest.mark.parametrize(
    ("name", "scene", "nuisance"),
    [("pass_behind", 5, "H.264 crf 28"), ("shatter", 1, "all at once"), ("brush", 4, "light warm")],
)
def test_light_and_compression_break_no_law(name, scene, nuisance):
    probe = registry.probe(name)
    case = transformed_case(case_of(probe, registry.profile("small"), "t2v", 0, scene), nuisance, scene)
    video = transformed(true_video(case), nuisance)
    assert probe.score(case, video, track(video)).value >= 0.97
