import pytest
import torch

from sora_eval.errors import ConfigError
from sora_eval.generator.reference import diffusion, losses
from sora_eval.generator.reference.options import Options


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_the_schedule_rises_to_clean(start):
    t = diffusion.schedule(Options(steps=10), start)
    assert t[0] == start
    assert t[-1] == 1
    assert (t.diff() > 0).all()
    assert t.diff()[0] < t.diff()[-2]


@pytest.mark.parametrize("steps", [1, 2, 7, 30, 250])
def test_a_perfect_network_is_followed_to_its_picture(steps):
    z, eps = torch.randn(1, 3, 4, 2, 2), torch.randn(1, 3, 4, 2, 2)
    none = torch.zeros(1, 3, dtype=torch.bool)
    found = diffusion.sample(lambda _z, _t: z, eps, torch.zeros_like(z), none, Options(steps=steps))
    assert torch.allclose(found, z, atol=1e-5)


def test_an_edit_begins_from_what_is_known_under_noise_of_its_strength():
    known, eps = torch.randn(1, 3, 4, 2, 2), torch.randn(1, 3, 4, 2, 2)
    none = torch.zeros(1, 3, dtype=torch.bool)
    seen = []

    def predict(z, t):
        seen.append((z, t))
        return z

    found = diffusion.sample(predict, eps, known, none, Options(steps=4), start=0.8)
    assert torch.allclose(found, 0.8 * known + 0.2 * eps, atol=1e-6)
    assert torch.all(seen[0][1] == torch.tensor(0.8))


def test_given_chunks_are_read_as_clean_and_never_changed():
    known, eps = torch.randn(1, 3, 4, 2, 2), torch.randn(1, 3, 4, 2, 2)
    given = torch.tensor([[True, False, True]])
    levels = []

    def predict(z, t):
        levels.append(t)
        assert torch.equal(z[:, 0], known[:, 0])
        return torch.zeros_like(z)

    found = diffusion.sample(predict, eps, known, given, Options(steps=5))
    assert torch.equal(found[:, [0, 2]], known[:, [0, 2]])
    assert all((t[0, 0], t[0, 2]) == (1, 1) and t[0, 1] < 1 for t in levels)


def test_the_second_order_solver_beats_euler_on_a_gaussian():
    # Data N(0, s^2): the best prediction is known in closed form, and so is where the flow ends.
    s = 0.5

    def predict(z, t):
        t = t[..., None, None, None]
        return z * t * s**2 / (t**2 * s**2 + (1 - t) ** 2)

    eps = torch.randn(1, 1, 8, 8, 8)
    none = torch.zeros(1, 1, dtype=torch.bool)
    exact = s * eps
    errors = [
        (diffusion.sample(predict, eps, torch.zeros_like(eps), none, Options(steps=n)) - exact).abs().max()
        for n in (8, 16, 32)
    ]
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_levels_and_what_is_given(share):
    t, given = diffusion.noise_levels(4000, 5, torch.Generator().manual_seed(0), share)
    assert ((t > 0) & (t <= 1)).all()
    assert torch.equal(t == 1, given)
    assert not given.all(dim=1).any()
    assert abs(given.any(dim=1).float().mean() - share) < 0.03
    own = t.masked_fill(given, 0)
    one_level = torch.tensor([len(set(row[row > 0].tolist())) == 1 for row in own])
    assert abs(one_level.float().mean() - (1 - (1 - share) * 5 / 14)) < 0.05
    assert t[~given].median() < 0.35
    assert torch.equal(diffusion.noise_levels(1, 1, torch.Generator().manual_seed(3))[1], torch.tensor([[False]]))


def test_both_ends_are_given_as_often_as_the_recipe_has_it():
    _, given = diffusion.noise_levels(4000, 9, torch.Generator().manual_seed(0), 0.5, 0.24)
    both = given[:, 0] & given[:, -1]
    assert abs(both.float().mean() - 0.12) < 0.02
    assert (given[both].sum(dim=1) == 4).all()
    assert not given[:, 3:6][both].any()


def test_short_transitions_begin_from_one_or_two_chunks():
    _, given = diffusion.noise_levels(4000, 5, torch.Generator().manual_seed(0), 0.5, 0.24)
    both = given[given[:, 0] & given[:, -1]]
    assert 0.3 < both[:, 1].float().mean() < 0.7
    assert not both[:, 2:4].any()


def test_some_clips_begin_from_their_first_chunk_alone():
    from_image = torch.arange(400) % 4 == 0
    t, given = diffusion.noise_levels(400, 5, torch.Generator().manual_seed(0), 0.5, 0.24, from_image)
    assert torch.equal(given[from_image], (torch.arange(5) == 0).expand(100, -1))
    assert torch.equal(t == 1, given)
    # The others are drawn as they would be without them.
    assert torch.equal(
        given[~from_image], diffusion.noise_levels(400, 5, torch.Generator().manual_seed(0), 0.5, 0.24)[1][~from_image]
    )


def test_the_loss_is_the_velocitys_and_leaves_given_chunks_out():
    z, eps = torch.randn(2, 3, 4, 2, 2), torch.randn(2, 3, 4, 2, 2)
    t = torch.full((2, 3), 0.5)
    none = torch.zeros(2, 3, dtype=torch.bool)
    mixed = diffusion.add_noise(z, eps, t)
    found = z + 0.1 * torch.randn_like(z)
    v, w = (z - mixed) / 0.5, (found - mixed) / 0.5
    assert torch.allclose(losses.velocity_loss(found, z, t, none), (v - w).square().mean())
    given = none.clone()
    given[:, 0] = True
    wrong = found.clone()
    wrong[:, 0] += 100
    assert torch.allclose(losses.velocity_loss(wrong, z, t, given), losses.velocity_loss(found, z, t, given))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"steps": "many"}, "steps must be a whole number"),
        ({"shift": -1.0}, "shift must be a number above 0"),
        ({"guidance": "abc"}, "guidance must be a number, got abc"),
        ({"history": float("nan")}, "history must be a number, got nan"),
    ],
)
def test_options_that_can_t_be_sampled_with_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        Options(**values)
