"""The sheet of outcomes: `PYTHONPATH=tests python -m benchmarks.outcomes_picture docs/outcomes.jpg`."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.probes.selection import select_cases
from sora_eval.types import Profile

_PROFILE = Profile("sheet", 128, 128, 17, 8, 5)
_MOMENTS, _DRAWS, _GAP = 6, 2, 4


def sheet(seed: int = 7) -> Image.Image:
    """Return two rows per probe, two draws of its first case, from the first frame to the last."""
    names = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "outcomes"]
    probes = {name: registry.probe(name) for name in names}
    cases = select_cases(probes, _PROFILE, ["t2v"], 1, seed, _DRAWS)
    at = np.linspace(0, _PROFILE.frames - 1, _MOMENTS).round().astype(int)
    rows = [np.concatenate([_framed(frame) for frame in true_video(case).frames[at]], axis=1) for case in cases]
    return Image.fromarray(np.concatenate(rows)[:-_GAP, :-_GAP])


def _framed(frame: np.ndarray) -> np.ndarray:
    return np.pad(frame, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)


if __name__ == "__main__":
    sheet().save(sys.argv[1], quality=88)
