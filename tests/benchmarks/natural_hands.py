"""Operating curve of the answer which hand somebody uses, on real footage of people: right, wrong, abstained.

    PYTHONPATH=tests python -m benchmarks.natural_hands FOOTAGE [--write]

docs/natural.md says where the footage comes from. In the clips of Pose2Sim a man raises his right hand before four cameras, two of which
see his face (blurred) and two his back; the rule was written on these. Elsewhere both hands move, or none; of a man who moves both arms,
half of the picture is frozen, so that one moves. Twins are mirrored, reversed and frozen at the first frame, in which the hands hang.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from benchmarks.cost import ROOT, write
from numpy.typing import NDArray
from tqdm import tqdm

from sora_eval.tracking.natural import answers
from sora_eval.tracking.natural.people import litert
from sora_eval.tracking.natural.people.use import LOOKED, hand_guess
from sora_eval.tracking.natural.tracker import find_objects, people_together
from sora_eval.tracking.natural.weights import NaturalWeights
from sora_eval.types import Frames, Video
from sora_eval.video import read_video

SIDE = 704
"""Longer side of the clips, pixels."""
MIRROR = {"left": "right", "right": "left", "-": "-"}
ONE, TWO, MAN, OTHERS = "one hand", "both hands or none", "one hand, made", "other footage"


@dataclass(frozen=True)
class Stretch:
    """A stretch of footage."""

    file: str
    """Name."""
    first: int
    """First frame."""
    last: int
    """The one after the last."""
    truth: str
    """left or right, "-" where no answer is right."""
    group: str
    """Row of the table."""
    crop: tuple[int, int, int, int] | None = None
    """x0, y0, x1, y1 in pixels."""
    frozen: str = ""
    """Half of the picture that is frozen at the first frame, left or right, at the man's middle."""


JUMPS = (380, 0, 980, 500)
STRETCHES = (
    *(Stretch(f"single_cam0{k}.mp4", 0, 60, "right", ONE) for k in (1, 2, 3, 4)),
    *(Stretch(f"single_cam0{k}.mp4", 60, 100, "-", TWO) for k in (1, 3)),
    *(Stretch(f"multi_cam0{k}.mp4", 0, 60, "-", "two people") for k in (2, 4)),
    Stretch("sports2d.mp4", 0, 36, "-", TWO, JUMPS),
    Stretch("sports2d.mp4", 36, 76, "-", TWO, JUMPS),
    Stretch("sports2d.mp4", 0, 36, "right", MAN, JUMPS, "right"),
    Stretch("sports2d.mp4", 0, 36, "left", MAN, JUMPS, "left"),
    Stretch("sports2d.mp4", 60, 150, "-", OTHERS, (700, 480, 1500, 994)),
    Stretch("vtest.avi", 0, 50, "-", OTHERS),
    Stretch("bikes.mp4", 100, 150, "-", OTHERS),
    Stretch("carphone_pristine.mp4", 0, 60, "-", OTHERS),
)
TWINS = ("", "mirrored", "reversed", "frozen")


def clip(folder: Path, stretch: Stretch) -> Frames:
    """Return the frames that are looked at."""
    frames = read_video(folder / stretch.file, max_frames=stretch.last).frames[stretch.first :]
    frames = frames[np.linspace(0, len(frames) - 1, LOOKED).round().astype(int)]
    if stretch.crop:
        x0, y0, x1, y1 = stretch.crop
        frames = frames[:, y0:y1, x0:x1]
    if stretch.frozen:
        # The man's middle in the crop, measured by eye; he steps to the side by some pixels.
        middle = 290
        half = slice(0, middle) if stretch.frozen == "left" else slice(middle, None)
        frames = frames.copy()
        frames[:, :, half] = frames[:1, :, half]
    factor = SIDE / max(frames.shape[1:3])
    size = (round(frames.shape[2] * factor), round(frames.shape[1] * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.stack([cv2.resize(f, size, interpolation=way) for f in frames])


def changed(frames: Frames, twin: str) -> Frames:
    """Return a twin of a clip."""
    if twin == "mirrored":
        frames = frames[:, :, ::-1]
    if twin == "reversed":
        frames = frames[::-1]
    if twin == "frozen":
        frames = np.repeat(frames[:1], len(frames), axis=0)
    return np.ascontiguousarray(frames)


def remembered() -> None:
    """Keep what the networks say of a picture: twins consist of the same pictures."""
    kept: dict[tuple[str, bytes], list[NDArray[np.float32]]] = {}
    asked = litert.run

    def run(file: NaturalWeights, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        key = (file.name, hashlib.sha256(image.tobytes()).digest())
        if key not in kept:
            kept[key] = asked(file, image)
        return kept[key]

    changed_module: Any = litert
    changed_module.run = run


def judged(folder: Path) -> Iterator[tuple[Stretch, str, str, answers.Guess]]:
    """Yield (stretch, twin, truth, guess) of all trials."""
    for stretch in tqdm(STRETCHES):
        frames = clip(folder, stretch)
        for twin in TWINS:
            video = Video(changed(frames, twin), 8.0)
            guess = hand_guess(video.frames, people_together(find_objects(video)))
            truth = "-" if twin == "frozen" else MIRROR[stretch.truth] if twin == "mirrored" else stretch.truth
            yield stretch, twin, truth, guess


TRIED = 0.75
"""Confidence from which on an answer counts in the table: strict. The published threshold lies higher where it is wrong too often."""


def table(rows: list[tuple[Stretch, str, str, answers.Guess]]) -> str:
    """Return the table at a confidence of `TRIED`."""
    least = TRIED
    lines = [
        "| footage | clips with twins | one hand is right in | right | wrong | abstained | surest wrong one |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in dict.fromkeys(stretch.group for stretch in STRETCHES):
        own = [r for r in rows if r[0].group == group]
        count = Counter(
            "abstained" if g.confidence < least else "right" if g.answer == truth else "wrong" for _, _, truth, g in own
        )
        worst = max((g.confidence for _, _, truth, g in own if g.answer != truth), default=0.0)
        known = sum(truth != "-" for _, _, truth, _ in own)
        figures = [len(own), known, *(count[k] for k in ("right", "wrong", "abstained"))]
        lines.append(f"| {group} | {' | '.join(map(str, figures))} | {worst:.2f} |")
    given = {(s, twin): g.answer for s, twin, _, g in rows if g.confidence >= least}
    pairs = [s for s in STRETCHES if (s, "") in given and (s, "mirrored") in given]
    same = sum(given[s, ""] == given[s, "mirrored"] for s in pairs)
    sides = f"Mirrored clips with the same hand: {same} of {len(pairs)} pairs with two answers."
    return "\n".join([*lines, "", f"Answers of a confidence of {least:.2f} and more. {sides}"])


def main() -> int:
    """Judge all clips and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("footage", type=Path)
    parser.add_argument("--write", action="store_true", help="write the table into docs/natural.md")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    remembered()
    rows = list(judged(options.footage))
    for stretch, twin, truth, guess in rows:
        at = f"{stretch.file} {stretch.first} {stretch.frozen} {twin}"
        print(f"{at:44} truth {truth:6} {guess.answer:6} {guess.confidence:.2f} {guess.seen}")
    print(table(rows))
    if options.write:
        write(ROOT / "docs" / "natural.md", "hands", table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
