"""Does every bundled encoder notice? Clips of the world, damaged more and more, and what each encoder makes of it.

`world-video` compares a set of damaged clips with a set of other, true ones; `world-clip` and `lpips-world` look at each clip, beside its
caption and beside the true one. Damages of things that a world would not do are rendered by the world itself, one law broken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.encoders.damages import distorted, reordered
from sora_eval.encoders.perceptual import Perceptual
from sora_eval.encoders.video import VideoEncoder
from sora_eval.fidelity import statistics
from sora_eval.generator.reference.measures import FRAMES, SIZE, Member, member
from sora_eval.learning.shards import FPS
from sora_eval.metrics import frechet
from sora_eval.metrics.similarity import clip_similarity
from sora_eval.processes import pool
from sora_eval.stats import spearman
from sora_eval.types import Frames, Video
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
_CHUNK = 16


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

    measure: what the value is. claimed: whether the encoder says that it sees this damage.
    """

    encoder: str
    measure: str
    damage: Damage
    values: tuple[float, ...]
    rho: float
    claimed: bool

    @property
    def good(self) -> bool:
        """Whether a claim holds."""
        return not self.claimed or self.rho >= LEAST_RHO


def true_clips(families: Sequence[str], count: int, first: int) -> list[Member]:
    """Return `count` members of some families in turn."""
    return [member(families[i % len(families)], first + i, FRAMES, "heldout") for i in range(count)]


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
        made = compress(Video(large, FPS), round(23 + 28 * severity)).frames
        return np.stack([cv2.resize(f, SIZE[::-1], interpolation=cv2.INTER_AREA) for f in made]).astype(np.uint8)
    seeds = rng.integers(2**31, size=len(frames))
    return np.stack([distorted(f, damage.name, 0.7 * severity, int(s)) for f, s in zip(frames, seeds, strict=True)])


def render(damage: Damage, count: int, workers: int) -> tuple[list[Member], list[Member], list[list[Frames]]]:
    """Return the real clips, the others as they are, and these damaged, by severity; rendered in parallel."""
    with pool(workers) as executor:
        jobs = [executor.submit(true_clips, damage.families, count, first) for first in (_REAL, _FAKE)]
        real, true = (job.result() for job in jobs)
        made = [
            list(executor.map(partial(damaged, damage=damage, severity=s), true, chunksize=_CHUNK)) for s in SEVERITIES
        ]
    return real, true, made


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

    def matched(clips: Sequence[Frames]) -> float:
        texts = words.texts([m.caption for m in true])
        cosines = [clip_similarity(words.images(c[::4]), t) for c, t in zip(clips, texts, strict=True)]
        return 1 - float(np.mean(cosines))

    def unlike(clips: Sequence[Frames]) -> float:
        return float(np.mean([distance.distance(c, m.frames).mean() for c, m in zip(clips, true, strict=True)]))

    ways: Mapping[tuple[str, str], tuple[Callable[[Sequence[Frames]], float], bool]] = {
        (video.name, "Frechet distance"): (apart, True),
        (words.name, "1 - CLIPSIM"): (matched, damage.kind == "space"),
        (distance.name, "distance to the true clip"): (unlike, damage.kind != "law"),
    }
    found = []
    for (name, measure), (work, claimed) in ways.items():
        values = tuple(work(clips) for clips in made)
        rho = spearman(SEVERITIES, values) if np.ptp(values) > 0 else 0.0
        found.append(Response(name, measure, damage, values, rho, claimed))
    return found
