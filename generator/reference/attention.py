"""Attention: the softmax kernel, rotary positions, and the two attention layers of a transformer block.

Shapes: B clips, N tokens to update, M tokens to attend to, D width, d = D / heads.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Rope = tuple[Tensor, Tensor]
"""Cosines and signed sines (N, d) of rotary positions: those of the first half of the features, then of the second."""
KeysValues = tuple[Tensor, Tensor]
"""Keys and values of encoded words, each (B, heads, M, d)."""
_PLAIN_PRODUCTS = {torch.float32: 256 * 256, torch.bfloat16: 640 * 640}
"""Largest N M at which plain products are used on a CPU. With N = M = 320, a fused forward and backward pass takes 60 ms in bfloat16, a
plain one 42; in float32 44 and 55."""
_ROPE_BASE = 100.0


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention of q (B, heads, N, d) over k, v (B, heads, M, d); mask (B, M) is False for padding.

    Short sequences on the CPU are faster as plain products: there, the fused kernel's backward pass takes a third of a training step.
    """
    if q.device.type == "cpu" and q.shape[2] * k.shape[2] <= _PLAIN_PRODUCTS.get(q.dtype, 0):
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # (B, heads, N, M)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None], -1e4)
        out: Tensor = scores.softmax(dim=-1).to(v.dtype) @ v  # (B, heads, N, d)
        return out
    return F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask[:, None, None])


class SelfAttention(nn.Module):
    """Multi-head self-attention, optionally with QK-norm (arXiv:2302.05442)."""

    def __init__(self, width: int, heads: int, qk_norm: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_norm, self.k_norm = (nn.RMSNorm(width // heads) if qk_norm else nn.Identity() for _ in range(2))
        self.proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None, rope: Rope | None = None) -> Tensor:
        """(B, N, D) to (B, N, D). mask: (B, N), False for padding. rope: positions of the tokens, of `rope_angles`."""
        b, n, d = x.shape
        qk, v = (
            self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4).split((2, 1))
        )  # (2 and 1, B, heads, N, d)
        # Queries and keys go through norms and rotation as one: on a CPU, calls cost as much as products at this size.
        if isinstance(self.q_norm, nn.RMSNorm) and isinstance(self.k_norm, nn.RMSNorm):
            weights = torch.stack([self.q_norm.weight, self.k_norm.weight]).to(qk.dtype)  # (2, d)
            qk = F.rms_norm(qk, qk.shape[-1:]) * weights[:, None, None, None]
        if rope is not None:
            qk = apply_rope(qk, rope)
        out: Tensor = self.proj(attention(qk[0], qk[1], v[0], mask).transpose(1, 2).reshape(b, n, d))
        return out


class CrossAttention(nn.Module):
    """Multi-head attention from video tokens to text tokens, with QK-norm.

    Keys and values depend on the text alone: sampling computes them once for all its steps.
    """

    def __init__(self, width: int, text_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(text_width, 2 * width, bias=False)
        self.q_norm, self.k_norm = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        self.proj = nn.Linear(width, width, bias=False)

    def keys_values(self, text: Tensor) -> KeysValues:
        """Return keys and values (B, heads, M, d) of encoded words (B, M, W)."""
        b, m, _ = text.shape
        k, v = self.kv(text).reshape(b, m, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.k_norm(k), v

    def forward(self, x: Tensor, text: KeysValues, mask: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D). text: of `keys_values`. mask: (B, M), False for padding."""
        b, n, d = x.shape
        q = self.q_norm(self.q(x).reshape(b, n, self.heads, -1)).transpose(1, 2)  # (B, heads, N, d)
        out: Tensor = self.proj(attention(q, *text, mask).transpose(1, 2).reshape(b, n, d))
        return out


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def rope_angles(k: int, rows: int, columns: int, width: int, device: torch.device) -> Rope:
    """Return cosines and signed sines (N, width) for a grid of N = k rows columns patches: a third of the pairs per axis.

    Time counts from the first chunk, height and width from the middle of the frame, so that any grid can be sampled.
    """
    third = width // 6
    frequencies = _ROPE_BASE ** -(torch.arange(third, device=device) / third)
    t = torch.arange(k, device=device).float()
    y = torch.arange(rows, device=device) - (rows - 1) / 2
    x = torch.arange(columns, device=device) - (columns - 1) / 2
    grid = torch.cartesian_prod(t, y, x) if k * rows * columns > 1 else torch.stack([t[0], y[0], x[0]])[None]  # (N, 3)
    angles = (grid[:, :, None] * frequencies).flatten(1)  # (N, 3 * third)
    angles = F.pad(angles, (0, width // 2 - angles.shape[1]))
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def apply_rope(x: Tensor, rope: Rope) -> Tensor:
    """Rotate pairs of features (B, heads, N, d) by the angles of their positions (RoFormer, arXiv:2104.09864)."""
    cos, sin = (part.to(x.dtype) for part in rope)
    a, b = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat([b, a], dim=-1), sin)
