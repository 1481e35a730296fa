"""The diffusion transformer: noisy spacetime patches, noise levels and a text to clean patches.

Full attention over all patches of a clip, with rotary positions in time, height and width, and an absolute position embedding beside
them: rotary positions are relative, and in pure noise no patch could know that it is on the left. QK-norm, SwiGLU, adaLN-single (one
modulation for all blocks plus a small table for each, PixArt-alpha, arXiv:2310.00426). Every chunk has its own noise level (Diffusion
Forcing, arXiv:2407.01392), so that any part of a clip can be given as conditioning. The text has an attention of its own: sharing one
softmax with the patches loses the binding of words.

Shapes: B clips, K chunks of four frames, S patches per chunk, D width, P values per patch; L words of W values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.generator.reference.attention import CrossAttention, Rope, SelfAttention, rope_angles
from sora_eval.generator.reference.autoencoder import CHUNK
from sora_eval.generator.reference.text import LENGTH, EncodedText, TextEncoder

PATCH = 2
"""Latent positions per patch, across and down."""
GROUNDING = 6
"""Outputs of the grounding head: x, y and size in the first and in the last frame."""
_POSITION_FREQUENCIES = 3
_T_EMBED = 128


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the network."""

    channels: int = 16
    """Channels of the latent."""
    width: int = 192
    """Values per patch inside the blocks."""
    depth: int = 6
    """Blocks."""
    heads: int = 4
    """Attention heads."""
    text_width: int = 128
    """Values per word in the text encoder."""
    text_depth: int = 2
    """Blocks of the text encoder."""
    text_length: int = LENGTH
    """Words and stops of the longest text."""
    words: int = 512
    """Size of the vocabulary."""
    actions: int = 6
    """Kinds of actions, "none" among them."""


class Transformer(nn.Module):
    """Predicts the clean latent of a clip."""

    def __init__(self, config: TransformerConfig) -> None:
        # The order of these lines is the order of an optimiser's state: new modules go to the end.
        super().__init__()
        self.config = config
        d, patch = config.width, config.channels * PATCH**2
        self.text_encoder = TextEncoder(
            config.words, config.text_width, config.text_depth, config.heads, config.text_length, pooled=d
        )
        self.patch_embed = nn.Linear(patch, d)
        self.pos_embed = nn.Linear(4 * _POSITION_FREQUENCIES, d, bias=False)
        self.grounding_head = nn.Linear(config.text_width, GROUNDING)
        self.t_embed = nn.Sequential(nn.Linear(_T_EMBED, d), nn.SiLU(), nn.Linear(d, d))
        self.action_embed = nn.Parameter(torch.zeros(CHUNK, config.actions, d))
        self.adaln = nn.Linear(d, 6 * d)
        self.blocks = nn.ModuleList(Block(d, config.heads, config.text_width) for _ in range(config.depth))
        self.final_layer = FinalLayer(d, patch)
        _zero(self.adaln)

    def forward(self, z: Tensor, t: Tensor, given: Tensor, ids: Tensor, actions: Tensor | None = None) -> Tensor:
        """Return the clean latent, the shape of `z`.

        z: (B, K, C, h, w) noisy latents, clean where given. t: (B, K) noise levels, 0 is noise and 1 is clean. given: (B, K), True for
        conditioning chunks. ids: (B, L) words. actions: (B, K, 4) index per frame, or None for none.
        """
        return self.denoise(z, t, given, self.text_encoder(ids), actions)

    def denoise(self, z: Tensor, t: Tensor, given: Tensor, text: EncodedText, actions: Tensor | None = None) -> Tensor:
        """Return the clean latent for an encoded text: sampling encodes it once."""
        b, k, _, h, w = z.shape
        rows, columns = h // PATCH, w // PATCH
        x = self.patch_embed(patchify(z)) + self.pos_embed(position_waves(rows, columns, z.device))  # (B, K, S, D)
        c = self.t_embed(timestep_waves(t, _T_EMBED).to(x.dtype)) + text.pooled[:, None]  # (B, K, D)
        if actions is not None:
            c = c + embed_actions(self.action_embed, actions)
        c = F.silu(c)
        adaln = self.adaln(c).reshape(b, k, 1, 6, -1)  # (B, K, 1, 6, D)
        rope = rope_angles(k, rows, columns, self.config.width // self.config.heads, z.device)
        for block in self.blocks:
            x = block(x, adaln, text, rope)  # (B, K, S, D)
        nearest = patchify(nearest_given(z, given))  # (B, K, S, P)
        patches = self.final_layer(x, c, nearest, given.any(dim=1))  # (B, K, S, P)
        return unpatchify(patches, h, w)


class Block(nn.Module):
    """Self-attention over all patches, attention to the text, SwiGLU; adaLN on the first and the last."""

    def __init__(self, width: int, heads: int, text_width: int) -> None:
        super().__init__()
        self.adaln_table = nn.Parameter(torch.zeros(6, width))
        self.norm1 = nn.RMSNorm(width, elementwise_affine=False)
        self.norm2 = nn.RMSNorm(width)
        self.norm3 = nn.RMSNorm(width, elementwise_affine=False)
        self.attn = SelfAttention(width, heads, qk_norm=True)
        self.cross_attn = CrossAttention(width, text_width, heads)
        self.mlp = SwiGLU(width, round(width * 8 / 3 / 32) * 32)
        for last in (self.attn.proj, self.cross_attn.proj, self.mlp.down):
            nn.init.normal_(last.weight, std=0.02 * width**-0.5)

    def forward(self, x: Tensor, adaln: Tensor, text: EncodedText, rope: Rope) -> Tensor:
        """(B, K, S, D) to (B, K, S, D). adaln: (B, K, 1, 6, D), shared by all blocks. rope: positions of the K S patches."""
        scale1, shift1, gate1, scale2, shift2, gate2 = (adaln + self.adaln_table).unbind(dim=3)  # each (B, K, 1, D)
        y = modulate(self.norm1(x), scale1, shift1).flatten(1, 2)  # (B, K S, D)
        x = x + (1 + gate1) * self.attn(y, rope=rope).reshape(x.shape)
        y = self.norm2(x).flatten(1, 2)
        x = x + self.cross_attn(y, text.words, text.mask).reshape(x.shape)
        out: Tensor = x + (1 + gate2) * self.mlp(modulate(self.norm3(x), scale2, shift2))
        return out


class SwiGLU(nn.Module):
    """Gated feed-forward layer (arXiv:2002.05202)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        out: Tensor = self.down(F.silu(gate) * up)
        return out


class FinalLayer(nn.Module):
    """Tokens to clean patches, blended with the nearest given chunk: patches + copy_gate * (nearest - patches).

    The gate copies what stands still. As a share of the difference: added to what is drawn, a copy would have no gradient where that is
    right on average.
    """

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.adaln = nn.Linear(width, 2 * width)
        self.patch_out, self.copy_gate = nn.Linear(width, patch), nn.Linear(width, patch)
        _zero(self.adaln, self.patch_out, self.copy_gate)

    def forward(self, x: Tensor, c: Tensor, nearest: Tensor, any_given: Tensor) -> Tensor:
        """(B, K, S, D) to (B, K, S, P). c: (B, K, D). nearest: (B, K, S, P). any_given: (B,), whether the clip has a given chunk."""
        scale, shift = self.adaln(c)[:, :, None].chunk(2, dim=-1)  # each (B, K, 1, D)
        x = modulate(self.norm(x), scale, shift)
        patches = self.patch_out(x)
        difference = (nearest - patches) * any_given[:, None, None, None]
        out: Tensor = patches + self.copy_gate(x) * difference
        return out


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift normalised tokens, as adaLN does."""
    return x * (1 + scale) + shift


def nearest_given(z: Tensor, given: Tensor) -> Tensor:
    """Return for each chunk of z (B, K, C, h, w) the nearest one that is given (B, K), the earlier of two; any where none is.

    Copied through the final layer: through attention alone, and through the input as well, what stands still was drawn anew.
    """
    k = torch.arange(z.shape[1], device=z.device)
    distance = (k[:, None] - k).abs() + 0.5 * (k > k[:, None])  # (K, K), from a chunk to another
    index = distance.expand(len(z), -1, -1).masked_fill(~given[:, None], torch.inf).argmin(dim=-1)  # (B, K)
    return z[torch.arange(len(z), device=z.device)[:, None], index]


def patchify(z: Tensor) -> Tensor:
    """(B, K, C, h, w) to patches (B, K, S, P), S = h / 2 * w / 2, P = 4 C."""
    b, k, c, h, w = z.shape
    cells = z.reshape(b, k, c, h // PATCH, PATCH, w // PATCH, PATCH)
    return cells.permute(0, 1, 3, 5, 2, 4, 6).reshape(b, k, -1, c * PATCH**2)


def unpatchify(x: Tensor, h: int, w: int) -> Tensor:
    """Undo `patchify`: (B, K, S, P) to (B, K, C, h, w)."""
    b, k, _, p = x.shape
    cells = x.reshape(b, k, h // PATCH, w // PATCH, p // PATCH**2, PATCH, PATCH)
    return cells.permute(0, 1, 4, 2, 5, 3, 6).reshape(b, k, -1, h, w)


def timestep_waves(t: Tensor, width: int) -> Tensor:
    """Return sinusoids (..., width) of noise levels in 0..1."""
    frequencies = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = 1000 * t[..., None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def position_waves(rows: int, columns: int, device: torch.device) -> Tensor:
    """Return sinusoids (S, 12) of the position of each patch in the frame."""
    y = (2 * torch.arange(rows, device=device) + 1) / rows - 1
    x = (2 * torch.arange(columns, device=device) + 1) / columns - 1
    yx = torch.cartesian_prod(y, x).reshape(-1, 2, 1)  # (S, 2, 1) in -1..1
    angles = yx * (math.pi / 2) * 2.0 ** torch.arange(_POSITION_FREQUENCIES, device=device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


def embed_actions(table: Tensor, actions: Tensor) -> Tensor:
    """Sum the embeddings of the actions of a chunk's frames: (B, K, 4) to (B, K, D)."""
    frame = torch.arange(table.shape[0], device=actions.device)
    return table[frame, actions].sum(dim=-2)


def _zero(*layers: nn.Linear) -> None:
    for layer in layers:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
