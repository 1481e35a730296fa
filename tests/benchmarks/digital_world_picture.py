"""The sheet of digital_world: `PYTHONPATH=tests python -m benchmarks.digital_world_picture docs/digital_world.jpg`."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.types import Profile

_PROFILE = Profile("sheet", 160, 160, 33, 8, 5)
_SHOWN = 8


def sheet(seed: int = 7) -> Image.Image:
    """Return a row per probe: eight moments of the true clip of its first case, from first to last frame."""
    names = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "digital_world"]
    rows = []
    for name in names:
        case = registry.probe(name).cases(1, _PROFILE, "t2v", seed)[0]
        frames = true_video(case).frames
        shown = frames[np.linspace(0, len(frames) - 1, _SHOWN).round().astype(int)]
        gap = np.full((_PROFILE.height, 4, 3), 255, np.uint8)
        rows += [np.concatenate([p for f in shown for p in (f, gap)], axis=1)[:, :-4]]
        rows += [np.full((4, rows[-1].shape[1], 3), 255, np.uint8)]
    return Image.fromarray(np.concatenate(rows[:-1]))


if __name__ == "__main__":
    sheet().save(sys.argv[1], quality=88)
