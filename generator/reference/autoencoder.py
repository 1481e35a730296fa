"""The video compression network: clips of any length and size to latents, and back.

A clip of 1 + 4k frames is 1 + k chunks: the first chunk is frame 0 four times, so an image is a clip of one chunk. The four frames
of a chunk are stacked as channels, and 2D convolutions with the space-to-channel shortcuts of DC-AE (Chen et al. 2024,
arXiv:2410.10733) halve the size three times. The encoder sees one chunk at a time, so that any chunk of a latent can be given,
moved or blended; the decoder also looks at the chunk before, so that motion goes on smoothly. Both work through any number of
chunks in constant memory.

Latents are standardised per channel (batch statistics in training, running ones afterwards).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHUNK = 4
"""Frames per chunk."""
STRIDE = 8
"""Pixels per latent position, across and down."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of the network."""

    channels: int = 16
    """Channels of the latent."""
    widths: tuple[int, int, int] = (48, 96, 128)
    """Channels at 1/2, 1/4 and 1/8 of the frame."""
    encoder_blocks: tuple[int, int, int] = (1, 2, 2)
    """Residual blocks of the encoder at these sizes."""
    decoder_blocks: tuple[int, int, int] = (1, 3, 3)
    """Residual blocks of the decoder at these sizes."""


def chunks_of(frames: int) -> int:
    """Return how many chunks a clip of that many frames is; the last one may be only partly used."""
    return 1 + -(-(frames - 1) // CHUNK)


def to_chunks(video: Tensor) -> Tensor:
    """Cut a clip [B, T, 3, H, W] into chunks [B, K, 12, H, W]; frame 0 is repeated, and so is a missing end."""
    b, t, c, h, w = video.shape
    missing = (1 - t) % CHUNK
    head = video[:, :1].expand(-1, CHUNK, -1, -1, -1)
    tail = video[:, -1:].expand(-1, missing, -1, -1, -1)
    stacked = torch.cat([head, video[:, 1:], tail], dim=1)  # [B, 4K, 3, H, W]
    return stacked.reshape(b, -1, CHUNK * c, h, w)


def to_frames(chunks: Tensor) -> Tensor:
    """Undo `to_chunks`: [B, K, 12, H, W] to [B, 1 + 4 (K - 1), 3, H, W]. The first frame is the mean of its four copies."""
    b, k, c, h, w = chunks.shape
    frames = chunks.reshape(b, k * CHUNK, c // CHUNK, h, w)
    return torch.cat([frames[:, :CHUNK].mean(dim=1, keepdim=True), frames[:, CHUNK:]], dim=1)


class Block(nn.Module):
    """Residual block: norm, 3x3, SiLU, 3x3."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, h, w]."""
        out: Tensor = x + self.second(F.silu(self.first(self.norm(x))))
        return out


class Down(nn.Module):
    """Half the size: a convolution on the 2x2 cells as channels, beside the plain mean of groups of those channels."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * inside, outside, 1)
        self.outside = outside

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h / 2, w / 2]."""
        cells = F.pixel_unshuffle(x, 2)  # [B, 4C, h/2, w/2]
        out: Tensor = self.conv(cells) + _grouped(cells, self.outside)
        return out


class Up(nn.Module):
    """Twice the size: a convolution to 2x2 cells as channels, beside plain copies of the channels."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, 4 * outside, 1)
        self.outside = outside

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', 2h, 2w]."""
        return F.pixel_shuffle(self.conv(x) + _grouped(x, 4 * self.outside), 2)


def _grouped(x: Tensor, width: int) -> Tensor:
    """Return [B, width, h, w]: means of neighbouring channels, or copies of them, evenly."""
    b, c, h, w = x.shape
    if c >= width and c % width == 0:
        return x.reshape(b, width, c // width, h, w).mean(dim=2)
    # Channels are spread over the width as evenly as indices can be.
    at = torch.div(torch.arange(width, device=x.device) * c, width, rounding_mode="floor")
    return x[:, at]


class TimeMix(nn.Module):
    """Adds to each chunk what a 1x1 convolution finds in it and in the chunk before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * width, width, 1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, batch: int, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the mixed chunks [B K, C, h, w], and the last one [B, 1, C, h, w] for the call that goes on from here."""
        k = x.shape[0] // batch
        seq = x.reshape(batch, k, *x.shape[1:])  # [B, K, C, h, w]
        first = torch.zeros_like(seq[:, :1]) if past is None else past
        before = torch.cat([first, seq[:, :-1]], dim=1).reshape(x.shape)
        return x + self.conv(torch.cat([x, before], dim=1)), seq[:, -1:]


class Encoder(nn.Module):
    """Chunks to latents, each chunk by itself."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        a, b, c = config.widths
        n = config.encoder_blocks
        self.body = nn.Sequential(
            Down(3 * CHUNK, a),
            *(Block(a) for _ in range(n[0])),
            Down(a, b),
            *(Block(b) for _ in range(n[1])),
            Down(b, c),
            *(Block(c) for _ in range(n[2])),
            nn.Conv2d(c, config.channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, 12, H, W] in -1..1 to [N, C, H/8, W/8], not yet standardised."""
        out: Tensor = self.body(x)
        return out


class Decoder(nn.Module):
    """Latents to chunks; each chunk sees the one before."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        a, b, c = config.widths
        n = config.decoder_blocks
        self.start = nn.Conv2d(config.channels, c, 3, padding=1)
        self.low = nn.ModuleList(Block(c) for _ in range(n[2]))
        self.mix = nn.ModuleList(TimeMix(c) for _ in range(n[2]))
        self.up = nn.Sequential(
            Up(c, b),
            *(Block(b) for _ in range(n[1])),
            Up(b, a),
            *(Block(a) for _ in range(n[0])),
            nn.Conv2d(a, 4 * 3 * CHUNK, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, z: Tensor, past: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """[B, K, C, h, w] to ([B, K, 12, 8h, 8w], what the next call wants as `past`)."""
        b, k = z.shape[:2]
        x = self.start(z.flatten(0, 1))  # [B K, c, h, w]
        seen = []
        for i, (block, mix) in enumerate(zip(self.low, self.mix, strict=True)):
            x, last = mix(x, b, None if past is None else past[i])
            seen.append(last)
            x = block(x)
        out = self.up(x)  # [B K, 12, 8h, 8w]
        return out.reshape(b, k, *out.shape[1:]), seen


class Autoencoder(nn.Module):
    """Clips in -1..1 to standardised latents and back."""

    def __init__(self, config: AutoencoderConfig = AutoencoderConfig()) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.standard = nn.BatchNorm2d(config.channels, affine=False, momentum=0.02)

    def encode_chunks(self, chunks: Tensor) -> Tensor:
        """[B, K, 12, H, W] to latents [B, K, C, H/8, W/8]."""
        b, k = chunks.shape[:2]
        z: Tensor = self.standard(self.encoder(chunks.flatten(0, 1)).float())
        return z.reshape(b, k, *z.shape[1:])

    def encode(self, video: Tensor, at_once: int = 8) -> Tensor:
        """Return the latent [B, K, C, H/8, W/8] of a clip [B, T, 3, H, W], worked through `at_once` chunks at a time.

        Raises:
            ValueError: height or width is no multiple of 8.
        """
        if video.shape[-1] % STRIDE or video.shape[-2] % STRIDE:
            raise ValueError(f"height and width must be multiples of {STRIDE}, got {tuple(video.shape[-2:])}")
        parts = torch.split(to_chunks(video), at_once, dim=1)
        return torch.cat([self.encode_chunks(part) for part in parts], dim=1)

    def stream(self, z: Tensor, at_once: int = 4) -> Iterator[Tensor]:
        """Yield the frames [B, t, 3, H, W] of a latent [B, K, C, h, w] piece by piece, in constant memory."""
        past: list[Tensor] | None = None
        for i in range(0, z.shape[1], at_once):
            chunks, past = self.decoder(z[:, i : i + at_once], past)
            b, k, c, h, w = chunks.shape
            yield to_frames(chunks) if i == 0 else chunks.reshape(b, k * CHUNK, c // CHUNK, h, w)

    def decode(self, z: Tensor, at_once: int = 4) -> Tensor:
        """Return the clip [B, 1 + 4 (K - 1), 3, H, W] of a latent [B, K, C, h, w]."""
        return torch.cat(list(self.stream(z, at_once)), dim=1)
