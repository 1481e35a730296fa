"""The diffusion transformer: noisy spacetime patches, their noise levels and a text to clean patches.

Full attention over all patches of a clip, three-dimensional rotary positions (time from the first chunk on, height and width
from the middle, so that any grid can be asked for), and a little of where in the frame a patch is: rotary positions tell what lies beside
what, and in pure noise no patch could know that it is on the left. QK-norm, SwiGLU, AdaLN shared by all blocks plus a small table for each
(PixArt-alpha, arXiv:2310.00426). Every chunk has its own noise level (Diffusion Forcing, arXiv:2407.01392), so that any part of a clip
can be given. The text has an attention of its own: sharing one softmax with the patches loses the binding of words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.generator.reference.autoencoder import CHUNK
from sora_eval.generator.reference.text import LENGTH, TextEncoder, attend

_PLACE_WAVES = 3
TOLD = 6
"""What the words are taught to tell of a colour's thing: x, y and size in the first and in the last frame."""
PATCH = 2
"""Latent positions per patch, across and down."""


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes: latent channels, width, depth, heads; text width, depth and longest text; words; kinds of actions."""

    channels: int = 16
    width: int = 192
    depth: int = 6
    heads: int = 4
    text_width: int = 128
    text_depth: int = 2
    text_length: int = LENGTH
    words: int = 512
    actions: int = 6


class Transformer(nn.Module):
    """Predicts the clean latent of a clip."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        d, patch = config.width, config.channels * PATCH**2
        self.text = TextEncoder(
            config.words, config.text_width, config.text_depth, config.heads, config.text_length, pooled=d
        )
        self.enter = nn.Linear(patch, d)
        self.place = nn.Linear(4 * _PLACE_WAVES, d, bias=False)
        self.told = nn.Linear(config.text_width, TOLD)
        self.level = nn.Sequential(nn.Linear(128, d), nn.SiLU(), nn.Linear(d, d))
        self.action = nn.Parameter(torch.zeros(CHUNK, config.actions, d))
        self.modulate = nn.Linear(d, 6 * d)
        self.blocks = nn.ModuleList(Block(d, config.heads, config.text_width) for _ in range(config.depth))
        self.last_norm = nn.RMSNorm(d, elementwise_affine=False)
        self.last_table = nn.Linear(d, 2 * d)
        self.leave, self.keep = nn.Linear(d, patch), nn.Linear(d, patch)
        for zero in (self.modulate, self.last_table, self.leave, self.keep):
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)

    def forward(self, z: Tensor, t: Tensor, ids: Tensor, actions: Tensor | None = None) -> Tensor:
        """Return the clean latent, the shape of `z`.

        z: [B, K, C, h, w] noisy latents. t: [B, K] noise levels, 0 is noise and 1 is clean: a chunk at 1 is given. ids: [B, L] words.
        actions: [B, K, 4] index per frame, or None for none.
        """
        return self.denoise(z, t, self.text(ids), actions)

    def denoise(
        self, z: Tensor, t: Tensor, text: tuple[Tensor, Tensor, Tensor], actions: Tensor | None = None
    ) -> Tensor:
        """Return the clean latent for a text that was encoded before: sampling encodes it once."""
        b, k, _, h, w = z.shape
        words, known, pooled = text
        x = self.enter(patches(z)) + self.place(_places(h // PATCH, w // PATCH, z.device))  # [B, K, S, D]
        level = self.level(_waves(t, 128).to(x.dtype)) + pooled[:, None]  # [B, K, D]
        if actions is not None:
            level = level + _acted(self.action, actions)
        level = F.silu(level)
        shared = self.modulate(level).reshape(b, k, 1, 6, -1)  # [B, K, 1, 6, D]
        turn = rotations(k, h // PATCH, w // PATCH, self.config.width // self.config.heads, z.device)
        for block in self.blocks:
            x = block(x, shared, words, known, turn)
        scale, shift = self.last_table(level)[:, :, None].chunk(2, dim=-1)
        x = self.last_norm(x) * (1 + scale) + shift
        found, given = self.leave(x), t >= 1  # [B, K, S, patch]
        # As a share of the difference: added to what is drawn, what is kept would have no gradient where that is right on average.
        apart = (patches(nearest(z, given)) - found) * given.any(dim=1)[:, None, None, None]
        return unpatch(found + self.keep(x) * apart, h, w)


class Block(nn.Module):
    """Self-attention, text attention, SwiGLU."""

    def __init__(self, width: int, heads: int, text_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.table = nn.Parameter(torch.zeros(6, width))
        self.norm1 = nn.RMSNorm(width, elementwise_affine=False)
        self.norm2 = nn.RMSNorm(width)
        self.norm3 = nn.RMSNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_norm, self.k_norm = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        self.out = nn.Linear(width, width, bias=False)
        self.text_q = nn.Linear(width, width, bias=False)
        self.text_kv = nn.Linear(text_width, 2 * width, bias=False)
        self.text_q_norm, self.text_k_norm = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        self.text_out = nn.Linear(width, width, bias=False)
        hidden = round(width * 8 / 3 / 32) * 32
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        for small in (self.out, self.text_out, self.down):
            nn.init.normal_(small.weight, std=0.02 * width**-0.5)

    def forward(self, x: Tensor, shared: Tensor, words: Tensor, known: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Return [B, K, S, D]."""
        b, k, s, d = x.shape
        scale1, shift1, gate1, scale2, shift2, gate2 = (shared + self.table).unbind(dim=3)  # each [B, K, 1, D]

        y = (self.norm1(x) * (1 + scale1) + shift1).reshape(b, k * s, d)
        q, key, v = self.qkv(y).reshape(b, k * s, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # [B, heads, N, d]
        q, key = rotate(self.q_norm(q), turn), rotate(self.k_norm(key), turn)
        seen = attend(q, key, v)
        x = x + (1 + gate1) * self.out(seen.transpose(1, 2).reshape(b, k, s, d))

        q = self.text_q_norm(self.text_q(self.norm2(x)).reshape(b, k * s, self.heads, -1)).transpose(1, 2)
        key, v = self.text_kv(words).reshape(b, -1, 2, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        read = attend(q, self.text_k_norm(key), v, known)
        x = x + self.text_out(read.transpose(1, 2).reshape(b, k, s, d))

        gate, up = self.gate_up(self.norm3(x) * (1 + scale2) + shift2).chunk(2, dim=-1)
        found: Tensor = x + (1 + gate2) * self.down(F.silu(gate) * up)
        return found


def nearest(z: Tensor, given: Tensor) -> Tensor:
    """Return for each chunk of z [B, K, C, h, w] the nearest one that is given [B, K], the earlier of two; any where none is.

    What stands still is copied from it. Through attention alone, and through the input as well, it was drawn anew.
    """
    k = torch.arange(z.shape[1], device=z.device)
    apart = (k[:, None] - k).abs() + 0.5 * (k > k[:, None])  # [K, K], from a chunk to another
    chosen = apart.expand(len(z), -1, -1).masked_fill(~given[:, None], torch.inf).argmin(dim=-1)  # [B, K]
    return z[torch.arange(len(z), device=z.device)[:, None], chosen]


def patches(z: Tensor) -> Tensor:
    """[B, K, C, h, w] to patches [B, K, S, 4C], S = h / 2 * w / 2."""
    b, k, c, h, w = z.shape
    cells = z.reshape(b, k, c, h // PATCH, PATCH, w // PATCH, PATCH)
    return cells.permute(0, 1, 3, 5, 2, 4, 6).reshape(b, k, -1, c * PATCH**2)


def unpatch(x: Tensor, h: int, w: int) -> Tensor:
    """Undo `patches`: [B, K, S, 4C] to [B, K, C, h, w]."""
    b, k, _, p = x.shape
    cells = x.reshape(b, k, h // PATCH, w // PATCH, p // PATCH**2, PATCH, PATCH)
    return cells.permute(0, 1, 4, 2, 5, 3, 6).reshape(b, k, -1, h, w)


def rotations(k: int, rows: int, columns: int, width: int, where: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosines and sines [N, width / 2] of rotary positions: a third of the pairs each for time, height and width."""
    third = width // 6
    frequencies = 100.0 ** -(torch.arange(third, device=where) / third)
    t = torch.arange(k, device=where).float()
    y = torch.arange(rows, device=where) - (rows - 1) / 2
    x = torch.arange(columns, device=where) - (columns - 1) / 2
    grid = torch.cartesian_prod(t, y, x) if k * rows * columns > 1 else torch.stack([t[0], y[0], x[0]])[None]
    angles = (grid[:, :, None] * frequencies).flatten(1)  # [N, 3 * third]
    angles = F.pad(angles, (0, width // 2 - angles.shape[1]))
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn pairs of features [B, heads, N, d] by the angles of their positions (RoFormer, arXiv:2104.09864)."""
    cos, sin = (part.to(x.dtype) for part in turn)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def _waves(t: Tensor, width: int) -> Tensor:
    """Return sinusoids [..., width] of noise levels in 0..1."""
    frequencies = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = 1000 * t[..., None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _places(rows: int, columns: int, where: torch.device) -> Tensor:
    """Return sinusoids [S, 12] of where in the frame each patch is: rotary positions tell only what is beside what."""
    y = (2 * torch.arange(rows, device=where) + 1) / rows - 1
    x = (2 * torch.arange(columns, device=where) + 1) / columns - 1
    at = torch.cartesian_prod(y, x).reshape(-1, 2, 1)  # [S, 2, 1] in -1..1
    angles = at * (math.pi / 2) * 2.0 ** torch.arange(_PLACE_WAVES, device=where)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _acted(table: Tensor, actions: Tensor) -> Tensor:
    """Sum the embeddings of the actions of a chunk's frames: [B, K, 4] to [B, K, D]."""
    frame = torch.arange(table.shape[0], device=actions.device)
    return table[frame, actions].sum(dim=-2)
