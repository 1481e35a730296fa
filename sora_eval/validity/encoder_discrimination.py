"""Discrimination tests of the bundled encoders on held-out scenes: retrieval, minimal pairs and forced choices, each beside chance.

Accuracies near chance are published as they are: an encoder at chance on left and right can't judge it: that is why there are probes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sora_eval.data.heldout import FRAMES, HELD_OUT, Member, caption_of, member
from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.encoders.corruptions import CONTENT, DISTORTIONS, HARMLESS
from sora_eval.encoders.perceptual import SIDE, Perceptual, across, graded
from sora_eval.metrics.similarity import psnr, ssim
from sora_eval.types import Floats, Frames
from sora_eval.video import resize
from sora_eval.world.families import FAMILIES, StateChange, common, draw
from sora_eval.world.palette import COLOURS

_FIRST = 80_000
"""Number of the first scene; neither training nor other measures reach these."""
CAPTIONS = 100
_FRAMES_READ = tuple(range(0, FRAMES, 4))
"""Frames of a clip that the text-image encoder reads; no others are rendered."""


@dataclass(frozen=True)
class Discrimination:
    """Accuracy of an encoder on one test."""

    encoder: str
    """Name of the encoder or metric."""
    test: str
    """Name of the test."""
    accuracy: float
    """Share of right answers."""
    n: int
    """Answers."""
    chance: float
    """Accuracy of a guess."""


def text_image_tests(encoder: TextImageEncoder, count: int) -> Iterator[Discrimination]:
    """Yield retrieval among CAPTIONS captions, and accuracy on minimal pairs: how often the true one of two sentences is nearer."""
    scenes = _distinct_captions(CAPTIONS)
    clips = np.stack([_clip_vector(encoder, m.frames) for m in scenes])
    cosines = clips @ encoder.texts([m.caption for m in scenes]).T  # [clips, captions]
    order, own = np.argsort(-cosines, axis=1), np.arange(CAPTIONS)[:, None]
    for k in (1, 5):
        recall = float((order[:, :k] == own).any(axis=1).mean())
        name = f"clip to caption, recall at {k} of {CAPTIONS}"
        yield Discrimination(encoder.name, name, recall, CAPTIONS, k / CAPTIONS)
    recall = float((cosines.argmax(axis=0) == own[:, 0]).mean())
    name = f"caption to clip, recall at 1 of {CAPTIONS}"
    yield Discrimination(encoder.name, name, recall, CAPTIONS, 1 / CAPTIONS)
    for name, pairs in _MINIMAL_PAIRS.items():
        right = [_is_nearer(encoder, *pair) for i in range(count) for pair in pairs(_FIRST + i)]
        yield Discrimination(encoder.name, name, float(np.mean(right)), len(right), 0.5)


def _distinct_captions(count: int) -> list[Member]:
    """Return members of all families in turn, no two with one caption."""
    scenes: dict[str, tuple[str, int]] = {}
    names = sorted(FAMILIES)
    i = 0
    while len(scenes) < count:
        scene = names[i % len(names)], _FIRST + i
        scenes.setdefault(caption_of(*scene), scene)
        i += 1
    return [member(*scene, at=_FRAMES_READ) for scene in scenes.values()]


def _clip_vector(encoder: TextImageEncoder, frames: Frames) -> Floats:
    mean = encoder.images(frames).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def _is_nearer(encoder: TextImageEncoder, frames: Frames, right: str, wrong: str) -> bool:
    near, far = encoder.texts([right, wrong]) @ _clip_vector(encoder, frames)
    return bool(near > far)


_Pair = tuple[Frames, str, str]
"""Frames, the true sentence and a false one."""


def _colour(number: int) -> Iterator[_Pair]:
    m = member("single", number, at=_FRAMES_READ)
    own = m.params["hero"]["colour"]
    other = [c for c in COLOURS if c != own][number % (len(COLOURS) - 1)]
    yield m.frames, m.caption, _swapped(m.caption, own, other)


def _shape(number: int) -> Iterator[_Pair]:
    m = member("single", number, at=_FRAMES_READ)
    own = m.params["hero"]["shape"]
    other = [s for s in common.SHAPES if s != own][number % (len(common.SHAPES) - 1)]
    yield m.frames, m.caption, m.caption.replace(own, other)


def _swapped(caption: str, own: str, other: str) -> str:
    text = caption.lower()
    for old, new in ((common.article(own), common.article(other)), (own, other)):
        text = text.replace(old, new)
    return common.sentence(text)


def _sides(family: str) -> Callable[[int], Iterator[_Pair]]:
    def pairs(number: int) -> Iterator[_Pair]:
        m = member(family, number, at=_FRAMES_READ)
        # The same phrase of the scene in a mirror.
        params, rng = draw(family, number, 0, HELD_OUT)
        yield m.frames, m.caption, FAMILIES[family].caption(FAMILIES[family].mirrored(params), rng)

    return pairs


def _event(number: int) -> Iterator[_Pair]:
    families = [f for f in FAMILIES.values() if isinstance(f, StateChange)]
    family = families[number % len(families)]
    m = member(family.name, number, at=_FRAMES_READ)
    before, after = family.states(family.read(m.params))
    yield m.frames[:1], before, after
    yield m.frames[-1:], after, before


_MINIMAL_PAIRS = {
    "colour, one word": _colour,
    "shape, one word": _shape,
    "left or right, at rest (relation)": _sides("relation"),
    "left or right, moving (motion)": _sides("motion"),
    "before or after an event": _event,
}


def image_distance_tests(distance: Perceptual, count: int) -> Iterator[Discrimination]:
    """Yield two-alternative forced choices: which of two corrupted frames is further from the true one; PSNR and SSIM beside it."""
    by_severity, by_content = zip(*(_triplets(i) for i in range(count)), strict=True)
    metrics: Sequence[tuple[str, Callable[[Frames, Frames], float]]] = (
        (distance.name, lambda a, b: float(distance.distance(a, b)[0])),
        ("PSNR", lambda a, b: -psnr(a, b)),
        ("SSIM", lambda a, b: -ssim(a, b)),
    )
    for test, triplets in (
        ("the higher of two severities of a corruption", by_severity),
        ("an object removed or recoloured, not a mild blur, noise, shift or shade", by_content),
    ):
        for name, measure in metrics:
            right = [measure(true, worse) > measure(true, mild) for true, mild, worse in triplets]
            yield Discrimination(name, test, float(np.mean(right)), count, 0.5)


def _triplets(i: int) -> tuple[tuple[Frames, ...], tuple[Frames, ...]]:
    """Return (frame, less, more corrupted) [1, 64, 64, 3] each: by one corruption, and a change of appearance against one of content."""
    # The seeds of the published table.
    rng = np.random.default_rng([*b"exam", i])
    names = sorted(FAMILIES)
    m = member(names[i % len(names)], _FIRST + i, at=(int(rng.integers(FRAMES)),))
    frame = resize(m.frames, (SIDE, SIDE))[0]
    seed, kind = int(rng.integers(2**31)), DISTORTIONS[i % len(DISTORTIONS)]
    same = graded(frame, kind, rng, seed)
    worse = across(frame, HARMLESS[i % len(HARMLESS)], CONTENT[i % len(CONTENT)], rng, seed)
    return tuple(f[None] for f in (frame, *same)), tuple(f[None] for f in (frame, *worse))
