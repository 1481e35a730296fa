"""Names of the encoders, and what encoders say of texts; without the packages that the encoders need."""

from __future__ import annotations

from dataclasses import dataclass

VIDEO_ENCODERS = ("world-video", "i3d", "videomae", "vjepa")
"""Encoders of clips."""
TEXT_IMAGE_ENCODERS = ("world-clip", "clip-b-32", "clip-l-14")
"""Encoders of prompts and frames."""
IMAGE_DISTANCES = ("lpips-world", "lpips-alex", "lpips-vgg", "lpips-squeeze")
"""Perceptual distances of frames."""


@dataclass(frozen=True)
class Unread:
    """The part of a text that an encoder does not read."""

    text: str
    """The text."""
    unknown: tuple[str, ...] = ()
    """Words that are not in the vocabulary."""
    limit: str = ""
    """Length at which the text is cut, such as "77 tokens"; "" where nothing is cut."""

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return bool(self.unknown or self.limit)
