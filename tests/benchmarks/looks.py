"""Looks of the world: the sheet of docs/, what they cost, and how probes judge true clips in them.

PYTHONPATH=tests python -m benchmarks.looks sheet docs
PYTHONPATH=tests python -m benchmarks.looks speed
PYTHONPATH=tests python -m benchmarks.looks oracle [cases per probe and mode] [profile]
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.probes.selection import select_probes
from sora_eval.tracking.world import track
from sora_eval.types import Frames
from sora_eval.validity.detection import MIN_NUISANCE
from sora_eval.validity.nuisances import LOOK_SEVERITIES
from sora_eval.world import frame_times, physics
from sora_eval.world.families import FAMILIES, draw
from sora_eval.world.families.params import with_look
from sora_eval.world.looks import LOOKS, PLAIN, LookOptions
from sora_eval.world.render import Renderer, camera_of
from sora_eval.world.scene import Scene

_CELL, _GAP, _LINE = (135, 234), 3, 18
_FRAMES, _FPS = 17, 8.0
_SPEED = ("room", "pass_behind", "two_drops", "leave_and_return", "hands", "shatter", "voxel")


def scene_in(family: str, look: str, seed: int, severity: float = 1.0) -> Scene:
    """Return a member of a family in a look, of clips of _FRAMES."""
    params, _ = draw(family, 0, 0)
    params = replace(params, style=with_look(params.style, LookOptions(look, severity), seed))
    return FAMILIES[family].build(params, (_FRAMES - 1) / _FPS)


def frames_of(scene: Scene, size: tuple[int, int], at: Sequence[int]) -> Frames:
    """Return some frames [len(at), H, W, 3] of a scene."""
    states = physics.simulate(scene, frame_times(_FRAMES, _FPS))
    renderer, camera = Renderer(scene, size), camera_of(scene, states.t_s, size)
    return np.array([renderer.frame(states, camera, k) for k in at])


def sheet() -> Frames:
    """Return a picture with a frame of every family in every look, two families a row."""
    looks, (height, width) = (PLAIN, *LOOKS), _CELL
    rows, columns = (len(FAMILIES) + 1) // 2, 2 * len(looks)
    page = Image.new("RGB", (columns * (width + _GAP), rows * (height + _GAP + _LINE)), "white")
    text = ImageDraw.Draw(page)
    for n, family in enumerate(FAMILIES):
        y, left = n // 2 * (height + _GAP + _LINE), n % 2 * len(looks)
        text.text((left * (width + _GAP) + 2, y + 1), family, "black", ImageFont.load_default(13))
        for i, look in enumerate(looks):
            # The first frame that is not empty: some cameras look away in the middle.
            at = 6 if family not in ("evolves_unseen", "leave_and_return") else 1
            (frame,) = frames_of(scene_in(family, look, n), _CELL, [at])
            page.paste(Image.fromarray(frame), ((left + i) * (width + _GAP), y + _LINE))
    return np.asarray(page)


def speed(size: tuple[int, int], repeats: int = 3) -> Iterator[str]:
    """Yield lines of a Markdown table: CPU milliseconds a frame of a whole clip, the best of some repeats, and looks as ratios to plain."""
    looks = (PLAIN, *LOOKS)
    yield f"| {size[1]} x {size[0]} | plain, ms | {' | '.join(LOOKS)} |"
    yield "|---" + "|---:" * len(looks) + "|"
    total = np.zeros(len(looks))
    for family in _SPEED:
        took = np.full(len(looks), np.inf)
        for _ in range(repeats):
            for i, look in enumerate(looks):
                scene = scene_in(family, look, 1)
                states = physics.simulate(scene, frame_times(_FRAMES, _FPS))
                begin = time.process_time()
                renderer, camera = Renderer(scene, size), camera_of(scene, states.t_s, size)
                for k in range(_FRAMES):
                    renderer.frame(states, camera, k)
                took[i] = min(took[i], 1000 * (time.process_time() - begin) / _FRAMES)
        total += took
        yield f"| {family} | {took[0]:.2f} | {' | '.join(f'{t / took[0]:.2f}' for t in took[1:])} |"
    yield f"| all | {total[0] / len(_SPEED):.2f} | {' | '.join(f'{t / total[0]:.2f}' for t in total[1:])} |"


def oracle(count: int, profile: str) -> Iterator[str]:
    """Yield lines of a Markdown table: true clips judged right / judged wrong / not judged, by probe, look and severity."""
    conditions = [(PLAIN, 1.0), *((look, s) for look in LOOKS for s in LOOK_SEVERITIES)]
    yield f"| {profile} | {' | '.join(f'{look} {s:g}' for look, s in conditions)} |"
    yield "|---" + "|---:" * len(conditions) + "|"
    totals = [Counter[str]() for _ in conditions]
    for name, probe in select_probes().items():
        cells = []
        for total, (look, severity) in zip(totals, conditions, strict=True):
            counts = Counter[str]()
            for mode in probe.modes:
                for case in probe.cases(count, registry.profile(profile), mode, 3, LookOptions(look, severity)):
                    video = true_video(case)
                    value = probe.score(case, video, track(video)).value
                    counts["none" if value is None else "right" if value >= MIN_NUISANCE else "wrong"] += 1
            total.update(counts)
            cells.append(f"{counts['right']} / {counts['wrong']} / {counts['none']}")
        yield f"| {name} | {' | '.join(cells)} |"
    shares = (t["right"] / t.total() for t in totals)
    yield f"| all | {' | '.join(f'{share:.1%}' for share in shares)} |"


def main(what: str, *more: str) -> None:
    """Write the sheet, or print a table."""
    if what == "sheet":
        Image.fromarray(sheet()).save(Path(more[0]) / "looks.jpg", quality=88)
    elif what == "speed":
        for size in ((64, 64), (480, 832)):
            print("\n".join(speed(size)), end="\n\n", flush=True)
    else:
        for line in oracle(int(more[0]) if more else 3, more[1] if len(more) > 1 else "small"):
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
