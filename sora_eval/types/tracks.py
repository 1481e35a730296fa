"""Objects followed through a clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sora_eval.types.clips import Bools, Floats


@dataclass(frozen=True)
class Finding:
    """A tracker's answer to a question about a whole clip, or that it can't know."""

    answer: str
    """The answer, "" where the tracker abstains."""
    confidence: float
    """0 to 1, what is compared with the question's threshold."""
    reason: str = ""
    """Why there is no answer, "" when there is one."""


@dataclass(frozen=True)
class Tracks:
    """N objects followed through T frames."""

    colour: tuple[str, ...]
    """N colour names of the world's palette, "" where the colour is unknown."""
    xy: Floats
    """[N, T, 2] centroid in pixels, NaN where not visible."""
    visible: Bools
    """[N, T]."""
    area: Floats
    """[N, T] visible area in pixels (soft, sub-pixel), 0 where not visible."""
    box: Floats
    """[N, T, 4] x0, y0, x1, y1 in pixels, NaN where not visible."""
    size: tuple[int, int]
    """(height, width) of the frames that were tracked."""
    fps: float
    """Frames per second."""
    shape: Mapping[str, Floats] = field(default_factory=dict)
    """{descriptor name: [N, T]}: silhouette descriptors, NaN where not visible or unknown."""
    labels: tuple[str, ...] = ()
    """N labels such as "red ball" or "dog"; () of a tracker that knows colours alone."""
    ground: Bools | None = None
    """[N], whether a track may belong to the surroundings: it is there from the first frame to the last and stays where it is, or has a hue
    of the ground. None for a tracker that can't say."""
    ground_colours: tuple[str, ...] = ()
    """Colours in which an object can't be separated from the ground."""
    findings: Mapping[str, Finding] = field(default_factory=dict)
    """{question: answer}, such as "camera side"; {} of a tracker that answers none."""
    unsure: str = ""
    """Why the tracker can't tell whether what the case names is there, "" where it can: such a clip can't be judged."""

    def __post_init__(self) -> None:
        """Refuse labels of other tracks."""
        if self.labels and len(self.labels) != len(self.colour):
            raise ValueError(f"{len(self.colour)} tracks have {len(self.labels)} labels")

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.colour)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.xy.shape[1])

    def of(self, colour: str) -> list[int]:
        """Return the indices of the tracks of one colour, the longest-visible first."""
        return self._longest_first(i for i, c in enumerate(self.colour) if c == colour)

    def called(self, colour: str, noun: str) -> list[int]:
        """Return the indices of the tracks of an object, the longest-visible first.

        They are those of its colour; where there is none, those of unknown colour whose label contains the noun.
        """
        return self.of(colour) or self._longest_first(
            i for i, label in enumerate(self.labels) if not self.colour[i] and noun in label.split()
        )

    def _longest_first(self, tracks: Iterable[int]) -> list[int]:
        return sorted(tracks, key=lambda i: -int(self.visible[i].sum()))
