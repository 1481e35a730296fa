"""Another noise gives other clips for the same cases, and no two cases have the same."""

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.generator.reference.adapter import Reference
from sora_eval.types import Profile


def _clips(model, cases):
    return [v.frames for v in model.generate(cases)]


def test_noise_changes_clips_and_fingerprints_but_no_case(checkpoint):
    cases = registry.probe("relation").cases(1, Profile("tiny", 32, 32, 9, 8, 3), "t2v")
    plain, other = (Reference(checkpoint=str(checkpoint), short_side=None, steps=1, noise=n) for n in (0, 1))
    a, b = _clips(plain, cases), _clips(other, cases)
    assert not np.array_equal(a[0], b[0])
    np.testing.assert_array_equal(b[0], _clips(other, cases)[0])
    assert other.fingerprint(cases[0]) != plain.fingerprint(cases[0])


def test_cases_of_equal_seed_get_different_noise(checkpoint):
    model = Reference(checkpoint=str(checkpoint), steps=1)
    one, two = (registry.probe(p).cases(1, Profile("tiny", 32, 32, 9, 8, 3), "t2v")[0] for p in ("relation", "motion"))
    assert one.seed == two.seed
    assert model._seed(one) != model._seed(two)


@pytest.mark.parametrize("noise", [-1, 0.5, True])
def test_noise_is_a_whole_number(checkpoint, noise):
    with pytest.raises(ConfigError, match="noise must be a whole number"):
        Reference(checkpoint=str(checkpoint), noise=noise)


def test_a_clip_does_not_depend_on_what_is_asked_beside_it(checkpoint):
    cases = registry.probe("relation").cases(3, Profile("tiny", 32, 32, 9, 8, 3), "i2v")
    model = Reference(checkpoint=str(checkpoint), short_side=None, steps=1)
    together = _clips(model, cases)
    for i, case in enumerate(cases):
        np.testing.assert_array_equal(_clips(model, [case])[0], together[i])
    np.testing.assert_array_equal(_clips(model, cases[::-1])[0], together[2])
