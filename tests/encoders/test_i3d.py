"""I3D: public state-dict layouts with random tensors in them, sizes, and TensorFlow's SAME padding."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sora_eval.encoders import i3d
from sora_eval.errors import ConfigError

UNITS = {"1a_7x7": (64, 3, 7), "2b_1x1": (64, 64, 1), "2c_3x3": (192, 64, 3)}
WIDTHS = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}


def units(layout: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name of each convolution of a public layout and the shape of its kernel."""
    conv, mixed = ("Conv3d", "Mixed") if layout == "piergiaj" else ("conv3d", "mixed")
    branches = {
        "piergiaj": ("b0", "b1a", "b1b", "b2a", "b2b", "b3b"),
        "hassony2": ("branch_0", "branch_1.0", "branch_1.1", "branch_2.0", "branch_2.1", "branch_3.1"),
    }[layout]
    for name, (out, inside, k) in UNITS.items():
        yield f"{conv}_{name}", (out, inside, k, k, k)
    for name, (inside, a, b1, b2, c1, c2, d) in WIDTHS.items():
        sizes = ((a, inside, 1), (b1, inside, 1), (b2, b1, 3), (c1, inside, 1), (c2, c1, 3), (d, inside, 1))
        for branch, (out, into, k) in zip(branches, sizes, strict=True):
            yield f"{mixed}_{name}.{branch}", (out, into, k, k, k)


def public(layout: str) -> dict[str, Tensor]:
    """Return random weights in a public layout, the same numbers in each."""
    noise = torch.Generator().manual_seed(0)
    norm = "bn" if layout == "piergiaj" else "batch3d"
    found: dict[str, Tensor] = {}
    for name, shape in units(layout):
        fan = shape[1] * shape[2] ** 3
        found[f"{name}.conv3d.weight"] = torch.randn(shape, generator=noise) * (2 / fan) ** 0.5
        found[f"{name}.{norm}.weight"] = torch.ones(shape[0])
        found[f"{name}.{norm}.bias"] = 0.1 * torch.randn(shape[0], generator=noise)
        found[f"{name}.{norm}.running_mean"] = torch.zeros(shape[0])
        found[f"{name}.{norm}.running_var"] = torch.ones(shape[0])
    last = "logits" if layout == "piergiaj" else "conv3d_0c_1x1"
    found[f"{last}.conv3d.weight"] = torch.randn(400, 1024, 1, 1, 1, generator=noise) / 32
    found[f"{last}.conv3d.bias"] = torch.randn(400, generator=noise)
    return found


def test_both_public_layouts_make_the_same_network() -> None:
    networks = [i3d.load(public(layout)) for layout in ("piergiaj", "hassony2")]
    parallel = i3d.load({f"module.{k}": v for k, v in public("piergiaj").items()})
    states = [n.state_dict() for n in (*networks, parallel)]
    assert all(torch.equal(states[0][k], other[k]) for other in states[1:] for k in states[0])
    assert sum(p.numel() for p in networks[0].parameters()) == 12_697_264


def test_clips_become_400_logits_each_by_itself() -> None:
    network = i3d.load(public("piergiaj"))
    clips = torch.rand(2, 3, 9, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        both, alone = network(clips), network(clips[1:])
    assert both.shape == (2, 400)
    assert torch.allclose(both[1:], alone, atol=1e-4)
    assert (both[0] - both[1]).abs().max() > 1e-3


def test_batch_norm_is_tensorflows_or_as_asked() -> None:
    state = public("piergiaj")
    # A variance of 1e-3 in the first layer: its outputs are those of eps 1e-5 times sqrt((1e-3 + 1e-5) / (1e-3 + 1e-3)).
    state["Conv3d_1a_7x7.bn.running_var"] = torch.full((64,), 1e-3)
    state["Conv3d_1a_7x7.bn.bias"] = torch.zeros(64)
    tensorflow, other = i3d.load(state), i3d.load(state, 1e-5)
    for network, eps in ((tensorflow, 1e-3), (other, 1e-5)):
        assert {m.eps for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d)} == {eps}
    x = torch.rand(1, 3, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        a, b = (network.stem["1a"](x) for network in (tensorflow, other))
    assert a.abs().max() > 1e-2
    assert torch.allclose(a, b * ((1e-3 + 1e-5) / 2e-3) ** 0.5, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3, 8, 224, 224), (1, 3, 16, 128, 128), (1, 1, 16, 224, 224), (3, 16, 224, 224)])
def test_other_sizes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="I3D takes"):
        i3d.I3D()(torch.zeros(shape))


def test_padding_is_tensorflows_same() -> None:
    # Seven wide in steps of 2 over 10: 5 positions need 15, so 2 in front and 3 behind.
    x = torch.arange(10.0).reshape(1, 1, 10, 1, 1)
    padded = i3d._same(x, (7, 1, 1), (2, 1, 1))
    assert padded.flatten().tolist() == [0, 0, *range(10), 0, 0, 0]
    assert F.max_pool3d(padded, (7, 1, 1), (2, 1, 1)).shape[2] == 5
    assert i3d._same(x, (1, 1, 1), (2, 1, 1)) is x


def test_what_does_not_fit_is_named() -> None:
    weights = public("piergiaj")
    with pytest.raises(ConfigError, match=r"unknown tensor head\.weight"):
        i3d.load({**weights, "head.weight": torch.zeros(1)})
    with pytest.raises(ConfigError, match=r"Mixed_3b\.b0\.conv3d\.weight has shape"):
        i3d.load({**weights, "Mixed_3b.b0.conv3d.weight": torch.zeros(1)})
    weights.pop("logits.conv3d.bias")
    with pytest.raises(ConfigError, match=r"1 tensors are missing, logits\.bias first"):
        i3d.load(weights)
