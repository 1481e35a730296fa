"""The protocol of a probe, what all probes share, and the profiles that set what is asked of a generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import cv2
import numpy as np

from sora_eval.types import MODES, Case, Frames, Mode, Score, Tracks, Video
from sora_eval.world import conditioning
from sora_eval.world.families import FAMILIES


@dataclass(frozen=True)
class Profile:
    """What is asked of a generator: (height, width) in pixels, frames, fps, and the frames given in v2v."""

    name: str
    height: int
    width: int
    frames: int
    fps: float
    given: int

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame."""
        return (self.frames - 1) / self.fps


PROFILES: dict[str, Profile] = {
    "small": Profile("small", 64, 64, 17, 8, 5),
    "medium": Profile("medium", 256, 256, 33, 12, 9),
    "large": Profile("large", 480, 832, 81, 16, 17),
}


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
    blind_to: controls and violations that it can't tell from the truth by design, with the reason.
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

    @abstractmethod
    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a case; with `flip` its mirrored twin, which draws the same numbers from `rng`."""

    @abstractmethod
    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Return the verdict on a clip.

        Raises:
            UnjudgeableError: the clip does not show what was asked.
        """

    def cases(self, count: int, profile: Profile, mode: Mode, seed: int = 0) -> list[Case]:
        """Return `count` cases, in pairs of twins; the same arguments give the same cases."""
        drafts = []
        for i in range(count):
            # Words alone must not tell probe scenes from training scenes: their seeds start with a word of their own.
            rng = np.random.default_rng([*b"probe", *self.name.encode(), seed, i // 2])
            drafts.append(self.draft(rng, flip=bool(i % 2)))
        ids = [f"{self.suite}.{self.name}.{mode}.{i:04d}" for i in range(count)]
        given = {"t2v": 0, "i2v": 1, "v2v": profile.given}[mode]
        return [
            Case(
                id=ids[i],
                suite=self.suite,
                probe=self.name,
                mode=mode,
                prompt=d.prompt,
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
        return Score(float(np.clip(verdict.value, 0, 1)), components={k: float(v) for k, v in verdict.components.items()})


def family_draft(family: str, params: Mapping[str, Any], rng: np.random.Generator, flip: bool, **expect: Any) -> Draft:
    """Return a draft of a scene family, mirrored if asked, with a caption as its prompt."""
    module = FAMILIES[family]
    chosen = module.mirrored(params) if flip else dict(params)
    return Draft(family, chosen, module.caption(chosen, rng), expect)


@lru_cache(maxsize=512)
def _given(case_json: str) -> Frames:
    import json

    frames = conditioning(Case.from_json(json.loads(case_json)))
    assert frames is not None
    return frames


def _given_kept(case: Case, video: Video) -> None:
    """Check that the frames that were given stand at the clip's beginning."""
    if not case.given:
        return
    import json

    given = _given(json.dumps(case.to_json()))
    for k in {0, len(given) - 1}:
        # The clip may have another rate: compare what is shown at the same moment.
        mine = video.frames[min(round(k / case.fps * video.fps), len(video) - 1)]
        if likeness(given[k], mine) < 0.8:
            raise UnjudgeableError("the given frames were not kept")


def likeness(a: Frames, b: Frames) -> float:
    """Return the correlation of two images [H, W, 3] at 32 x 32 pixels, colours included, -1 to 1."""
    small = [cv2.resize(x, (32, 32), interpolation=cv2.INTER_AREA).astype(float) for x in (a, b)]
    # Every channel against its own mean: a common background would make any two clips alike.
    x, y = ((s - s.mean(axis=(0, 1))).ravel() for s in small)
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 1e-9 else float(np.array_equal(small[0], small[1]))
