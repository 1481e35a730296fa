"""Profiles of pipelines: what these make without rounding a size or adding a frame."""

import pytest

from sora_eval import registry
from sora_eval.generator.pipelines.rules import NATIVE_FPS, Rules

# Multiples of sides and stride of frame counts, as the pipelines' autoencoders and patches have them.
PIPELINES = {
    "wan": ("Wan", 16, 4),
    "cogvideox": ("CogVideoX", 16, 4),
    "ltx": ("LTX", 32, 8),
    "hunyuan": ("HunyuanVideo", 16, 4),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_profile_is_what_the_pipeline_makes(name):
    profile = registry.profile(name)
    family, multiple, stride = PIPELINES[name]
    rules = Rules(frozenset(), multiple, stride, None, NATIVE_FPS.get(family))
    assert rules.size(profile.height, profile.width) == (profile.height, profile.width)
    assert rules.frames(profile.frames) == profile.frames
    assert rules.frames(profile.given) == profile.given
    # LTX takes any rate as an argument.
    assert profile.fps == (rules.fps or 25)


@pytest.mark.parametrize(
    ("pipeline", "name"),
    [("WanPipeline", "wan"), ("LTXPipeline", "ltx"), ("HunyuanVideoPipeline", "hunyuan")],
)
def test_a_profile_is_the_default_of_the_installed_pipeline(pipeline, name):
    import inspect

    diffusers = pytest.importorskip("diffusers")
    profile, parameters = registry.profile(name), inspect.signature(getattr(diffusers, pipeline).__call__).parameters
    assert [profile.height, profile.width, profile.frames] == [
        parameters[key].default for key in ("height", "width", "num_frames")
    ]
