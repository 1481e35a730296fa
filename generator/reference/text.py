"""The text side: the prompt expander, and the text encoder of the transformer."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.data.vocabulary import PAD, words_of
from sora_eval.generator.reference.attention import SelfAttention
from sora_eval.types import digest
from sora_eval.world import palette
from sora_eval.world.families import common

LENGTH = 96
"""Words and stops of the longest text; the rest is cut."""
_SURROUNDINGS = re.compile(r"\b(?:tiles|floor|backdrop|background|light|lit|dark|sky|island|blocks)\b")
"""In a prompt that describes the surroundings itself: nothing is added about them."""
_ON_THE_FLOOR = re.compile(r"\b(?:on|onto|to|from|hits|over|off|above) (?:the|a) (?:perfectly smooth )?floor\b")
_MOVES = re.compile(
    r"\b(?:camera|pans?|panning|tilt\w*|zoom\w*|dolly|orbit\w*|trucks?|tracking|view|shots?|cuts?|filmed|afar|island|blocks)\b"
)
"""In a prompt whose camera may move, or that is no single shot: no static camera is added."""
_OBJECT = re.compile(rf"\b({'|'.join(palette.COLOURS)}) ({'|'.join(common.SHAPES)})\b")


def expand(prompt: str, seed: int = 0) -> str:
    """Return the prompt with the sentences that make it a highly descriptive caption, drawn by `seed`.

    The prompt itself is kept word for word; a sentence is added only about what it leaves open: size and texture of its objects, floor,
    backdrop and light, and a static camera. (Betker et al. 2023 and Sora expand prompts for the same reason: the model was trained on
    long captions.)

    Raises:
        ValueError: the prompt is empty.
    """
    text = prompt.strip()
    if not text:
        raise ValueError("the prompt is empty: describe what is to be seen")
    rng = np.random.default_rng([seed, int(digest(text)[:8], 16)])
    text = common.sentence(text)
    words = set(words_of(text))
    more: list[str] = []
    if not words & {*common.SIZES, *common.TEXTURES, "metres"}:
        for colour, shape in dict.fromkeys(_OBJECT.findall(text.lower())):
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


class EncodedText(NamedTuple):
    """What the transformer reads of a batch of texts."""

    words: Tensor
    """(B, L, W), one vector per word."""
    mask: Tensor
    """(B, L), False for padding."""
    pooled: Tensor
    """(B, D), one vector per text, added to the noise-level embedding."""


class TextEncoder(nn.Module):
    """A small transformer over words, with a pooled vector by learnt queries."""

    def __init__(self, words: int, width: int, depth: int, heads: int, length: int, pooled: int, queries: int = 2):
        super().__init__()
        self.word_embed = nn.Embedding(words, width)
        self.pos_embed = nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(width, heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.queries = nn.Parameter(torch.randn(queries, width) * width**-0.5)
        self.pool = nn.Linear(queries * width, pooled)
        nn.init.normal_(self.word_embed.weight, std=0.02 * 5)

    def forward(self, ids: Tensor) -> EncodedText:
        """Encode texts; ids: (B, L), PAD after the end of each."""
        mask = ids != PAD
        # A text without words (the unconditional case) still needs something to attend to.
        mask = mask | (torch.arange(ids.shape[1], device=ids.device) == 0)
        x = self.word_embed(ids) + self.pos_embed[: ids.shape[1]]  # (B, L, W)
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        scores = torch.einsum("qw,blw->bql", self.queries, x)
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
        pooled: Tensor = self.pool(torch.einsum("bql,blw->bqw", weights, x).flatten(1))  # (B, D)
        return EncodedText(x, mask, pooled)


class TextBlock(nn.Module):
    """Pre-norm transformer block: self-attention, GELU feed-forward layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attn = SelfAttention(width, heads)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, L, W) to (B, L, W)."""
        x = x + self.attn(self.norm1(x), mask)
        out: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return out
