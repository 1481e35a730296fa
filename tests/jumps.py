"""Clips that go from the first frame of a true one to its last without what lies between."""

import numpy as np

from sora_eval.types import Video

JUMPS = ("cut", "fade")


def jump(true: Video, way: str) -> Video:
    """Return the clip with a cut in its middle, or a fade in the fifth around it. way: one of `JUMPS`."""
    u = np.linspace(0, 1, len(true))
    late = {"cut": (u > 0.5).astype(float), "fade": np.clip((u - 0.4) / 0.2, 0, 1)}[way][:, None, None, None]
    frames = (1 - late) * true.frames[0] + late * true.frames[-1]
    return Video(np.rint(frames).astype(np.uint8), true.fps)
