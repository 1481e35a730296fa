"""Words: the prompt expander, and the encoder that the transformer listens to."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.data.vocabulary import PAD, words_of
from sora_eval.types import digest
from sora_eval.world import palette
from sora_eval.world.families import common

LENGTH = 96
"""The longest text in words and stops; what goes beyond is not read."""
_PLAIN = 256 * 256
_SURROUNDINGS = re.compile(r"\b(?:tiles|floor|backdrop|background|light|lit|dark|sky|island|blocks)\b")
"""In a prompt that says itself how things around look: nothing is added about them."""
_ON_THE_FLOOR = re.compile(r"\b(?:on|onto|to|from|hits|over|off|above) (?:the|a) (?:perfectly smooth )?floor\b")
_MOVES = re.compile(
    r"\b(?:camera|pans?|panning|tilt\w*|zoom\w*|dolly|orbit\w*|trucks?|tracking|view|shots?|cuts?|filmed|afar|island|blocks)\b"
)
"""In a prompt whose camera may move, or that is no single shot: it isn't said to stand still."""
_THING = re.compile(rf"\b({'|'.join(palette.COLOURS)}) ({'|'.join(common.SHAPES)})\b")


def expand(prompt: str, seed: int = 0) -> str:
    """Return the prompt followed by what a highly descriptive caption would also say, drawn by `seed`.

    The prompt itself is kept word for word; a sentence is added only about what it leaves open: the size and surface of its things,
    floor and backdrop and light, and a camera that stands still. (Betker et al. 2023 and Sora expand prompts for the same reason: the
    model was trained on long captions.)

    Raises:
        ValueError: the prompt is empty.
    """
    text = prompt.strip()
    if not text:
        raise ValueError("the prompt is empty: say what is to be seen")
    rng = np.random.default_rng([seed, int(digest(text)[:8], 16)])
    text = common.sentence(text)
    said = set(words_of(text))
    more: list[str] = []
    if not said & {*common.SIZES, *common.TEXTURES, "metres"}:
        for colour, shape in dict.fromkeys(_THING.findall(text.lower())):
            size, texture = rng.choice(list(common.SIZES)), rng.choice(common.TEXTURES)
            more.append(f"The {colour} {shape} is {size} and {texture}.")
    if not _SURROUNDINGS.search(_ON_THE_FLOOR.sub("", text.lower())):
        more.append(common.style_words(common.sample_style(rng)))
    if not _MOVES.search(text.lower()):
        more.append("The camera does not move.")
    for sentence in more:
        if len(words_of(f"{text} {sentence}")) <= LENGTH:
            text = f"{text} {sentence}"
    return text


class TextEncoder(nn.Module):
    """Two small transformer layers over words; returns the words and a pooled vector."""

    def __init__(self, words: int, width: int, depth: int, heads: int, length: int, pooled: int, queries: int = 2):
        super().__init__()
        self.length, self.heads = length, heads
        self.embed = nn.Embedding(words, width)
        self.places = nn.Parameter(torch.randn(length, width) * 0.02)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.queries = nn.Parameter(torch.randn(queries, width) * width**-0.5)
        self.pool = nn.Linear(queries * width, pooled)
        nn.init.normal_(self.embed.weight, std=0.02 * 5)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, L] ids to (words [B, L, W], which are no padding [B, L], pooled [B, P])."""
        known = ids != PAD
        # A text without words (the unconditional case) still needs something to attend to.
        known = known | (torch.arange(ids.shape[1], device=ids.device) == 0)
        x = self.embed(ids) + self.places[: ids.shape[1]]  # [B, L, W]
        for layer in self.layers:
            x = layer(x, known)
        x = self.norm(x)
        scores = torch.einsum("qw,blw->bql", self.queries, x)
        shares = scores.masked_fill(~known[:, None], -torch.inf).softmax(dim=-1)
        pooled: Tensor = self.pool(torch.einsum("bql,blw->bqw", shares, x).flatten(1))
        return x, known, pooled


def attend(q: Tensor, k: Tensor, v: Tensor, known: Tensor | None = None) -> Tensor:
    """Softmax attention [B, heads, N, d] over [B, heads, M, d]; known: [B, M], False for padding.

    Short sequences on the CPU are faster as plain products: there, the fused kernel's backward pass takes a third of a training step.
    """
    if q.device.type == "cpu" and q.shape[2] * k.shape[2] <= _PLAIN:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if known is not None:
            scores = scores.masked_fill(~known[:, None, None], -1e4)
        found: Tensor = scores.softmax(dim=-1).to(v.dtype) @ v
        return found
    return F.scaled_dot_product_attention(q, k, v, attn_mask=None if known is None else known[:, None, None])


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.RMSNorm(width), nn.RMSNorm(width)])
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        b, n, w = x.shape
        q, k, v = self.qkv(self.norms[0](x)).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = attend(q, k, v, known)
        x = x + self.out(seen.transpose(1, 2).reshape(b, n, w))
        found: Tensor = x + self.down(F.gelu(self.up(self.norms[1](x))))
        return found
