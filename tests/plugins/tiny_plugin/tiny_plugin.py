"""One plug-in of each kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sora_eval.generator.base import Capabilities
from sora_eval.generator.simulator import true_video
from sora_eval.metrics.plugin import FeatureMetric, FrameMetric
from sora_eval.probes.base import Probe, UnjudgeableError, Verdict
from sora_eval.tracking.labelled import labelled_tracks
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Case, Failure, Tracks, Video
from sora_eval.world.families.single import Single


class TinyFamily(Single):
    """One object alone."""

    name = "tiny"


FAMILY = TinyFamily


@dataclass(frozen=True)
class TinyGenerator:
    """The true clip, darker."""

    light: float = 0.9
    name: str = "tiny"
    checkpoint: str | None = None
    kind = "model"
    capabilities = Capabilities(processes=True)

    @property
    def _light(self) -> float:
        return self.light if self.checkpoint is None else float(Path(self.checkpoint).read_text())

    def fingerprint(self, case: Case) -> str:
        return f"tiny {self._light}"

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        for case in cases:
            video = true_video(case)
            yield Video((video.frames * self._light).astype(np.uint8), video.fps)


@dataclass(frozen=True)
class TinyTracker:
    """The world's boxes, labelled."""

    least: int = 2
    name = "tiny"
    version = 3

    @property
    def fingerprint(self) -> str:
        return f"least{self.least}"

    def track(self, video: Video, case: Case | None) -> Tracks:
        tracks = WorldTracker().track(video)
        labels = [f"{colour} thing" for colour in tracks.colour]
        return labelled_tracks(labels, tracks.box, tracks.size, tracks.fps)


class TinyProbe(Probe):
    """The object of the prompt is there."""

    suite = "tiny"
    name = "tiny"
    claim = "the object that the prompt names is there"
    source = "an example"
    modes = ("t2v",)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        hero = case.scene["params"]["hero"]
        if not tracks.called(hero["colour"], hero["shape"]):
            raise UnjudgeableError(f"no {hero['colour']} {hero['shape']} was found")
        return Verdict(float(tracks.labels == () or f"{hero['colour']} thing" in tracks.labels))


METRIC = FrameMetric(lambda true, made: float(np.abs(true - made.astype(float)).mean()), "levels", bounds=(0, 255))
SHIFT = FeatureMetric(lambda real, made: float(np.linalg.norm(real.mean(0) - made.mean(0))))
