"""Verdicts on the camera of prompts in plain words, on real footage: right, wrong and not judged, by expectation and tracker.

    PYTHONPATH=tests python -m benchmarks.natural_verdicts FOOTAGE [--kept FOLDER] [--write]

Clips and their truth are those of benchmarks.natural, both halves of the footage, and a camera that tilts. Judges are the probes that
score a user's prompts. Where no answer is right, as on the circle of a camera that pans, any verdict is wrong.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from benchmarks.cost import ROOT, write
from benchmarks.natural import STRETCHES, Trial, clip, measured, trials
from tqdm import tqdm

from sora_eval import registry
from sora_eval.probes.natural import probe_for
from sora_eval.probes.natural.expectations import to_json
from sora_eval.probes.natural.views import Camera, Revisit, Shot
from sora_eval.probes.natural.words import Expectation
from sora_eval.tracking.labelled import labelled_tracks
from sora_eval.tracking.natural import answers
from sora_eval.types import Video

ASKED: dict[str, Expectation] = {
    "camera: pan left": Camera("left"),
    "camera: truck left": Camera("left", "truck"),
    "camera: tilt up": Camera("up", "tilt"),
    "camera: zoom in": Camera("in", "zoom"),
    "camera: dolly in": Camera("in", "dolly"),
    "camera: orbit left": Camera("left", "orbit"),
    "camera: roll left": Camera("left", "roll"),
    "camera: still": Camera("", "still"),
    "revisit: away to the left and back": Revisit("left"),
    "revisit: away to the right and back": Revisit("right"),
    "shot: one": Shot("one"),
}


def truth(expectation: Expectation, trial: Trial) -> str:
    """Return whether a clip shows what is expected: yes, no, "-" where no answer is right, "?" where nobody knows."""
    known = trial.truth
    if isinstance(expectation, Revisit):
        back = known.get(answers.REVISIT, "?")
        # The virtual camera first goes to the right.
        return "no" if back == "yes" and expectation.to == "left" else back
    if isinstance(expectation, Shot):
        return {"yes": "no", "no": "yes"}.get(known.get(answers.CUT, "?"), "?")
    assert isinstance(expectation, Camera)
    if not expectation.to:
        return {"yes": "no", "no": "yes"}.get(known.get(answers.MOVES, "?"), "?")
    question = {"pan": answers.SIDE, "truck": answers.SIDE, "zoom": answers.ZOOM, "dolly": answers.ZOOM}
    if expectation.kind == "tilt":
        way = trial.move if trial.move in ("up", "down") else "?"
    elif expectation.kind in ("orbit", "roll"):
        way = "-" if known and trial.move != "native" else "?"
    else:
        way = known.get(question[expectation.kind], "?")
    return way if way in "-?" else "yes" if way == expectation.to else "no"


def every() -> Iterator[Trial]:
    """Yield the clips."""
    yield from (t for t in trials() if t.cutout < 0 and t.move != "whole")
    for half, stretches in STRETCHES.items():
        for name, start, standing, _ in stretches:
            # Footage whose own camera may move is no truth for a slow tilt.
            if standing:
                yield from (Trial(half, (name, start), move, "", {answers.CUT: "no"}) for move in ("up", "down"))


def judged(folder: Path, kept: Path | None, trial: Trial) -> list[tuple[str, str, str]]:
    """Return (tracker, expectation, outcome) of a clip: right, wrong or not judged."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    path, cut, _ = measured(folder, trial, kept)
    video = Video(clip(folder, trial), 12.0)
    nothing = labelled_tracks([], np.zeros((0, len(video), 4)), video.size, video.fps)
    found = answers.decided_camera(answers.camera_guesses(path, cut))
    case = registry.probe("relation").cases(1, registry.profile("small"), "t2v")[0]
    rows = []
    for name, expectation in ASKED.items():
        shown = truth(expectation, trial)
        if shown == "?":
            continue
        probe = registry.probe(probe_for(expectation))
        asked = replace(case, probe=probe.name, scene={}, expect=to_json(expectation), prompt="a scene")
        for tracker, tracks in (("natural", replace(nothing, findings=found)), ("world", nothing)):
            value = probe.score(asked, video, tracks).value
            right = value == {"yes": 1.0, "no": 0.0}.get(shown)
            rows.append((tracker, name, "not judged" if value is None else "right" if right else "wrong"))
    return rows


def table(rows: list[tuple[str, str, str]]) -> str:
    """Return the table of all clips."""
    lines = ["| expectation | tracker | clips | right | wrong | not judged |", "|---|---|---|---|---|---|"]
    for name in ASKED:
        for tracker in ("natural", "world"):
            own = Counter(r[2] for r in rows if r[:2] == (tracker, name))
            figures = " | ".join(str(own[o]) for o in ("right", "wrong", "not judged"))
            lines.append(f"| `{name}` | {tracker} | {own.total()} | {figures} |")
    return "\n".join(lines)


def main() -> int:
    """Judge all clips and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("footage", type=Path)
    parser.add_argument("--kept", type=Path, help="the folder of benchmarks.natural with what was measured")
    parser.add_argument("--write", action="store_true", help="write the table into docs/prompts.md")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    clips = list(every())
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        made = pool.map(partial(judged, options.footage, options.kept), clips, chunksize=1)
        rows = [row for found in tqdm(made, total=len(clips)) for row in found]
    print(table(rows))
    if options.write:
        write(ROOT / "docs" / "prompts.md", "verdicts on the camera", table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
