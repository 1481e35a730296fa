"""The vocabulary of the world's captions, and the ids of its words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sora_eval.world import palette
from sora_eval.world.families import BUNDLED, FAMILIES, Family
from sora_eval.world.families.params import with_look
from sora_eval.world.looks import LOOKS, LookOptions

PAD, UNKNOWN = 0, 1
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[.,;]")
_LETTERS = re.compile(r"[^\W\d_]+")
_PER_FAMILY, _PER_LOOK = 300, 40
_KEPT: tuple[str, ...] = ("be", "ice", "seen")
"""Words of earlier captions: with them the vocabulary stays the same, and training goes on from what was trained with it."""


def words_of(text: str) -> list[str]:
    """Return the words, numbers and stops of a text, lower case."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """The words that a model knows."""

    words: tuple[str, ...]
    """In order of their ids, from 2 on; 0 is padding, 1 an unknown word."""

    def __len__(self) -> int:
        """Return how many ids there are."""
        return len(self.words) + 2

    @property
    def ids(self) -> dict[str, int]:
        """Return the id of each word."""
        return _ids(self.words)

    def unknown(self, text: str) -> list[str]:
        """Return the words of a text that are not in the vocabulary, each once: whole ones, also of letters other than a to z."""
        # These are no words to `words_of`, or only in part: "caf" of "café".
        foreign = [w for w in _LETTERS.findall(text.lower()) if not w.isascii()]
        rest = _LETTERS.sub(lambda found: found[0] if found[0].isascii() else " ", text.lower())
        return list(dict.fromkeys([*(w for w in words_of(rest) if w not in self.ids), *foreign]))

    def encode(self, texts: Sequence[str], length: int) -> Tensor:
        """Return ids [B, length]: longer texts are cut, shorter ones padded. One length for all keeps results and shapes alike."""
        rows = [[self.ids.get(w, UNKNOWN) for w in words_of(t)][:length] for t in texts]
        return torch.tensor([r + [PAD] * (length - len(r)) for r in rows], dtype=torch.long)


@lru_cache(maxsize=4)
def _ids(words: tuple[str, ...]) -> dict[str, int]:
    return {w: i + 2 for i, w in enumerate(words)}


@lru_cache(maxsize=1)
def world_vocabulary() -> Vocabulary:
    """Return the vocabulary of the world: the words of many captions of the default families of sets, then those that only looks add.

    In this order, so that the ids of words of the plain world, which the first checkpoints know, stay.
    """
    found: set[str] = {*palette.COLOURS, *(w for n in palette.NEUTRALS for w in n.split())}
    found.update(_KEPT)
    found.update(w for text in _captions(FAMILIES) for w in words_of(text))
    of_looks = {w for text in _captions_of_looks() for w in words_of(text)} - found
    return Vocabulary((*sorted(found), *sorted(of_looks)))


@lru_cache(maxsize=1)
def full_vocabulary() -> Vocabulary:
    """Return the world's vocabulary and, after it, the words that only the other bundled families add."""
    known = world_vocabulary().words
    others = {name: family for name, family in BUNDLED.items() if name not in FAMILIES}
    more = {w for text in _captions(others) for w in words_of(text)} - set(known)
    return Vocabulary((*known, *sorted(more)))


def _captions_of_looks() -> Iterable[str]:
    for name, family in FAMILIES.items():
        rng = np.random.default_rng([*b"looks", *name.encode()])
        for look in LOOKS:
            for seed in range(_PER_LOOK):
                params = family.sample(rng)
                params = replace(params, style=with_look(params.style, LookOptions(look), seed))
                yield family.caption(params, rng, long=True)
                yield family.setting(params)


def _captions(families: Mapping[str, Family[Any]]) -> Iterable[str]:
    for name, family in families.items():
        rng = np.random.default_rng([*b"vocabulary", *name.encode()])
        for _ in range(_PER_FAMILY):
            params = family.sample(rng)
            yield family.caption(params, rng)
            yield family.caption(params, rng, long=True)
            yield family.setting(params)
