"""Members of the world's families that training never draws: what generators, encoders and metrics are measured on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sora_eval.data.shards import FPS
from sora_eval.types import Frames
from sora_eval.world import clip, families, stills

SIZE, FRAMES = (64, 64), 17
HELD_OUT = "heldout"
"""Random stream of held-out members, which no training draws from."""
FIRST = 50_000
"""Number of the first member within a family's stream."""


@dataclass(frozen=True)
class Member:
    """A held-out member of a family."""

    family: str
    """Name of the scene family."""
    params: Mapping[str, Any]
    """Parameters of the scene, JSON values."""
    caption: str
    """Short caption."""
    frames: Frames
    """True clip, uint8 [T, H, W, 3]."""
    number: int
    """Number within the family's stream."""

    @property
    def frozen(self) -> Frames:
        """The first frame, held."""
        return np.repeat(self.frames[:1], len(self.frames), axis=0)


@lru_cache(maxsize=4096)
def member(
    family: str,
    number: int,
    frames: int = FRAMES,
    stream: str = HELD_OUT,
    size: tuple[int, int] = SIZE,
    at: tuple[int, ...] | None = None,
) -> Member:
    """Return a member of a family at 8 frames per second; size: height and width. at: the frames that are rendered; all by default."""
    scenes = families.family(family)
    params, rng = families.draw(family, number, 0, stream)
    words = scenes.caption(params, rng)
    scene = scenes.build(params, (frames - 1) / FPS)
    made = clip(scene, size, FPS, frames).video.frames if at is None else stills(scene, size, FPS, frames, at)
    return Member(family, params.to_json(), words, made, number)


def caption_of(family: str, number: int, stream: str = HELD_OUT) -> str:
    """Return the caption of a member; nothing is rendered."""
    params, rng = families.draw(family, number, 0, stream)
    return families.family(family).caption(params, rng)


def members(
    family: str,
    count: int,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    wanted: Callable[[Mapping[str, Any]], bool] | None = None,
) -> list[Member]:
    """Return held-out members, the first whose parameters are wanted."""
    numbers: Iterator[int] = itertools.count(FIRST)
    if wanted is not None:
        numbers = (n for n in numbers if wanted(families.draw(family, n, 0, HELD_OUT)[0].to_json()))
    return [member(family, n, frames, size=size) for n in itertools.islice(numbers, count)]
