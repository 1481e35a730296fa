"""`world-clip`: a small CLIP of the world's frames and captions, of open_clip's architecture, loss and way of loading.

Its words are the world's own, one id each. A clip is the mean of some of its frames, as CLIPSIM has it, so it sees what is where and not
how it moves: what it discriminates is measured and published.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sora_eval.data.shards import Item, Shard, mirrored
from sora_eval.data.vocabulary import Vocabulary, words_of
from sora_eval.training import loop
from sora_eval.training.muon import Muon
from sora_eval.training.tensors import to_tensor, to_uint8
from sora_eval.types import Frames
from sora_eval.video import resize, write_png
from sora_eval.video.sheets import contact_sheet
from sora_eval.world.families import StateChange, family

NAME = "world-clip"
SIDE = 64
CONTEXT, IDS = 64, 512
"""The longest text in words, and how many ids there are: the last one ends every text."""
_CLIPS, _FRAMES = 24, 2
_LONG = 9
"""Frames from which on a clip's event is over well before its end."""


@dataclass(frozen=True)
class WordTokenizer:
    """Texts to ids [n, 64]: a word each, the last id at the end, where open_clip pools; 0 is padding."""

    words: Vocabulary
    """The vocabulary."""

    def __call__(self, texts: Sequence[str] | str) -> Tensor:
        """Return the ids; what is longer than 63 words is cut."""
        ids = self.words.encode([texts] if isinstance(texts, str) else texts, CONTEXT)
        lengths = (ids != 0).sum(dim=1).clamp(max=CONTEXT - 1)
        return ids.scatter(1, lengths[:, None], IDS - 1)

    def cuts(self, text: str) -> bool:
        """Return whether words of a text are cut; a stop at the end is no word."""
        return any(word[0].isalnum() for word in words_of(text)[CONTEXT - 1 :])


def add_architecture() -> None:
    """Register the network's sizes with open_clip."""
    open_clip: Any = importlib.import_module("open_clip")
    open_clip.add_model_config(Path(__file__).parent / "open_clip")


def build() -> nn.Module:
    """Return the network, its weights random."""
    open_clip: Any = importlib.import_module("open_clip")
    add_architecture()
    made: nn.Module = open_clip.create_model(NAME)
    return made


def pixels(frames: Frames) -> Tensor:
    """Return frames uint8 [T, H, W, 3] as the network takes them, [T, 3, 64, 64] in -1..1, squashed."""
    return to_tensor(resize(np.asarray(frames), (SIDE, SIDE)))


class WorldClipJob:
    """Match clips with captions; every clip comes with its mirror image, so that left and right have to be discriminated.

    Where something changes for good, half of the clips are only their beginning or end, with a sentence on the state.
    """

    def __init__(self, network: nn.Module, shards: Sequence[Shard], seed: int, words: Vocabulary) -> None:
        open_clip: Any = importlib.import_module("open_clip")
        self.network, self._shards, self._seed = network, list(shards), seed
        self._tokenise, self._match = WordTokenizer(words), open_clip.ClipLoss()
        self._device = next(network.parameters()).device

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return Muon for the matrices of the blocks, AdamW for the rest."""
        named = list(self.network.named_parameters())
        inside = {n for n, p in named if p.ndim == 2 and "resblocks" in n}
        rest = [p for n, p in named if n not in inside]
        matrices = [p for n, p in named if n in inside]
        return [Muon(matrices, lr=0.01), torch.optim.AdamW(rest, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)]

    def batch(self, step: int, rank: int = 0) -> tuple[Tensor, list[str]]:
        """Return frames [2 B, 2, 3, 64, 64] of clips and of their mirror images, and a caption each."""
        rng = np.random.default_rng([self._seed, *b"world-clip", step, rank])
        shard = self._shards[int(rng.integers(len(self._shards)))]
        clips = shard.frames()
        chosen = rng.choice(len(clips), size=min(_CLIPS, len(clips)), replace=False)
        items = [shard.items[i] for i in chosen]
        states = [_state(item, clips.shape[1], rng) for item in items]
        at = [_moments(state, clips.shape[1], rng) for state in states]
        seen = torch.stack([pixels(clips[i][t]) for i, t in zip(chosen, at, strict=True)])
        pairs = [
            (item, state)
            for turned in (items, map(mirrored, items))
            for item, state in zip(turned, states, strict=True)
        ]
        texts = [_caption(item, rng) if s is None else _states(item)[s] for item, s in pairs]
        return torch.cat([seen, seen.flip(-1)]).to(self._device), texts

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return open_clip's contrastive loss of a step."""
        seen, texts = self.batch(step, rank)
        model: Any = self.network
        with loop.autocast(self._device):
            frames = model.encode_image(seen.flatten(0, 1), normalize=True).float().reshape(len(seen), _FRAMES, -1)
            words = model.encode_text(self._tokenise(texts).to(self._device), normalize=True).float()
        clips = F.normalize(frames.mean(dim=1), dim=-1)
        scale = model.logit_scale.exp().clamp(max=100)
        total: Tensor = self._match(clips, words, scale)
        right = ((clips @ words.T).argmax(dim=1) == torch.arange(len(clips), device=clips.device)).float().mean()
        return total, {"clips": float(len(seen)), "right": float(right), "scale": float(scale.detach())}

    @torch.no_grad()
    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write the frames of a batch."""
        seen, _ = self.batch(0)
        write_png(path, contact_sheet(list(to_uint8(seen[:8])), columns=_FRAMES))


def _state(item: Item, frames: int, rng: np.random.Generator) -> int | None:
    """Return 0 or 1 for a clip of which only the state before or after its event is to be shown, else None."""
    if frames < _LONG or not isinstance(family(item.family), StateChange) or rng.random() < 0.5:
        return None
    return int(rng.integers(2))


def _states(item: Item) -> tuple[str, str]:
    scenes = family(item.family)
    assert isinstance(scenes, StateChange)
    return scenes.states(scenes.read(item.params))


def _moments(state: int | None, frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if state is None:
        return np.sort(rng.integers(frames, size=_FRAMES))
    return np.array([0, 1] if state == 0 else [frames - 2, frames - 1])


def _caption(item: Item, rng: np.random.Generator) -> str:
    captions = item.short if rng.random() < 0.6 else item.long
    return captions[int(rng.integers(len(captions)))]
