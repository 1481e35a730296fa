"""A cut or a fade from the first frame of the true clip to its last earns little in every probe that does not say why."""

import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Control, true_video
from sora_eval.probes.base import Probe
from sora_eval.tracking.world import track
from sora_eval.types import Case, Profile, Video

SMALL = Profile("small", 64, 64, 17, 8, 5)
NAMES = [
    name
    for name, (suite, _) in sorted(registry.probe_names(optional=True).items())
    if suite != "natural" and not registry.probe(name).single_image
]


def _share(probe: Probe, case: Case, video: Video) -> float:
    """Return a score corrected for chance, 0 for a clip that is not judged."""
    value = probe.score(case, video, track(video)).value
    return 0.0 if value is None else (value - probe.chance) / (1 - probe.chance)


@pytest.mark.parametrize("name", NAMES)
def test_neither_a_cut_nor_a_fade_makes_what_happens_in_between(name: str) -> None:
    probe = registry.probe(name)
    for case in probe.cases(2, SMALL, probe.modes[0], 7):
        assert _share(probe, case, true_video(case)) >= 0.97
        for control in ("cut", "crossfade"):
            video = next(Control(control).generate([case]))
            assert isinstance(video, Video)
            share = _share(probe, case, video)
            assert share <= 0.6 or control in probe.blind_to, control
