"""True clips under other looks that once scored as if a law were broken."""

import pytest

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.tracking.world import track
from sora_eval.validity.nuisances import asked, seen
from sora_eval.validity.trials import case_of


@pytest.mark.parametrize(
    ("name", "scene", "look"),
    [("pass_behind", 5, "H.264 crf 28"), ("shatter", 1, "all at once"), ("brush", 4, "light warm")],
)
def test_light_and_compression_break_no_law(name, scene, look):
    probe = registry.probe(name)
    case = asked(case_of(probe, registry.profile("small"), "t2v", 0, scene), look, scene)
    video = seen(true_video(case), look)
    assert probe.score(case, video, track(video)).value >= 0.97
