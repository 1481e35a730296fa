"""A cache of clips in memory, bounded in bytes: a number of clips is no bound, for one may be of a thousand times another's size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import ParamSpec, TypeVar

from sora_eval.types import Frames, Video

P = ParamSpec("P")
C = TypeVar("C", Frames, Video)


def clip_cache(max_bytes: int) -> Callable[[Callable[P, C]], Callable[P, C]]:
    """Return a decorator that keeps the clips or frames which a function returned last, at most `max_bytes` of them.

    The arguments must be hashable. A clip that is larger than the bound is not kept. Each process has a cache of its own.
    """

    def decorate(function: Callable[P, C]) -> Callable[P, C]:
        kept: OrderedDict[Hashable, C] = OrderedDict()
        total = 0

        @wraps(function)
        def cached(*args: P.args, **options: P.kwargs) -> C:
            nonlocal total
            key = (args, tuple(sorted(options.items())))
            if key in kept:
                kept.move_to_end(key)
                return kept[key]
            clip = function(*args, **options)
            if _bytes(clip) <= max_bytes:
                kept[key] = clip
                total += _bytes(clip)
            while total > max_bytes:
                total -= _bytes(kept.popitem(last=False)[1])
            return clip

        return cached

    return decorate


def _bytes(clip: Frames | Video) -> int:
    return clip.frames.nbytes if isinstance(clip, Video) else clip.nbytes
