"""`world-video`: a small space-time network whose features say what is in a clip of the world, and how it moves.

It was trained on clips of the world to tell from 64 numbers (a) where each of the eight colours is in every frame, and how large, so
that trajectories, collisions, vanishings and gravity are in them; (b) which kind of scene it is; (c) whether and how much frames are
blurred, noisy, held, shuffled or run backwards. Arrow and order of time are the classical tasks of self-supervised video learning
(Misra et al. 2016, arXiv:1603.08561; Wei et al. 2018). Compression, wrong gravity and vanishing things are not trained on: they test it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

SIDE, FRAMES, FEATURES = 64, 16, 64
DAMAGES: tuple[str, ...] = ("blur", "noise", "held", "shuffled", "backwards")
_GROUPS = 8


@dataclass(frozen=True)
class WorldVideoConfig:
    """Widths at 1/2, 1/4, 1/8 and 1/16 of the frame; features; kinds of scenes; colours."""

    widths: tuple[int, int, int, int] = (24, 48, 96, 128)
    features: int = FEATURES
    scenes: int = 24
    colours: int = 8


class Space(nn.Module):
    """Half the size of every frame: 3x3 convolution, norm, SiLU."""

    def __init__(self, inside: int, outside: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, 2, kernel // 2)
        self.norm = nn.GroupNorm(_GROUPS, outside)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C, H, W] to [B, T, C', H/2, W/2]."""
        b, t = x.shape[:2]
        y = F.silu(self.norm(self.conv(x.flatten(0, 1))))
        return y.reshape(b, t, *y.shape[1:])


class Time(nn.Module):
    """Adds to every place what a convolution over three frames finds there; with stride 2, half the frames."""

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(width, width, (3, 1, 1), (stride, 1, 1), (1, 0, 0))
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C, H, W] to [B, T / stride, C, H, W]."""
        y = F.silu(self.norm(self.conv(x.transpose(1, 2)))).transpose(1, 2)
        return x[:, :: self.stride] + y


class WorldVideo(nn.Module):
    """The network, with the heads that it is trained by."""

    def __init__(self, config: WorldVideoConfig = WorldVideoConfig()) -> None:
        super().__init__()
        self.config = config
        a, b, c, d = config.widths
        self.body = nn.Sequential(
            Space(3, a, 5), Time(a), Space(a, b), Time(b), Space(b, c), Time(c, 2), Space(c, d), Time(d), Time(d, 2)
        )
        places = (FRAMES // 4) * (SIDE // 16) ** 2
        self.squeeze = nn.Linear(d * places, config.features)
        self.standard = nn.BatchNorm1d(config.features, affine=False, momentum=0.02)
        self.heads = nn.ModuleDict(
            {
                "scene": nn.Linear(config.features, config.scenes),
                "damage": nn.Linear(config.features, len(DAMAGES)),
                "states": nn.Sequential(
                    nn.Linear(config.features, 512), nn.SiLU(), nn.Linear(512, config.colours * FRAMES * 3)
                ),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, 64], each with mean 0 and spread 1 over clips of the world, of clips [B, 3, 16, 64, 64] in -1..1."""
        y = self.body(x.transpose(1, 2))  # [B, 4, d, 4, 4]
        found: Tensor = self.standard(self.squeeze(y.flatten(1)).float())
        return found

    def judged(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scene logits [B, S], severities of damages [B, 5], and states [B, 8, 16, 3]: root of the area's share, x, y in 0..1."""
        states = self.heads["states"](features).reshape(len(features), self.config.colours, FRAMES, 3)
        return self.heads["scene"](features), self.heads["damage"](features), states
