"""The pictures of the README: `PYTHONPATH=tests python -m benchmarks.gallery CHECKPOINT docs`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sora_eval.data.heldout import Member, members
from sora_eval.data.shards import FPS
from sora_eval.generator.reference import model
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.reference.train import PREVIEWS
from sora_eval.types import Frames, Video
from sora_eval.video import save_gif, write_png
from sora_eval.video.sheets import labelled_sheet

PROMPTS = (*PREVIEWS, "A purple ball rolls to the right past a green pillar and an orange pillar.")
_ZOOM, _GAP = 2, 4


def moving(sampler: Sampler, seed: int = 1) -> Video:
    """Return the clips of PROMPTS, four a row, as one video."""
    clips = [sampler.text_to_video(p, 17, (64, 64), seed).frames for p in PROMPTS]
    large = [c.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2) for c in clips]
    padded = [np.pad(c, ((0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255) for c in large]
    rows = [np.concatenate(padded[i : i + 4], axis=2) for i in range(0, len(padded), 4)]
    return Video(np.concatenate(rows, axis=1), FPS)


def tasks(sampler: Sampler) -> Frames:
    """Return a row of frames for every task."""
    left, right, near = map(_mover, ("left", "right", "closer"))
    island = members("voxel", 1)[0]
    acts = ["forward"] * 4 + ["turn left"] * 4 + ["forward"] * 4 + ["place"] * 4
    colour = "blue" if left.params["hero"]["colour"] != "blue" else "red"
    other = left.caption.replace(left.params["hero"]["colour"], colour).replace("An ", "A ")
    rows: list[tuple[str, Frames | None]] = [
        (f"text to video, wide: {PROMPTS[0]}", sampler.text_to_video(PROMPTS[0], 17, (64, 96), 3).frames),
        (f"text to video, tall: {PROMPTS[2]}", sampler.text_to_video(PROMPTS[2], 17, (96, 64), 3).frames),
        (
            f"variations by seed: {PROMPTS[1]}",
            _firsts([sampler.text_to_video(PROMPTS[1], 9, (64, 64), s).frames for s in range(9)]),
        ),
        (f"image and text to video: {near.caption}", sampler.continue_video(near.frames[:1], near.caption).frames),
        (f"extended forward: {right.caption}", sampler.extend(right.frames[:9], right.caption, 16).frames),
        (
            f"extended backward: {right.caption}",
            sampler.extend(right.frames[8:], right.caption, 16, backward=True).frames,
        ),
        ("a loop", sampler.loop(left.frames, left.caption).frames),
        ("two clips connected", sampler.connect(left.frames, right.frames).frames),
        (f"edited: {other}", sampler.edit(left.frames, other, 0.8).frames),
        ("actions: forward, turn left, forward, place", sampler.rollout(island.frames[0], acts).frames),
    ]
    return labelled_sheet(rows)


def _mover(way: str) -> Member:
    return members("single", 1, wanted=lambda p: p["motion"] == way)[0]


def _firsts(clips: Sequence[Frames]) -> Frames:
    return np.stack([c[len(c) // 2] for c in clips])


def main(checkpoint: str, out: Path) -> None:
    """Write reference.gif and reference_tasks.png."""
    sampler = Sampler(model.load(checkpoint))
    save_gif(out / "reference.gif", moving(sampler))
    write_png(out / "reference_tasks.png", tasks(sampler))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
