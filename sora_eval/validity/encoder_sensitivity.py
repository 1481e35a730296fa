"""Does every bundled encoder notice? Clips of the world, damaged more and more, and what each encoder makes of it.

`world-video` compares a set of damaged clips with a set of other, true ones; `world-clip` and `lpips-world` look at each clip, beside its
caption and beside the true one. Damages of things that a world would not do are rendered by the world itself, one law broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from sora_eval.data.heldout import FRAMES, SIZE, Member, member
from sora_eval.data.shards import FPS
from sora_eval.encoders import clip as text_encoders
from sora_eval.encoders import perceptual
from sora_eval.encoders import video as video_encoders
from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.encoders.damages import distorted, reordered
from sora_eval.encoders.perceptual import Perceptual
from sora_eval.encoders.video import VideoEncoder
from sora_eval.fidelity.extractors import statistics
from sora_eval.metrics import frechet
from sora_eval.metrics.similarity import clip_similarity
from sora_eval.processes import pool
from sora_eval.stats.correlation import spearman
from sora_eval.types import Frames, Video
from sora_eval.validity.encoder_discrimination import Answer, pictures_exam, words_exam
from sora_eval.video import compress
from sora_eval.world import scene_of
from sora_eval.world.families import FAMILIES
from sora_eval.world.faults import render_broken

SEVERITIES: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST_RHO = 0.95
_REAL, _FAKE = 60_000, 70_000
"""Numbers of the clips of either set; neither training nor its held-out measures reach them."""
_FALLING = ("free_fall_bounce", "projectile", "ramp")
_HIDING = ("pass_behind", "covered", "leave_and_return", "count", "two_shots")
_EACH = 4
"""Of a clip's frames, pictures are compared at every fourth."""
_SHOWN = 4


@dataclass(frozen=True)
class Damage:
    """One way of spoiling clips.

    kind: "space" where frames look wrong, "time" where they are in the wrong order, "law" where the world does what it can't. families: of
    the clips that it is tried on. fault: the world's fault that makes it, "" where it is done to the frames.
    """

    name: str
    kind: str
    families: tuple[str, ...]
    fault: str = ""


_EVERY = tuple(sorted(set(FAMILIES) - {"room"}))
DAMAGES: tuple[Damage, ...] = (
    *(Damage(name, "space", _EVERY) for name in ("blur", "noise", "compression", "coarse")),
    *(Damage(name, "time", _EVERY) for name in ("held", "shuffled", "backwards")),
    Damage("gravity", "law", _FALLING, "gravity"),
    Damage("vanishing", "law", _HIDING, "vanishes"),
)


@dataclass(frozen=True)
class Response:
    """What one encoder makes of one damage: a value per severity, and Spearman's correlation of severity and value, towards worse.

    measure: what the value is. values, error: at each severity the value, and the mean squared error of the pixels, 0 to 1. claimed:
    whether the encoder says that it sees this damage.
    """

    encoder: str
    measure: str
    damage: Damage
    values: tuple[float, ...]
    error: tuple[float, ...]
    rho: float
    claimed: bool

    @property
    def good(self) -> bool:
        """Whether a claim holds."""
        return not self.claimed or self.rho >= LEAST_RHO


def true_clips(families: Sequence[str], count: int, first: int) -> list[Member]:
    """Return `count` members of some families in turn."""
    return [member(families[i % len(families)], first + i) for i in range(count)]


def damaged(true: Member, damage: Damage, severity: float) -> Frames:
    """Return a clip uint8 [17, 64, 64, 3] with a damage of a severity in 0..1; 0 changes nothing."""
    if severity == 0:
        return true.frames
    rng = np.random.default_rng([true.number, *damage.name.encode()])
    if damage.fault:
        scene = scene_of({"family": true.family, "params": true.params}, (FRAMES - 1) / FPS)
        return render_broken(scene, damage.fault, severity, SIZE, FPS, FRAMES).frames
    frames = true.frames
    if damage.kind == "time":
        if damage.name == "backwards" and rng.random() >= severity:
            # There is no half of it: a set has more of such clips, or fewer.
            return frames
        return frames[reordered(damage.name, severity, len(frames), rng)]
    if damage.name == "compression":
        # 64 pixels are blown up first: x264's smallest blocks are a quarter of the frame otherwise.
        large = np.stack([cv2.resize(f, (128, 128), interpolation=cv2.INTER_NEAREST) for f in frames])
        made = compress(Video(large, FPS), round(31 + 20 * severity)).frames
        return np.stack([cv2.resize(f, SIZE[::-1], interpolation=cv2.INTER_AREA) for f in made]).astype(np.uint8)
    seeds = rng.integers(2**31, size=len(frames))
    return np.stack([distorted(f, damage.name, 0.7 * severity, int(s)) for f, s in zip(frames, seeds, strict=True)])


def measure(damage: Damage, count: int) -> tuple[list[Response], Frames]:
    """Return what the three bundled encoders make of one damage, on `count` clips, and one of them at every severity.

    The picture: four frames of the clip per severity, beside each other, [5 * 4, 64, 64, 3].

    Raises:
        AbsentWeightsError: this copy of the package lacks an encoder.
    """
    real, true = (true_clips(damage.families, count, first) for first in (_REAL, _FAKE))
    made = [[damaged(m, damage, s) for m in true] for s in SEVERITIES]
    bundled = video_encoders.load("world-video"), text_encoders.load("world-clip"), perceptual.load("lpips-world")
    # The clip that changes most shows best what the damage is.
    most = int(np.argmax([np.abs(a.astype(int) - b).mean() for a, b in zip(made[-1], made[0], strict=True)]))
    at = np.linspace(0, FRAMES - 1, _SHOWN).round().astype(int)
    return responses(damage, real, true, made, *bundled), np.concatenate([clips[most][at] for clips in made])


def every(count: int, workers: int, damages: Sequence[Damage] = DAMAGES) -> Iterator[tuple[list[Response], Frames]]:
    """Yield `measure` of every damage, in order, made in parallel."""
    with pool(workers) as executor:
        yield from executor.map(partial(measure, count=count), damages)


def exams(count: int) -> list[Answer]:
    """Return what the bundled encoders of words and of pictures can tell apart."""
    words, distance = text_encoders.load("world-clip"), perceptual.load("lpips-world")
    return [*words_exam(words, count), *pictures_exam(distance, count)]


def responses(
    damage: Damage,
    real: Sequence[Member],
    true: Sequence[Member],
    made: Sequence[Sequence[Frames]],
    video: VideoEncoder,
    words: TextImageEncoder,
    distance: Perceptual,
) -> list[Response]:
    """Return what the three bundled encoders make of one damage."""
    reference = frechet.merge(statistics([Video(m.frames, FPS) for m in real], video).groups())

    def apart(clips: Sequence[Frames]) -> float:
        found = frechet.merge(statistics([Video(c, FPS) for c in clips], video).groups())
        return frechet.distance(found, reference)

    texts = words.texts([m.caption for m in true])

    def matched(clips: Sequence[Frames]) -> float:
        cosines = [clip_similarity(words.images(c[::_EACH]), t) for c, t in zip(clips, texts, strict=True)]
        return 1 - float(np.mean(cosines))

    def unlike(clips: Sequence[Frames]) -> float:
        return float(
            np.mean([distance.distance(c[::_EACH], m.frames[::_EACH]) for c, m in zip(clips, true, strict=True)])
        )

    ways: Mapping[tuple[str, str], tuple[Callable[[Sequence[Frames]], float], bool]] = {
        (video.name, "Frechet distance"): (apart, True),
        (words.name, "1 - CLIPSIM"): (matched, damage.kind == "space"),
        (distance.name, "distance to the true clip"): (unlike, damage.kind != "law"),
    }
    error = tuple(float(np.mean([_error(c, m.frames) for c, m in zip(clips, true, strict=True)])) for clips in made)
    found = []
    for (name, measure), (work, claimed) in ways.items():
        values = tuple(work(clips) for clips in made)
        rho = spearman(SEVERITIES, values) if np.ptp(values) > 0 else 0.0
        found.append(Response(name, measure, damage, values, error, rho, claimed))
    return found


def _error(a: Frames, b: Frames) -> float:
    return float(np.square((a.astype(np.float64) - b) / 255).mean())
