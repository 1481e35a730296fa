"""Operating curves of the natural tracker's answers, on real footage: right, wrong, abstained per question, and the thresholds.

    PYTHONPATH=tests python -m benchmarks.natural FOOTAGE [--kept FOLDER] [--show] [--write]

docs/natural.md says where the footage comes from. A virtual camera, a window that moves over the frames while they play, gives motion
whose truth is known over real pictures in which other things move; twins are mirrored, reversed, frozen, shuffled, cut and recoloured.
Thresholds are chosen on one half of the footage, the table is of the other.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from benchmarks.cost import ROOT, write
from tqdm import tqdm

from sora_eval.files import replacing
from sora_eval.tracking.natural import answers
from sora_eval.tracking.natural.camera import CameraPath, camera_path
from sora_eval.tracking.natural.cuts import cut_probability
from sora_eval.tracking.natural.detector import CLASSES
from sora_eval.tracking.natural.tracker import Objects, find_objects
from sora_eval.types import Floats, Frames, Video, digest
from sora_eval.video import read_video

FRAMES, SIZE = 25, (640, 352)
# Footage, first frames of stretches without a cut (seen by eye), whether the camera stands, labels that are there for all to see.
STRETCHES = {
    "choose": [
        ("bikes.mp4", 32, None, ("person", "car")),
        ("bikes.mp4", 100, None, ("person", "bicycle")),
        ("Megamind.avi", 14, None, ()),
        ("tree.avi", 10, True, ()),
    ],
    "report": [
        ("vtest.avi", 0, True, ("person", "car")),
        ("vtest.avi", 60, True, ("person", "car")),
        ("bigbuckbunny.mp4", 100, None, ()),
        ("carphone_pristine.mp4", 0, None, ("person",)),
    ],
}
# Stretches whose truth nobody wrote down: the mirrored one must get the mirrored answer.
UNLABELLED = {
    "choose": [("test.mp4", k) for k in (40, 200)],
    "report": [("trailer_bbb.mp4", k) for k in (40, 90)],
}
ABSENT = [
    "elephant",
    "zebra",
    "giraffe",
    "aeroplane",
    "boat",
    "pizza",
    "surfboard",
    "toilet",
    "bed",
    "sheep",
    "horse",
    "cow",
    "refrigerator",
    "hot dog",
    "banana",
    "skis",
    "oven",
    "kite",
    "train",
]
# Boxes of things that are pasted over other footage and moved: label, footage, frame, box in it, their height in the picture.
CUTOUTS = {
    "choose": [
        ("person", "bikes.mp4", 115, (374, 5, 490, 271), 200),
        ("bicycle", "bikes.mp4", 210, (270, 10, 565, 240), 170),
    ],
    "report": [
        ("person", "vtest.avi", 0, (492, 150, 536, 232), 200),
        ("person", "carphone_pristine.mp4", 0, (14, 14, 178, 143), 220),
    ],
}
BACKDROPS = {
    "choose": [("tree.avi", 10), ("Megamind.avi", 14)],
    "report": [("bigbuckbunny.mp4", 100), ("carphone_pristine.mp4", 45)],
}
MOST_WRONG = 0.01
MIRROR = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Trial:
    """A clip to be judged."""

    half: str
    """Which half of the footage."""
    stretch: tuple[str, int]
    """Footage and first frame."""
    move: str
    """Motion of the virtual camera, or of what is pasted."""
    twin: str
    """How the clip was changed, "" for not."""
    truth: Mapping[str, str]
    """{question: answer}, "-" where no answer is right."""
    cutout: int = -1
    """Index of what is pasted, -1 for nothing."""


@cache
def footage(folder: Path, name: str, start: int) -> Frames:
    """Return FRAMES frames of a file at the working size, cropped to its aspect."""
    frames = read_video(folder / name, max_frames=start + FRAMES).frames[start:]
    height, width = frames.shape[1:3]
    wide = min(width, round(height * SIZE[0] / SIZE[1]))
    high = min(height, round(wide * SIZE[1] / SIZE[0]))
    y, x = (height - high) // 2, (width - wide) // 2
    return np.stack([cv2.resize(f[y : y + high, x : x + wide], SIZE, interpolation=cv2.INTER_AREA) for f in frames])


def windows(move: str) -> list[tuple[float, float, float]]:
    """Return the virtual camera's window per frame: left and upper edge, and width, as shares of the frame."""
    t = np.linspace(0, 1, FRAMES)
    ease = t * t * (3 - 2 * t)
    still = np.full(FRAMES, 0.2)
    if move in ("left", "right"):
        x = 0.02 + 0.35 * (ease if move == "right" else 1 - ease)
        return [(float(a), 0.2, 0.6) for a in x]
    if move in ("up", "down"):
        y = 0.02 + 0.35 * (ease if move == "down" else 1 - ease)
        return [(0.2, float(a), 0.6) for a in y]
    if move in ("in", "out"):
        width = 0.95 - 0.4 * (ease if move == "in" else 1 - ease)
        return [(float(0.5 - w / 2), float(0.5 - w / 2), float(w)) for w in width]
    if move in ("there and back", "away"):
        way = np.sin(np.pi * t) if move == "there and back" else ease
        return [(float(0.02 + 0.6 * a), 0.3, 0.36) for a in way]
    return [(float(a), 0.2, 0.6) for a in still]


def filmed(frames: Frames, move: str) -> Frames:
    """Return the frames through the virtual camera."""
    width, height = SIZE
    made = []
    for frame, (x, y, w) in zip(frames, windows(move), strict=True):
        matrix = np.array([[1 / w, 0, -x * width / w], [0, 1 / w, -y * height / w]])
        made.append(cv2.warpAffine(frame, matrix, SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))
    return np.stack(made)


def pasted(folder: Path, trial: Trial, frames: Frames) -> Frames:
    """Return the frames with a cut-out that moves over them."""
    _, name, k, (x0, y0, x1, y1), high = CUTOUTS[trial.half][trial.cutout]
    thing = read_video(folder / name, max_frames=k + 1).frames[k][y0:y1, x0:x1]
    wide = round(high * (x1 - x0) / (y1 - y0))
    thing = cv2.resize(thing, (wide, high), interpolation=cv2.INTER_CUBIC)
    soft = np.zeros((high, wide), np.float32)
    cv2.rectangle(soft, (8, 8), (wide - 9, high - 9), 1.0, -1)
    soft = cv2.GaussianBlur(soft, (0, 0), 4)[..., None]
    made = frames.copy()
    for i, frame in enumerate(made):
        share = i / (FRAMES - 1)
        share = 1 - share if trial.move == "left" else 0.5 if trial.move == "still" else share
        x, y = round(20 + share * (SIZE[0] - wide - 40)), SIZE[1] - high - 20
        part = frame[y : y + high, x : x + wide]
        frame[y : y + high, x : x + wide] = (soft * thing + (1 - soft) * part).round().astype(np.uint8)
    return made


def clip(folder: Path, trial: Trial) -> Frames:
    """Return the frames of a trial."""
    frames = footage(folder, *trial.stretch)
    if trial.cutout >= 0:
        frames = pasted(folder, trial, frames)
    elif trial.move not in ("native", "whole"):
        frames = filmed(frames, trial.move)
    if trial.twin.startswith("mirrored"):
        frames = frames[:, :, ::-1]
    if trial.twin == "reversed":
        frames = frames[::-1]
    if trial.twin == "frozen":
        frames = np.repeat(frames[:1], FRAMES, axis=0)
    if trial.twin == "shuffled":
        frames = frames[np.random.default_rng(0).permutation(FRAMES)]
    if trial.twin == "recoloured":
        hsv = np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2HSV) for f in frames])
        hsv[..., 0] = (hsv[..., 0].astype(int) + 60) % 180
        frames = np.stack([cv2.cvtColor(f, cv2.COLOR_HSV2RGB) for f in hsv])
    if trial.twin == "dim and noisy":
        noise = np.random.default_rng(0).normal(0, 8, frames.shape)
        frames = np.clip(0.5 * frames + noise, 0, 255).astype(np.uint8)
    if trial.twin == "cut":
        every = [s[:2] for s in STRETCHES[trial.half]]
        other = next(s for s in every[every.index(trial.stretch) :] + every if s[0] != trial.stretch[0])
        frames = np.concatenate([frames[: FRAMES // 2], filmed(footage(folder, *other), trial.move)[FRAMES // 2 :]])
    return np.ascontiguousarray(frames)


def camera_truth(move: str) -> dict[str, str]:
    """Return the truth of a virtual camera's motion over footage whose own is far smaller."""
    side = {"left": "left", "right": "right", "away": "right"}.get(move, "-")
    zoom = move if move in ("in", "out") else "-"
    truth = {answers.SIDE: side, answers.ZOOM: zoom, answers.CUT: "no"}
    truth[answers.REVISIT] = "yes" if move == "there and back" else "no"
    return truth | ({answers.MOVES: "yes"} if move != "standing" else {})


def trials() -> Iterator[Trial]:
    """Yield all trials."""
    for half, stretches in STRETCHES.items():
        for name, start, standing, _ in stretches:
            at = (name, start)
            for move in ("left", "in", "there and back", "away", "standing"):
                truth = camera_truth(move) | ({answers.MOVES: "no"} if move == "standing" and standing else {})
                yield Trial(half, at, move, "", truth)
                flipped = {**truth, answers.SIDE: MIRROR.get(truth[answers.SIDE], truth[answers.SIDE])}
                if move in ("left", "away"):
                    yield Trial(half, at, move, "mirrored", flipped)
            yield Trial(half, at, "whole", "", {})
            right = camera_truth("right")
            yield Trial(half, at, "right", "reversed", {**right, answers.SIDE: "left"})
            yield Trial(half, at, "in", "reversed", {**camera_truth("in"), answers.ZOOM: "out"})
            rest = {answers.MOVES: "no", answers.SIDE: "-", answers.ZOOM: "-", answers.CUT: "no", answers.REVISIT: "no"}
            yield Trial(half, at, "right", "frozen", rest)
            yield Trial(half, at, "left", "recoloured", camera_truth("left"))
            yield Trial(half, at, "right", "shuffled", {answers.SIDE: "-", answers.ZOOM: "-"})
            yield Trial(half, at, "left", "cut", {answers.CUT: "yes"})
        for at in UNLABELLED[half]:
            yield Trial(half, at, "native", "", {})
            yield Trial(half, at, "native", "mirrored native", {})
        for k, (_, source, _, _, _) in enumerate(CUTOUTS[half]):
            for at in BACKDROPS[half]:
                if at[0] == source:
                    continue
                for move in ("left", "right"):
                    yield Trial(half, at, move, "", {answers.HEADING: move}, k)
                    yield Trial(half, at, move, "mirrored", {answers.HEADING: MIRROR[move]}, k)
                yield Trial(half, at, "still", "", {answers.HEADING: "-"}, k)
                yield Trial(half, at, "left", "frozen", {answers.HEADING: "-"}, k)


def measured(folder: Path, trial: Trial, kept: Path | None) -> tuple[CameraPath, Floats, Objects | None]:
    """Return the camera's path, the probability of a cut and the objects of a trial, measured once for all calls with the same `kept`."""
    file = (
        kept / f"{digest([*trial.stretch, trial.half, trial.move, trial.twin, trial.cutout])}.pickle" if kept else None
    )
    if file and file.is_file():
        found: tuple[CameraPath, Floats, Objects | None] = pickle.loads(file.read_bytes())
        return found
    video = Video(clip(folder, trial), 12.0)
    looked = trial.cutout >= 0 or trial.move == "whole"
    found = (
        camera_path(video.frames),
        np.zeros(FRAMES) if looked else cut_probability(video.frames),
        find_objects(video) if looked else None,
    )
    if file:
        with replacing(file) as part:
            part.write_bytes(pickle.dumps(found))
    return found


def judge(folder: Path, kept: Path | None, trial: Trial) -> list[dict[str, object]]:
    """Return a row per question: what is true, and the guess."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    path, cut, objects = measured(folder, trial, kept)
    rows = []

    def row(question: str, truth: str, guess: answers.Guess) -> None:
        about = {"half": trial.half, "stretch": list(trial.stretch), "move": trial.move, "twin": trial.twin}
        said = {"truth": truth, "answer": guess.answer, "confidence": float(guess.confidence), "seen": guess.seen}
        rows.append({**about, "cutout": trial.cutout, "question": question, **said})

    if objects and trial.cutout >= 0:
        guess = answers.heading(CUTOUTS[trial.half][trial.cutout][0], objects.tracks, path, FRAMES, SIZE[0])
        row(answers.HEADING, trial.truth[answers.HEADING], guess)
        return rows
    if objects:
        labels = next(s[3] for s in STRETCHES[trial.half] if s[:2] == trial.stretch)
        for label in (*labels, *ABSENT):
            guess = answers.presence(label, objects.tracks, objects.best, objects.looked)
            row(answers.PRESENT, "yes" if label in labels else "no", guess)
        return rows
    guesses = answers.camera_guesses(path, cut)
    for question, guess in guesses.items():
        # Answers on motion are withheld where a cut isn't ruled out.
        sure = question == answers.CUT or answers.decided(answers.CUT, guesses[answers.CUT]).answer == "no"
        confidence = guess.confidence if sure else 0.0
        row(question, trial.truth.get(question, "?"), answers.Guess(guess.answer, confidence, guess.seen))
    return rows


def kind(question: str, answer: str) -> str:
    """Return the key of an answer's threshold."""
    return "" if (question, "") in answers.THRESHOLDS else answer


def chosen(rows: Sequence[Mapping[str, object]]) -> dict[tuple[str, str], float]:
    """Return the thresholds at which nothing of these rows is wrong, with a margin: half-way to the next right answer, .05 at least."""
    made = {}
    for question, answer in answers.THRESHOLDS:
        own = [
            r
            for r in rows
            if r["question"] == question and kind(question, str(r["answer"])) == answer and r["truth"] != "?"
        ]
        wrong = max((float(str(r["confidence"])) for r in own if r["answer"] != r["truth"]), default=0.0)
        right = [c for r in own if r["answer"] == r["truth"] and (c := float(str(r["confidence"]))) > wrong]
        made[question, answer] = max(0.05, (wrong + min(right)) / 2) if right else 1.01
    return made


def counted(rows: Sequence[Mapping[str, object]], thresholds: Mapping[tuple[str, str], float]) -> list[list[str]]:
    """Return the lines of the table: question, trials with an answer, right, wrong, abstained, and answers where none is right."""
    lines = []
    for question in dict.fromkeys(q for q, _ in thresholds):
        own = [r for r in rows if r["question"] == question and r["truth"] != "?"]
        # The question about hands has footage of its own (benchmarks.natural_hands).
        if not own:
            continue
        given = [
            r for r in own if float(str(r["confidence"])) >= thresholds[question, kind(question, str(r["answer"]))]
        ]
        right = sum(r["answer"] == r["truth"] for r in given)
        wrong = len(given) - right
        n = max(len(own), 1)
        parts = [f"{100 * v / n:.1f}%" for v in (right, wrong, len(own) - len(given))]
        least = ", ".join(f"{a or 'both'} {t:.2f}" for (q, a), t in thresholds.items() if q == question)
        lines.append([question, str(len(own)), *parts, str(wrong), least])
    return lines


def against(rows: Sequence[Mapping[str, object]], thresholds: Mapping[tuple[str, str], float]) -> tuple[int, int]:
    """Return how many mirrored clips get the side of the one that is not mirrored, and how many pairs have two answers."""
    sides: dict[object, dict[bool, object]] = {}
    for r in rows:
        if (
            r["question"] in (answers.SIDE, answers.HEADING)
            and float(str(r["confidence"])) >= thresholds[str(r["question"]), ""]
        ) and r["twin"] in ("", "mirrored", "mirrored native"):
            key = (r["question"], str(r["stretch"]), r["move"], r["cutout"])
            sides.setdefault(key, {})[r["twin"] != ""] = r["answer"]
    pairs = [s for s in sides.values() if len(s) == 2]
    return sum(s[True] == s[False] for s in pairs), len(pairs)


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the table of a half of the footage at the published thresholds."""
    lines = [
        "| question | trials | right | wrong | abstained | wrong ones | threshold |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(line)} |" for line in counted(rows, answers.THRESHOLDS)]
    wrong, pairs = against(rows, answers.THRESHOLDS)
    sides = f"Mirrored clips with the side of the one that is not mirrored: {wrong} of {pairs} pairs with two answers."
    return "\n".join([*lines, "", sides])


def main() -> int:
    """Judge all trials and print the table of both halves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("footage", type=Path)
    parser.add_argument(
        "--kept", type=Path, help="a folder for what was measured, so that another rule is tried in seconds"
    )
    parser.add_argument("--show", action="store_true", help="print the wrong answers")
    parser.add_argument("--write", action="store_true", help="write the table of the second half into docs/natural.md")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.kept:
        options.kept.mkdir(parents=True, exist_ok=True)
    every = list(trials())
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        made = pool.map(partial(judge, options.footage, options.kept), every, chunksize=1)
        rows = [row for found in tqdm(made, total=len(every)) for row in found]
    halves = {half: [r for r in rows if r["half"] == half] for half in STRETCHES}
    made = chosen(halves["choose"])
    for r in rows if options.show else []:
        limit = answers.THRESHOLDS[str(r["question"]), kind(str(r["question"]), str(r["answer"]))]
        if r["truth"] not in ("?", r["answer"]) and float(str(r["confidence"])) >= limit:
            print({k: v for k, v in r.items() if k != "seen"}, r["seen"])
    print("\nchosen on one half:", {f"{q} {a}".strip(): round(t, 3) for (q, a), t in made.items()})
    for half, own in halves.items():
        print(f"\n{half}, at the published thresholds\n\n{table(own)}")
    if options.write:
        write(ROOT / "docs" / "natural.md", "operating curves", table(halves["report"]))
    assert set(ABSENT) <= set(CLASSES)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
