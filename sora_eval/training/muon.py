"""Muon: momentum whose update is made orthogonal (Jordan 2024), for matrices and, flattened, for convolutions.

torch.optim.Muon takes matrices only, one at a time. Here matrices of one shape go through the Newton-Schulz iteration as one batch, which
is what a small network on a CPU wants.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum and orthogonal updates, decoupled weight decay.

    The rate is that of a square matrix; a tall one gets sqrt(rows / columns) of it, so that outputs change by as much.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(list(params), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, params in shapes.items():
                grads = [p.grad for p in params if p.grad is not None]
                momenta = [self._momentum(p) for p in params]
                torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
                ahead = torch._foreach_lerp(grads, momenta, group["momentum"])
                rows, columns = shape[0], shape.numel() // shape[0]
                updates = _shared_out(torch.stack([a.reshape(rows, columns) for a in ahead]))
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(params, [u.reshape(shape) for u in updates.to(params[0].dtype)], alpha=-rate)

    def _momentum(self, p: Tensor) -> Tensor:
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        momentum: Tensor = state["momentum"]
        return momentum


def _shared_out(x: Tensor) -> Tensor:
    """Return `orthogonal(x)`; processes that train together do a part each."""
    if not (dist.is_available() and dist.is_initialized()):
        return orthogonal(x)
    world, rank = dist.get_world_size(), dist.get_rank()
    per = -(-len(x) // world)
    own = torch.zeros(per, *x.shape[1:])
    part = x[rank * per : (rank + 1) * per]
    if len(part):
        own[: len(part)] = orthogonal(part).float()
    parts = [torch.empty_like(own) for _ in range(world)]
    dist.all_gather(parts, own)
    return torch.cat(parts)[: len(x)].to(x.device)


def product_dtype(where: torch.device) -> torch.dtype:
    """Return the type in which matrix products are fast: bfloat16 on a GPU and on a CPU with instructions for it, else float32.

    Without them a product in bfloat16 is emulated, at a hundredth of the rate of one in float32.
    """
    fast = where.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def orthogonal(x: Tensor) -> Tensor:
    """Return matrices [N, R, C] with their singular values moved to about 1, by the quintic Newton-Schulz iteration."""
    a, b, c = _QUINTIC
    flat = x.shape[1] > x.shape[2]
    y = (x.mT if flat else x).to(product_dtype(x.device))
    y = y / (y.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = y @ y.mT
        y = torch.baddbmm(y, torch.baddbmm(square, square, square, beta=b, alpha=c), y, beta=a)
    orthogonalised: Tensor = y.mT if flat else y
    return orthogonalised
