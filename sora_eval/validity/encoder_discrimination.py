"""What the bundled encoders of words and pictures can tell apart, on held-out scenes, each with what guessing gets.

What is near a guess is published as it is: an encoder that can't tell left from right can't judge it, and that is why there are probes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sora_eval.data.heldout import FRAMES, HELD_OUT, Member, caption_of, member
from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.encoders.damages import CONTENT, DISTORTIONS, HARMLESS
from sora_eval.encoders.perceptual import SIDE, Perceptual, across, graded
from sora_eval.metrics.pixels import psnr, ssim
from sora_eval.types import Floats, Frames
from sora_eval.video import resize
from sora_eval.world.families import FAMILIES, common, draw
from sora_eval.world.palette import COLOURS

_FIRST = 80_000
"""The first number of these scenes; neither training nor other measures reach them."""
CAPTIONS = 100
_SEEN = tuple(range(0, FRAMES, 4))
"""The frames of a clip that an encoder of words sees; no others are rendered."""


@dataclass(frozen=True)
class Answer:
    """How often an encoder is right. encoder, question: whose, to what. n: of how many. guess: how often a guess is."""

    encoder: str
    question: str
    right: float
    n: int
    guess: float


def words_exam(words: TextImageEncoder, count: int) -> Iterator[Answer]:
    """Yield retrieval among CAPTIONS captions, and of pairs of sentences that differ in one word how often the true one is nearer."""
    scenes = _unlike(CAPTIONS)
    clips = np.stack([_vector(words, m.frames) for m in scenes])
    cosines = clips @ words.texts([m.caption for m in scenes]).T  # [clips, captions]
    order, own = np.argsort(-cosines, axis=1), np.arange(CAPTIONS)[:, None]
    for most in (1, 5):
        right = float((order[:, :most] == own).any(axis=1).mean())
        yield Answer(words.name, f"caption of a clip among {CAPTIONS}, first {most}", right, CAPTIONS, most / CAPTIONS)
    right = float((cosines.argmax(axis=0) == own[:, 0]).mean())
    yield Answer(words.name, f"clip of a caption among {CAPTIONS}, first 1", right, CAPTIONS, 1 / CAPTIONS)
    for question, pairs in _PAIRS.items():
        told = [_nearer(words, *pair) for i in range(count) for pair in pairs(_FIRST + i)]
        yield Answer(words.name, question, float(np.mean(told)), len(told), 0.5)


def _unlike(count: int) -> list[Member]:
    """Return members of all families in turn, no two with one caption."""
    found: dict[str, tuple[str, int]] = {}
    names = sorted(FAMILIES)
    i = 0
    while len(found) < count:
        which = names[i % len(names)], _FIRST + i
        found.setdefault(caption_of(*which), which)
        i += 1
    return [member(*which, at=_SEEN) for which in found.values()]


def _vector(words: TextImageEncoder, frames: Frames) -> Floats:
    mean = words.images(frames).mean(axis=0)
    found: Floats = mean / np.linalg.norm(mean)
    return found


def _nearer(words: TextImageEncoder, frames: Frames, right: str, wrong: str) -> bool:
    near, far = words.texts([right, wrong]) @ _vector(words, frames)
    return bool(near > far)


_Pair = tuple[Frames, str, str]


def _colour(number: int) -> Iterator[_Pair]:
    m = member("single", number, at=_SEEN)
    mine = m.params["hero"]["colour"]
    other = [c for c in COLOURS if c != mine][number % (len(COLOURS) - 1)]
    yield m.frames, m.caption, _swapped(m.caption, mine, other)


def _shape(number: int) -> Iterator[_Pair]:
    m = member("single", number, at=_SEEN)
    mine = m.params["hero"]["shape"]
    other = [s for s in common.SHAPES if s != mine][number % (len(common.SHAPES) - 1)]
    yield m.frames, m.caption, m.caption.replace(mine, other)


def _swapped(caption: str, mine: str, other: str) -> str:
    text = caption.lower()
    for old, new in ((common.article(mine), common.article(other)), (mine, other)):
        text = text.replace(old, new)
    return common.sentence(text)


def _sides(family: str) -> Callable[[int], Iterator[_Pair]]:
    def pairs(number: int) -> Iterator[_Pair]:
        m = member(family, number, at=_SEEN)
        # The same phrase of the scene in a mirror.
        params, rng = draw(family, number, 0, HELD_OUT)
        yield m.frames, m.caption, FAMILIES[family].caption(FAMILIES[family].mirrored(params), rng)

    return pairs


def _event(number: int) -> Iterator[_Pair]:
    families = [name for name in sorted(FAMILIES) if hasattr(FAMILIES[name], "states")]
    m = member(families[number % len(families)], number, at=_SEEN)
    before, after = FAMILIES[m.family].states(m.params)
    yield m.frames[:1], before, after
    yield m.frames[-1:], after, before


_PAIRS = {
    "colour, one word": _colour,
    "shape, one word": _shape,
    "left or right, standing (relation)": _sides("relation"),
    "left or right, moving (motion)": _sides("motion"),
    "before or after an event": _event,
}


def pictures_exam(distance: Perceptual, count: int) -> Iterator[Answer]:
    """Yield two-alternative forced choices: which of two damaged frames is further from the true one, beside PSNR's and SSIM's answers."""
    same, across = zip(*(_trios(i) for i in range(count)), strict=True)
    ways: Sequence[tuple[str, Callable[[Frames, Frames], float]]] = (
        (distance.name, lambda a, b: float(distance.distance(a, b)[0])),
        ("PSNR", lambda a, b: -psnr(a, b)),
        ("SSIM", lambda a, b: -ssim(a, b)),
    )
    for question, trios in (
        ("same damage, more of it", same),
        ("a thing gone or recoloured, not a mild blur, noise, shift or shade", across),
    ):
        for name, apart in ways:
            right = [apart(true, worse) > apart(true, mild) for true, mild, worse in trios]
            yield Answer(name, question, float(np.mean(right)), count, 0.5)


def _trios(i: int) -> tuple[tuple[Frames, ...], tuple[Frames, ...]]:
    """Return (frame, less, more damaged) [1, 64, 64, 3] each: by one damage, and harmless against content."""
    rng = np.random.default_rng([*b"exam", i])
    names = sorted(FAMILIES)
    m = member(names[i % len(names)], _FIRST + i, at=(int(rng.integers(FRAMES)),))
    frame = resize(m.frames, (SIDE, SIDE))[0]
    seed, kind = int(rng.integers(2**31)), DISTORTIONS[i % len(DISTORTIONS)]
    same = graded(frame, kind, rng, seed)
    worse = across(frame, HARMLESS[i % len(HARMLESS)], CONTENT[i % len(CONTENT)], rng, seed)
    return tuple(f[None] for f in (frame, *same)), tuple(f[None] for f in (frame, *worse))
