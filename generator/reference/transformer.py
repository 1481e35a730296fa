"""The diffusion transformer: noisy spacetime patches, noise levels and a text to clean patches.

Full attention over all patches of a clip, with rotary positions in time, height and width, and an absolute position embedding beside
them: rotary positions are relative, and in pure noise no patch could know that it is on the left. QK-norm, SwiGLU, adaLN-single (one
modulation for all blocks plus a small table for each, PixArt-alpha, arXiv:2310.00426). Every chunk has its own noise level (Diffusion
Forcing, arXiv:2407.01392), so that any part of a clip can be given as conditioning. The text has an attention of its own: sharing one
softmax with the patches loses the binding of words.

Optionally an hourglass (HDiT, arXiv:2401.11605): fine blocks at single latent positions, 8 x 8 pixels, before and after the trunk. Objects
are 8 to 12 pixels wide: a patch of 16 holds parts of several, and what crosses its border has to be redrawn.

Shapes: B clips, K chunks of four frames, S patches per chunk, D width, P values per patch; L words of W values; in the fine blocks 4
positions per patch of F values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.generator.reference.attention import CrossAttention, KeysValues, Rope, SelfAttention, rope_angles
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
    camera: int = 0
    """Numbers per frame of a camera pose; 0 for a network that reads none."""
    fine_width: int = 128
    """Values per latent position inside the fine blocks."""
    fine_heads: int = 2
    """Attention heads of the fine blocks: few, because the products of a head cost memory traffic as a whole."""
    fine_depth: tuple[int, int] = (0, 0)
    """Fine blocks before and after the others; (0, 0) for none."""


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
        self.fine: FineBlocks | None = FineBlocks(config) if any(config.fine_depth) else None
        self.camera_embed = nn.Linear(CHUNK * config.camera, d) if config.camera else None
        _zero(self.adaln, *([self.camera_embed] if self.camera_embed else []))

    def forward(self, z: Tensor, t: Tensor, given: Tensor, ids: Tensor, actions: Tensor | None = None) -> Tensor:
        """Return the clean latent, the shape of `z`.

        z: (B, K, C, h, w) noisy latents, clean where given. t: (B, K) noise levels, 0 is noise and 1 is clean. given: (B, K), True for
        conditioning chunks. ids: (B, L) words. actions: (B, K, 4) index per frame, or None for none.
        """
        return self.denoise(z, t, given, self.text_encoder(ids), actions)

    def keys_values(self, text: EncodedText) -> list[KeysValues]:
        """Return keys and values of a text for each block: sampling computes them once."""
        return [block.text_keys_values(text) for block in self.blocks if isinstance(block, Block)]

    def denoise(
        self,
        z: Tensor,
        t: Tensor,
        given: Tensor,
        text: EncodedText,
        actions: Tensor | None = None,
        camera: Tensor | None = None,
        keys_values: Sequence[KeysValues] | None = None,
    ) -> Tensor:
        """Return the clean latent for an encoded text.

        camera: (B, K, 4, 8) poses per frame, all 0 where none is given; None for none. keys_values: of the method of that name, None to
        compute them.
        """
        if keys_values is None:
            keys_values = self.keys_values(text)
        b, k, _, h, w = z.shape
        rows, columns = h // PATCH, w // PATCH
        cells = patchify(z)  # (B, K, S, P)
        x = self.patch_embed(cells) + self.pos_embed(position_waves(rows, columns, z.device))  # (B, K, S, D)
        c = self.t_embed(timestep_waves(t, _T_EMBED).to(x.dtype)) + text.pooled[:, None]  # (B, K, D)
        if actions is not None:
            c = c + embed_actions(self.action_embed, actions)
        if camera is not None and self.camera_embed is not None:
            c = c + self.camera_embed(camera.flatten(2))
        c = F.silu(c)
        if self.fine is not None:
            fine = self.fine.encode(cells, c, k, rows, columns)  # (B, K, S, 4, F)
            x = x + self.fine.merge(fine.flatten(3))
        adaln = self.adaln(c).reshape(b, k, 1, 6, -1)  # (B, K, 1, 6, D)
        rope = rope_angles(k, rows, columns, self.config.width // self.config.heads, z.device)
        for block, text_keys_values in zip(self.blocks, keys_values, strict=True):
            x = block(x, adaln, rope, text_keys_values, text.mask)  # (B, K, S, D)
        patches, gate = self.final_layer(x, c)  # each (B, K, S, P)
        if self.fine is not None:
            fine_patches, fine_gate = self.fine.decode(fine, x, c, k, rows, columns)
            patches, gate = patches + fine_patches, gate + fine_gate
        nearest = patchify(nearest_given(z, given))  # (B, K, S, P)
        # The gate copies what stands still. As a share of the difference: added to what is drawn, a copy would have no gradient where
        # that is right on average.
        difference = (nearest - patches) * given.any(dim=1)[:, None, None, None]
        return unpatchify(patches + gate * difference, h, w)


class Block(nn.Module):
    """Self-attention over all patches, attention to the text, SwiGLU; adaLN on the first and the last.

    text_width: values per word; 0 for a block that reads no text.
    """

    def __init__(self, width: int, heads: int, text_width: int = 0) -> None:
        super().__init__()
        self.adaln_table = nn.Parameter(torch.zeros(6, width))
        self.norm1 = nn.RMSNorm(width, elementwise_affine=False)
        self.norm2 = nn.RMSNorm(width) if text_width else None
        self.norm3 = nn.RMSNorm(width, elementwise_affine=False)
        self.attn = SelfAttention(width, heads, qk_norm=True)
        self.cross_attn = CrossAttention(width, text_width, heads) if text_width else None
        self.mlp = SwiGLU(width, round(width * 8 / 3 / 32) * 32)
        for last in (self.attn.proj, self.mlp.down, *([self.cross_attn.proj] if self.cross_attn else [])):
            nn.init.normal_(last.weight, std=0.02 * width**-0.5)

    def text_keys_values(self, text: EncodedText) -> KeysValues:
        """Return keys and values of a text (of a block that reads one)."""
        assert self.cross_attn is not None
        return self.cross_attn.keys_values(text.words)

    def forward(
        self,
        x: Tensor,
        adaln: Tensor,
        rope: Rope,
        text: KeysValues | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """(B, K, S, D) to (B, K, S, D).

        adaln: (B, K, 1, 6, D), shared by all blocks. rope: positions of the K S patches. text: of `text_keys_values`, with its mask (B, L),
        False for padding.
        """
        scale1, shift1, gate1, scale2, shift2, gate2 = (adaln + self.adaln_table).unbind(dim=3)  # each (B, K, 1, D)
        y = modulate(self.norm1(x), scale1, shift1).flatten(1, 2)  # (B, K S, D)
        x = x + (1 + gate1) * self.attn(y, rope=rope).reshape(x.shape)
        if self.cross_attn is not None and self.norm2 is not None:
            x = x + self.cross_attn(self.norm2(x).flatten(1, 2), text, mask).reshape(x.shape)
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
    """Tokens to clean patches, and to the gate by which the nearest given chunk replaces them: patches + gate * (nearest - patches)."""

    def __init__(self, width: int, patch: int, cond: int | None = None) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.adaln = nn.Linear(cond or width, 2 * width)
        self.patch_out, self.copy_gate = nn.Linear(width, patch), nn.Linear(width, patch)
        _zero(self.adaln, self.patch_out, self.copy_gate)

    def forward(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, S, D) to patches and gate, each (B, K, S, P). c: (B, K, D) conditioning."""
        scale, shift = self.adaln(c)[:, :, None].chunk(2, dim=-1)  # each (B, K, 1, D)
        x = modulate(self.norm(x), scale, shift)
        return self.patch_out(x), self.copy_gate(x)


class FineBlocks(nn.Module):
    """Blocks at single latent positions around the trunk; what they add is 0 at first, so that a trained trunk can get them."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        d, f, cells = config.width, config.fine_width, PATCH**2
        before, after = config.fine_depth
        self.head_width = f // config.fine_heads
        self.embed = nn.Linear(config.channels, f)
        self.pos_embed = nn.Linear(4 * _POSITION_FREQUENCIES, f, bias=False)
        self.adaln = nn.Linear(d, 6 * f)
        self.blocks = nn.ModuleList(Block(f, config.fine_heads) for _ in range(before + after))
        self.before = before
        self.merge, self.split = nn.Linear(cells * f, d), nn.Linear(d, cells * f)
        self.final_layer = FinalLayer(f, config.channels, cond=d)
        _zero(self.adaln, self.merge)

    def encode(self, patches: Tensor, c: Tensor, k: int, rows: int, columns: int) -> Tensor:
        """Embed noisy patches (B, K, S, P) and go through the first blocks: (B, K, S, 4, F). c: (B, K, D) conditioning."""
        cells = patches.reshape(*patches.shape[:-1], -1, PATCH**2).mT  # (B, K, S, 4, C)
        where = position_waves(PATCH * rows, PATCH * columns, patches.device)  # (4 S, 12)
        x = self.embed(cells) + self.pos_embed(by_patch(where, 1, rows, columns).reshape(-1, PATCH**2, where.shape[1]))
        return self._through(x, c, k, rows, columns, slice(0, self.before))

    def decode(self, x: Tensor, trunk: Tensor, c: Tensor, k: int, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Return residuals of patches and gate, each (B, K, S, P), from fine tokens (B, K, S, 4, F) and the trunk's (B, K, S, D)."""
        x = x + self.split(trunk).reshape(x.shape)
        x = self._through(x, c, k, rows, columns, slice(self.before, None))
        parts = self.final_layer(x.flatten(2, 3), c)  # each (B, K, 4 S, C)
        patches, gate = (part.reshape(*x.shape[:-1], -1).mT.flatten(3) for part in parts)
        return patches, gate

    def _through(self, x: Tensor, c: Tensor, k: int, rows: int, columns: int, blocks: slice) -> Tensor:
        adaln = self.adaln(c).reshape(*c.shape[:2], 1, 6, -1)  # (B, K, 1, 6, F)
        rope = fine_rope(k, rows, columns, self.head_width, x.device)
        flat = x.flatten(2, 3)  # (B, K, 4 S, F)
        for block in self.blocks[blocks]:
            flat = block(flat, adaln, rope)
        return flat.reshape(x.shape)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def fine_rope(k: int, rows: int, columns: int, width: int, device: torch.device) -> Rope:
    """Return `rope_angles` of the latent positions of k rows columns patches, patch by patch."""
    cos, sin = rope_angles(k, PATCH * rows, PATCH * columns, width, device)
    return by_patch(cos, k, rows, columns), by_patch(sin, k, rows, columns)


def by_patch(values: Tensor, k: int, rows: int, columns: int) -> Tensor:
    """Reorder values of latent positions (K h w, V) from row by row to patch by patch, the four of a patch side by side."""
    grid = values.reshape(k, rows, PATCH, columns, PATCH, -1)
    return grid.permute(0, 1, 3, 2, 4, 5).flatten(0, 4)


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift normalised tokens, as adaLN does."""
    return torch.addcmul(shift, x, 1 + scale)


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


@lru_cache(maxsize=64)
@torch.inference_mode(False)
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
