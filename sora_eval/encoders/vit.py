"""Video transformers with public weights: VideoMAE v2, for content-debiased FVD, and V-JEPA with its attentive probe, for JEDi.

Both are plain pre-norm transformers on tubelets (Dosovitskiy et al. 2021, arXiv:2010.11929; Tong et al. 2022, arXiv:2203.12602). They
differ in their positions and in how tokens become one feature: VideoMAE takes the mean over all tokens and normalises it, V-JEPA lets
one learnt query attend to them. Of that pooler there are two: JEDi's code (Luo et al. 2024, arXiv:2410.05203) projects what the query has
attended to by `xattn.proj`, which the authors of V-JEPA took out of theirs again; features differ by 12 to 18%. Ours is JEDi's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.errors import ConfigError

SIDE = 224
FRAMES = 16
HEADS = 16
"""Of the giant (VideoMAE) and of the large and huge (V-JEPA) networks alike."""


class Attention(nn.Module):
    """Multi-head attention from queries to keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Queries [B, M, D] and keys and values [B, N, D] to [B, M, D]."""
        b, m, d = x.shape
        q = self.q(x).reshape(b, m, self.heads, -1).transpose(1, 2)
        k, v = self.kv(seen).reshape(b, -1, 2, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        out: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, m, d))
        return out


class Block(nn.Module):
    """Attention and GELU, each on normalised input and added to it."""

    def __init__(self, width: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor, query: Tensor | None = None) -> Tensor:
        """[B, N, D] to [B, N, D]; with queries [B, M, D], these attend to x and are returned."""
        seen = self.norm1(x)
        x = x + self.attention(seen, seen) if query is None else query + self.attention(query, seen)
        out: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return out


class VideoTransformer(nn.Module):
    """Clips to features; with a probe, one query pools the tokens, else their mean is normalised."""

    positions: Tensor

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        hidden: int,
        tubelet: tuple[int, int, int],
        tokens: int,
        probe: int | None,
    ) -> None:
        super().__init__()
        self.enter = nn.Conv3d(3, width, tubelet, tubelet)
        self.register_buffer("positions", torch.zeros(1, tokens, width))
        self.blocks = nn.ModuleList(Block(width, heads, hidden, 1e-6) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.query = nn.Parameter(torch.zeros(1, 1, width)) if probe else None
        self.probe = Block(width, heads, probe, 1e-5) if probe else None

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, D] of clips [B, 3, T, H, W].

        Raises:
            ValueError: the clips are not of the size that the positions are for.
        """
        x = self.enter(x).flatten(2).transpose(1, 2)  # [B, N, D]
        if x.shape[1] != self.positions.shape[1]:
            raise ValueError(f"the network takes {self.positions.shape[1]} patches, this clip has {x.shape[1]}")
        x = x + self.positions
        for block in self.blocks:
            x = block(x)
        if self.probe is None or self.query is None:
            mean: Tensor = self.norm(x.mean(dim=1))
            return mean
        pooled: Tensor = self.probe(self.norm(x), self.query.expand(len(x), -1, -1))
        return pooled[:, 0]


def load_videomae(weights: Mapping[str, Tensor], heads: int = HEADS, side: int = SIDE) -> VideoTransformer:
    """Return a VideoMAE v2 network that was tuned for classification, from its public state dict.

    Raises:
        ConfigError: a tensor is missing, unknown or of another shape.
    """
    known = {k: v for k, v in weights.items() if not k.startswith("head.")}
    width, _, *tubelet = _shape(known, "patch_embed.proj.weight")
    tokens = (FRAMES // tubelet[0]) * (side // tubelet[1]) * (side // tubelet[2])
    renamed: dict[str, Tensor] = {"positions": _sinusoids(tokens, width)}
    for key, value in known.items():
        name = _name(key.replace("fc_norm.", "norm."))
        if key.endswith("attn.q_bias"):
            renamed[name.replace("q_bias", "q.bias")] = value
        elif key.endswith("attn.v_bias"):
            # Keys have no bias there: it would cancel in the softmax.
            renamed[name.replace("v_bias", "kv.bias")] = torch.cat([torch.zeros_like(value), value])
        else:
            renamed.update(_split(name, value, width))
    return _built(renamed, heads, tokens, None)


def load_vjepa(
    encoder: Mapping[str, Tensor], probe: Mapping[str, Tensor], heads: int = HEADS, side: int = SIDE
) -> VideoTransformer:
    """Return a V-JEPA encoder with the pooling of its attentive probe, from their public state dicts.

    Raises:
        ConfigError: a tensor is missing, unknown or of another shape.
    """
    known = {k.removeprefix("module.").removeprefix("backbone."): v for k, v in encoder.items()}
    width, _, *tubelet = _shape(known, "patch_embed.proj.weight")
    tokens = (FRAMES // tubelet[0]) * (side // tubelet[1]) * (side // tubelet[2])
    renamed: dict[str, Tensor] = {}
    for key, value in known.items():
        renamed.update(_split("positions" if key == "pos_embed" else _name(key), value, width))
    for key, value in probe.items():
        name = key.removeprefix("module.")
        if name.startswith("pooler."):
            name = name.removeprefix("pooler.").replace("cross_attention_block.", "probe.").replace("xattn.", "attn.")
            renamed["query" if name == "query_tokens" else _name(name)] = value
    return _built(renamed, heads, tokens, _shape(renamed, "probe.up.weight")[0])


def _built(weights: dict[str, Tensor], heads: int, tokens: int, probe: int | None) -> VideoTransformer:
    width, _, *tubelet = _shape(weights, "enter.weight")
    depth = 1 + max((int(m[1]) for k in weights if (m := re.match(r"blocks\.(\d+)\.", k))), default=-1)
    hidden = _shape(weights, "blocks.0.up.weight")[0]
    network = VideoTransformer(width, depth, heads, hidden, (tubelet[0], tubelet[1], tubelet[2]), tokens, probe)
    state = network.state_dict()
    if odd := sorted(state.keys() ^ weights.keys()):
        word = "missing" if odd[0] in state else "unknown"
        raise ConfigError(f"video transformer weights: {len(odd)} tensors do not fit, {odd[0]} is {word}")
    for key, value in weights.items():
        if value.shape != state[key].shape:
            shapes = f"{tuple(value.shape)}, {tuple(state[key].shape)} is needed"
            raise ConfigError(f"video transformer weights: {key} has shape {shapes}")
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def _shape(weights: Mapping[str, Tensor], key: str) -> tuple[int, ...]:
    if key not in weights:
        raise ConfigError(f"video transformer weights: {key} is missing")
    return tuple(weights[key].shape)


def _name(key: str) -> str:
    """Return our name of a tensor."""
    for theirs, ours in (
        ("patch_embed.proj.", "enter."),
        ("attn.proj.", "attention.out."),
        ("attn.", "attention."),
        ("mlp.fc1.", "up."),
        ("mlp.fc2.", "down."),
    ):
        key = key.replace(theirs, ours)
    return key


def _split(name: str, value: Tensor, width: int) -> dict[str, Tensor]:
    """Return a tensor under its name; queries, which theirs keeps in one with keys and values, apart."""
    if ".qkv." not in name:
        return {name: value}
    return {name.replace("qkv", "q"): value[:width], name.replace("qkv", "kv"): value[width:]}


def _sinusoids(tokens: int, width: int) -> Tensor:
    """Return VideoMAE's fixed positions [1, N, D]: sines and cosines in turn (Vaswani et al. 2017)."""
    rates = 10_000.0 ** (-2 * torch.div(torch.arange(width), 2, rounding_mode="floor").double() / width)
    angles = torch.arange(tokens).double()[:, None] * rates
    return torch.where(torch.arange(width) % 2 == 0, angles.sin(), angles.cos()).float()[None]
