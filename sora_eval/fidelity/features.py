"""The clips of a set and what is measured on them. Feature sets of parts of a set, made in other processes, merge to that of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sora_eval.encoders.names import Unread
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.types import Alignment, Floats

CLIP_FEATURES, MOTION_FEATURES, TEXT_IMAGE = "clip features", "motion features", "text-image"
PERCEPTUAL, PIXELS, CONTINUATION, PLUGIN = "perceptual", "pixels", "continuation", "plug-in "
FROZEN = ", frozen true frame"
"""Suffix of a metric's name for the control that repeats the last true frame before the continuation."""
FIRST_FRAME, DRIFT = ", first frame", ", drift"
"""Suffixes of the full-reference metrics of the first given frame, and of their change up to the last frame."""
WITHOUT_GIVEN = "without-given-frames"
"""Part of the protocol of metrics to which given frames do not count."""
COMPARED = ", compared frames"
"""Suffix of an extractor's name for how many frames of a clip its means are over: 0 where all sampled ones were given."""


@dataclass(frozen=True)
class ClipEntry:
    """A clip of a set."""

    path: Path
    """Its file."""
    position: int
    """Its position in the set; the clip of the real set with the same position is its partner where sets are paired."""
    prompt: str = ""
    """Its prompt, "" for none."""
    reference: Path | None = None
    """The file of the true clip for full-reference metrics."""
    states: tuple[str, str] | None = None
    """A sentence each for what is to be seen before and after an event, where there is one."""
    cluster: int | None = None
    """Number of the cluster of clips that depend on each other, such as mirrored twins; None where it is independent."""
    given: int | None = None
    """Conditioning frames at its beginning, which are no continuation; None where it does not continue the reference's beginning."""
    alignment: Alignment | None = None
    """Which part of the clip is measured, against the same part of the reference; None for all of it."""
    keeps: tuple[int, ...] = ()
    """Conditioning frames elsewhere than at the beginning, as frames of the reference: at the end, or at both ends."""
    cache_key: str = ""
    """Hash of all that its measures depend on but the configuration, where they are kept in the cache of references; "" elsewhere."""

    @property
    def conditioning(self) -> tuple[int, ...]:
        """All conditioning frames, as frames of the reference, in its clock."""
        return tuple(sorted({*range(self.given or 0), *self.keeps}))


class ClipFormat(NamedTuple):
    """Length, size and rate of the part of a clip that is measured."""

    frames: int
    height: int
    """Pixels."""
    width: int
    """Pixels."""
    fps: float
    """Frames per second."""

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.frames} frames of {self.height}x{self.width} at {self.fps:.4g} fps"


@dataclass
class ClipMeasures:
    """Features of one clip and its values of metrics."""

    features: dict[str, Floats] = field(default_factory=dict)
    """Feature vectors [d], by extractor."""
    values: dict[str, float] = field(default_factory=dict)
    """Values by metric."""
    unread: dict[str, Unread] = field(default_factory=dict)
    """What the text encoder left out of its texts, by metric."""
    format: ClipFormat | None = None
    """Its length, size and rate; None where it could not be read."""

    def add_unread(self, metric: str, *texts: Unread) -> None:
        """Add the first of some texts of which the encoder left something out."""
        if left := next((text for text in texts if text), None):
            self.unread[metric] = left


@dataclass
class FeatureSet:
    """Features of a set of clips, and the values of metrics of single clips."""

    clips: int = 0
    """Clips that were read."""
    formats: Counter[ClipFormat] = field(default_factory=Counter)
    """How many clips have which length, size and rate."""
    clip_features: FeatureStatistics = field(default_factory=FeatureStatistics)
    """Statistics of the video encoder's features."""
    motion_features: FeatureStatistics = field(default_factory=FeatureStatistics)
    """Statistics of histograms of point motion."""
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    """Values of single clips, by metric and position."""
    unread: dict[str, dict[int, Unread]] = field(default_factory=dict)
    """What the text encoder left out of the texts of single clips, by metric and position."""
    protocols: dict[str, str] = field(default_factory=dict)
    """What the figures depend on, by extractor."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why an extractor has nothing, by extractor."""
    clusters: dict[int, int] = field(default_factory=dict)
    """Number of the cluster of clips that depend on each other, by position; independent clips have none."""

    def add(self, entry: ClipEntry, measures: ClipMeasures) -> None:
        """Add the measures of a clip."""
        if entry.cluster is not None:
            self.clusters[entry.position] = entry.cluster
        if measures.format is not None:
            self.formats[measures.format] += 1
        statistics = {CLIP_FEATURES: self.clip_features, MOTION_FEATURES: self.motion_features}
        for extractor, row in measures.features.items():
            try:
                statistics[extractor].add(row[None], entry.position, entry.cluster)
            except ValueError as error:
                self.missing.setdefault(extractor, f"{entry.path.name}: {error}")
        for metric, value in measures.values.items():
            self.add_value(metric, entry.position, value)
        for metric, text in measures.unread.items():
            self.unread.setdefault(metric, {})[entry.position] = text

    def add_value(self, metric: str, position: int, value: float) -> None:
        """Add the value of one clip."""
        self.values.setdefault(metric, {})[position] = value

    def values_of(self, metric: str) -> list[float]:
        """Return the values of single clips, in the order of the set."""
        values = self.values.get(metric, {})
        return [values[p] for p in sorted(values)]

    def clusters_of(self, metric: str) -> list[Hashable]:
        """Return the label of the cluster of each of `values_of`; a clip without one is a cluster of its own."""
        # A text, so that the position of an independent clip is never the number of a cluster.
        return [self.clusters.get(p, f"clip {p}") for p in sorted(self.values.get(metric, {}))]

    def merge(self, other: FeatureSet) -> None:
        """Add the features of other positions of the same set."""
        self.clips += other.clips
        self.formats.update(other.formats)
        self.clip_features.merge(other.clip_features)
        self.motion_features.merge(other.motion_features)
        for metric, values in other.values.items():
            self.values.setdefault(metric, {}).update(values)
        for metric, texts in other.unread.items():
            self.unread.setdefault(metric, {}).update(texts)
        self.protocols |= other.protocols
        self.missing |= other.missing
        self.clusters |= other.clusters
