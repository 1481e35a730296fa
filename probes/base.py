"""The protocol of a probe, what all probes share, and the profiles that set what is asked of a generator."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar

import cv2
import numpy as np

from sora_eval.metrics import continuation as motion_overlap
from sora_eval.types import MODES, Case, Floats, Frames, Mode, Profile, Score, Tracks, Video
from sora_eval.video import resample, resize
from sora_eval.world import clip, conditioning, scene_of
from sora_eval.world.families import family as scene_family


class UnjudgeableError(Exception):
    """Raised inside `judge` when the clip does not show what was asked, with the reason in one line."""


@dataclass(frozen=True)
class Draft:
    """A case before it has a size: scene family and parameters, prompt, and what must come true."""

    family: str
    params: Mapping[str, Any]
    prompt: str
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """A value in 0..1 and the parts it is made of."""

    value: float
    components: Mapping[str, float] = field(default_factory=dict)


class Probe(ABC):
    """One question about the world. Subclasses set the facts and write `draft` and `judge`.

    suite, name: where it belongs. version: raised whenever scores change. claim: what is tested, in one line.
    unit: of the score. higher_is_better: always true for probes of 0..1. source: where the measure comes from.
    modes: the modes it supports. chance: the score of a blind guess. violations: faults that it must notice.
    blind_to: controls and violations that it can't tell from the truth by design, with the reason; blind_modes: where so.
    continued: whether given frames decide the rest, so that a v2v clip can be laid over the true one (components only).
    """

    suite: ClassVar[str]
    name: ClassVar[str]
    claim: ClassVar[str]
    source: ClassVar[str]
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share of the claim that holds, 0 to 1"
    higher_is_better: ClassVar[bool] = True
    modes: ClassVar[tuple[Mode, ...]] = MODES
    chance: ClassVar[float] = 0.0
    violations: ClassVar[tuple[str, ...]] = ()
    blind_to: ClassVar[Mapping[str, str]] = {}
    blind_modes: ClassVar[tuple[Mode, ...]] = ("t2v",)
    continued: ClassVar[bool] = False

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a case; with `flip` its mirrored twin, which draws the same numbers from `rng`.

        Here it is a random member of the scene family that has the probe's name.
        """
        return family_draft(self.name, scene_family(self.name).sample(rng), rng, flip)

    def drafts(self, count: int, seed: int) -> list[Draft]:
        """Return the drafts of `count` cases, in pairs of twins."""
        return [self.draft(self._rng(seed, i // 2), flip=bool(i % 2)) for i in range(count)]

    def _rng(self, seed: int, pair: int) -> np.random.Generator:
        # Words alone must not tell probe scenes from training scenes: their seeds start with a word of their own.
        return np.random.default_rng([*b"probe", *self.name.encode(), seed, pair])

    @abstractmethod
    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Return the verdict on a clip.

        Raises:
            UnjudgeableError: the clip does not show what was asked.
        """

    def cases(self, count: int, profile: Profile, mode: Mode, seed: int = 0) -> list[Case]:
        """Return `count` cases, in pairs of twins; the same arguments give the same cases."""
        drafts = self.drafts(count, seed)
        ids = [f"{self.suite}.{self.name}.{mode}.{i:04d}" for i in range(count)]
        given = {"t2v": 0, "i2v": 1, "v2v": profile.given}[mode]
        return [
            Case(
                id=ids[i],
                suite=self.suite,
                probe=self.name,
                mode=mode,
                prompt=f"{d.prompt} {scene_family(d.family).setting(d.params)}",
                size=(profile.height, profile.width),
                fps=profile.fps,
                frames=profile.frames,
                given=given,
                seed=seed * 100_000 + i,
                scene={"family": d.family, "params": dict(d.params)},
                expect=dict(d.expect),
                cluster=f"{self.suite}.{self.name}.{seed}.{i // 2}",
                twin=ids[i ^ 1] if (i ^ 1) < count else "",
            )
            for i, d in enumerate(drafts)
        ]

    def score(self, case: Case, video: Video, tracks: Tracks) -> Score:
        """Return the score of a clip: general conditions first, then the probe's own judgement."""
        try:
            if len(video) < 5:
                raise UnjudgeableError(f"the clip has {len(video)} frames, at least 5 are needed")
            _given_kept(case, video)
            verdict = self.judge(case, video, tracks)
        except UnjudgeableError as reason:
            return Score(None, str(reason))
        parts = {k: float(v) for k, v in verdict.components.items()}
        if self.continued and case.mode == "v2v":
            parts |= continuation(case, video)
        return Score(float(np.clip(verdict.value, 0, 1)), components=parts)


def family_draft(family: str, params: Mapping[str, Any], rng: np.random.Generator, flip: bool, **expect: Any) -> Draft:
    """Return a draft of a scene family, mirrored if asked, with a caption as its prompt."""
    module = scene_family(family)
    chosen = module.mirrored(params) if flip else dict(params)
    return Draft(family, chosen, module.caption(chosen, rng), expect)


def continuation(case: Case, video: Video) -> dict[str, float]:
    """Return how motion and pixels of what follows the given frames agree with the true clip, by our variant of Physics-IQ.

    They are components for the reader and no part of the score.
    Source: after Motamed et al. 2025; empty when nothing moves in either clip.
    """
    true = _true_frames(_scene_key(case))[case.given :]
    mine = resize(resample(video, case.fps, case.frames).frames, case.size)[case.given :]
    if len(mine) != len(true):
        return {}
    a, b = motion_overlap.motion_masks(true), motion_overlap.motion_masks(mine)
    if not (a | b).any():
        return {}
    return {
        "motion_spatial_iou": motion_overlap.spatial_iou(a, b),
        "motion_spatiotemporal_iou": motion_overlap.spatiotemporal_iou(a, b),
        "motion_weighted_spatial_iou": motion_overlap.weighted_spatial_iou(a, b),
        "true_clip_mse": motion_overlap.mean_squared_error(true, mine),
    }


def _scene_key(case: Case) -> str:
    """Return the case without what the world's frames don't depend on: all samples of a prompt share them."""
    return json.dumps(replace(case, id="any", twin="", seed=0, sample=0).to_json())


@lru_cache(maxsize=16)
def _true_frames(case_json: str) -> Frames:
    case = Case.from_json(json.loads(case_json))
    scene = scene_of(case.scene, (case.frames - 1) / case.fps)
    return clip(scene, case.size, case.fps, case.frames).video.frames


@lru_cache(maxsize=512)
def _given(case_json: str) -> Frames:
    frames = conditioning(Case.from_json(json.loads(case_json)))
    assert frames is not None
    return frames


def _given_kept(case: Case, video: Video) -> None:
    """Check that the frames that were given stand at the clip's beginning."""
    if not case.given:
        return
    given = _given(_scene_key(case))
    for k in {0, len(given) - 1}:
        # The clip may have another rate: compare what is shown at the same moment.
        mine = video.frames[min(round(k / case.fps * video.fps), len(video) - 1)]
        if likeness(given[k], mine) < 0.8:
            raise UnjudgeableError("the given frames were not kept: a clip must begin with them")


def likeness(a: Frames, b: Frames) -> float:
    """Return how alike two images [H, W, 3] are at 32 x 32 pixels, -1 to 1: the correlation of their colours and shades.

    Each row's mean is taken off first: a common floor and sky would make any two scenes alike.
    """
    x, y = (_deviation(image) for image in (a, b))
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 1e-6 else float(np.allclose(x, y))


def _deviation(image: Frames) -> Floats:
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(float)
    return np.asarray((small - small.mean(axis=1, keepdims=True)).ravel())
