"""A small training: a network with dropout and batch statistics, random augmentation, a shuffled loader."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Network(nn.Module):
    """Predicts the noise of small frames; its dropout and batch statistics depend on the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Dropout(0.2), nn.Conv2d(8, 3, 3, padding=1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)  # type: ignore[no-any-return]

    def sample(
        self, prompt: str, *, height: int, width: int, frames: int, fps: float, seed: int, conditioning: Any
    ) -> Any:
        """Return frames uint8 [T, H, W, 3] from this network, as carelessly as users do: with global generators."""
        assert not self.training and not self.layers[1].training and not torch.is_grad_enabled()
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        made = self(torch.randn(frames, 3, height, width) + random.random() + np.random.rand())
        return ((made.sigmoid().permute(0, 2, 3, 1)) * 255).byte().numpy()


def seeded() -> None:
    """Seed all generators."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def loader() -> DataLoader[Any]:
    """Return batches of frames in an order that the global generator decides."""
    data = torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return DataLoader(TensorDataset(data), batch_size=4, shuffle=True)


def loss_of(network: nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """Return the loss of one step: noise from torch, a flip from Python, a gain from NumPy."""
    if random.random() < 0.5:
        frames = frames.flip(-1)
    noise = torch.randn_like(frames)
    return nn.functional.mse_loss(network(frames * float(np.random.uniform(0.8, 1.2)) + noise), noise)


def random_states() -> list[Any]:
    """Return a draw of each generator, for comparison."""
    return [random.random(), float(np.random.rand()), torch.rand(3).tolist()]
