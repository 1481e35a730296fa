"""How a run folder keeps its clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from sora_eval.settings import Settings, option

LARGE = 256 * 256
"""Pixels of a frame above which `codec=auto` takes H.264 with loss: below, a clip is a few hundred kilobytes without loss."""
LOSSLESS = "lossless"


@dataclass(frozen=True)
class VideoOptions(Settings):
    """How clips are stored in a run folder."""

    GROUP: ClassVar[str] = "video"

    codec: Literal["lossless", "h264", "auto"] = option(LOSSLESS)
    """Of generated clips: lossless; h264, visually lossless H.264 4:4:4, of which the score is then made, and which is part of the
    protocol; auto, h264 where the profile's frames have more than 256 x 256 pixels. Clips of a folder of videos are not encoded."""
    crf: int = option(10, least=1, most=30)
    """Constant rate factor of H.264; 10 is 44 dB for noisy frames and 52 dB for clean ones (docs/cost.md)."""
    store: Literal["link", "copy"] = option("link")
    """Of a folder of videos: link keeps a small record of each file, with its hash, and reads the file again where it is needed; copy also
    keeps the file in the run folder, as a hard link where the file system can, so that the folder may be archived or moved alone."""

    def crf_of(self, size: tuple[int, int]) -> int | None:
        """Return the constant rate factor for clips of a size (height, width), None where they are stored without loss."""
        lossy = self.codec == "h264" or (self.codec == "auto" and size[0] * size[1] > LARGE)
        return self.crf if lossy else None

    def protocol(self, size: tuple[int, int]) -> str:
        """Return how generated clips of a size (height, width) are encoded before they are judged."""
        crf = self.crf_of(size)
        return LOSSLESS if crf is None else f"h264-crf{crf}"
