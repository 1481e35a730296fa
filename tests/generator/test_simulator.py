import mujoco
import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.base import CONTROL_NAMES, Generator
from sora_eval.generator.faulty import RandomFaults
from sora_eval.generator.simulator import CONTROLS, OTHER, Control, Oracle, Violation, another, true_video
from sora_eval.types import Failure, Profile, Video
from sora_eval.world import VERSION, conditioning
from sora_eval.world.faults import FAULTS

SMALL = Profile("small", 64, 64, 17, 8, 5)


def _case(probe="motion", mode="t2v"):
    return registry.probe(probe).cases(1, SMALL, mode)[0]


@pytest.mark.parametrize(
    "made", [Oracle(), Control("frozen"), Violation("vanishes"), RandomFaults()], ids=lambda g: g.kind
)
def test_it_is_a_generator(made):
    assert isinstance(made, Generator)
    video = next(iter(made.generate([_case("pass_behind")])))
    assert isinstance(video, Video)


def test_the_oracle_begins_with_the_given_frames():
    for mode, given in (("i2v", 1), ("v2v", 5)):
        case = _case(mode=mode)
        frames = conditioning(case)
        assert len(frames) == given
        assert np.array_equal(frames, true_video(case).frames[:given])


def test_controls_do_what_their_names_say():
    case = _case()
    true = true_video(case).frames
    made = {c: next(Control(c).generate([case])).frames for c in CONTROLS}
    assert all(f.shape == true.shape for f in made.values())
    assert (made["frozen"] == true[0]).all()
    assert np.array_equal(made["reversed"], true[::-1])
    assert np.array_equal(made["mirrored"], true[:, :, ::-1])
    assert sorted(f.tobytes() for f in made["shuffled"]) == sorted(f.tobytes() for f in true)
    assert not np.array_equal(made["shuffled"], true)
    assert np.ptp(made["blank"]) == 0
    assert made["noise"].std() > 60


def test_another_case_is_of_the_same_probe_with_other_things():
    case = _case()
    other = another(case)
    assert other.scene["family"] == case.scene["family"]
    assert other.scene["params"] != case.scene["params"]


@pytest.mark.parametrize("name", sorted(registry.probe_names(optional=True)))
def test_every_violation_of_a_probe_applies_to_its_scenes(name):
    probe = registry.probe(name)
    case = probe.cases(1, SMALL, "t2v")[0]
    for violation in probe.violations:
        video = next(Violation(violation, 0.5).generate([case]))
        assert not isinstance(video, Failure), f"{violation}: {video}"


def test_every_fault_is_some_probes_business():
    used = {v for name in registry.probe_names(optional=True) for v in registry.probe(name).violations}
    assert set(FAULTS) == used


def test_a_fault_that_does_not_apply_is_a_failure_with_a_reason():
    video = next(Violation("bite_heals").generate([_case("motion")]))
    assert isinstance(video, Failure)
    assert "bite_heals does not apply" in video.reason


def test_careless_repeats_itself():
    case = _case("pass_behind")
    a, b = (next(RandomFaults().generate([case])).frames for _ in range(2))
    assert np.array_equal(a, b)


@pytest.mark.parametrize(
    "made", [Oracle(), Control("frozen"), Violation("vanishes"), RandomFaults()], ids=lambda g: g.kind
)
def test_fingerprints_follow_the_world_and_mujoco(made):
    assert f"world {VERSION}, MuJoCo {mujoco.__version__}" in made.fingerprint(_case())


def test_the_names_that_models_may_not_have_are_those_of_the_controls():
    assert (*CONTROLS, OTHER) == CONTROL_NAMES
