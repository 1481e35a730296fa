"""Measures of the reference generator on held-out members of the world: what `sora-eval eval-tasks` prints.

Each measure looks at the model, at the world's own clip (oracle) and at its first frame held still (frozen). The tracker of the world
judges; what a shape looks like to it is learnt from a few training clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from sora_eval.data.heldout import FIRST, FRAMES, SIZE, Member, member, members
from sora_eval.data.shards import ACTIONS, FPS, actions_of
from sora_eval.generator.reference.tasks import Sampler
from sora_eval.metrics.similarity import psnr, ssim
from sora_eval.tracking.world import track
from sora_eval.types import Floats, Frames, Tracks, Video
from sora_eval.world import clip, scene_of
from sora_eval.world.families import FAMILIES
from sora_eval.world.families.common import SHAPES

VERSION = "3"
"""Raised whenever a measure of the same clips changes."""
_ASPECTS: Mapping[str, tuple[int, int]] = {"wide": (64, 96), "tall": (96, 64)}
_ONE_M = 0.12
"""A way, as a share of the frame, from which on a thing has moved; the slowest asked-for one is twice that."""
_GROWN = 1.12
_DESCRIPTORS = ("extent", "aspect", "taper", "shade")
_CALIBRATION = 64
_BLURS = (0.0, 0.7, 1.1)


@dataclass(frozen=True)
class Row:
    """One figure: of the model, of the world itself and of its frozen first frame; NaN where one has no answer.

    n: clips that the model's figure is a mean over. error: the standard error of that mean; of a ratio of means, with the
    ordinary change taken as known.
    """

    task: str
    measure: str
    model: float
    oracle: float
    frozen: float
    goal: str = ""
    n: int = 0
    error: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values: what has no answer is null."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


@lru_cache(maxsize=1)
def _shapes() -> tuple[Floats, Floats]:
    """Return the mean descriptors of each shape [4, D] and the inverse of their common covariance [D, D], from training clips.

    Sharp and blurred ones: a cube with soft edges is a cube. (Linear discriminant analysis.)
    """
    looks: list[Floats] = []
    names: list[str] = []
    for i in range(_CALIBRATION):
        true = member("single", i, FRAMES, "training")
        for sigma in _BLURS:
            soft = [cv2.GaussianBlur(f, (0, 0), sigma) if sigma else f for f in true.frames]
            tracks = track(Video(np.stack(soft), FPS))
            if len(tracks):
                looks.append(_look(tracks, _main(tracks)))
                names.append(true.params["hero"]["shape"])
    x = np.array(looks)
    means = np.array([x[np.array(names) == shape].mean(axis=0) for shape in SHAPES])
    inside = x - means[[SHAPES.index(n) for n in names]]
    return means, np.linalg.inv(inside.T @ inside / len(x) + 4e-4 * np.eye(len(_DESCRIPTORS)))


def _look(tracks: Tracks, i: int) -> Floats:
    return np.array([np.nanmedian(tracks.shape[d][i]) for d in _DESCRIPTORS])


def _main(tracks: Tracks) -> int:
    return int(np.argmax(np.where(tracks.visible, tracks.area, 0).sum(axis=1)))


def shape_of(tracks: Tracks, i: int) -> str:
    """Return the shape that a track looks most like: ball, cube, cylinder or cone."""
    means, inverse = _shapes()
    away = _look(tracks, i) - means
    return SHAPES[int(np.argmin(np.einsum("sd,de,se->s", away, inverse, away)))]


def motion_of(tracks: Tracks, i: int) -> str:
    """Return how a track moves: left, right, up, down, closer, away or still."""
    at = np.flatnonzero(tracks.visible[i])
    if len(at) < 4:
        return ""
    a, b = at[:3], at[-3:]
    way = (tracks.xy[i][b].mean(axis=0) - tracks.xy[i][a].mean(axis=0)) / np.array(tracks.size[::-1])
    grown = float(np.sqrt(tracks.area[i][b].mean() / tracks.area[i][a].mean()))
    # Coming closer moves a thing down a little, and changes its size as nothing else does.
    if grown > _GROWN or grown < 1 / _GROWN:
        return "closer" if grown > 1 else "away"
    if np.abs(way).max() < _ONE_M:
        return "still"
    if abs(way[0]) >= abs(way[1]):
        return "right" if way[0] > 0 else "left"
    return "down" if way[1] > 0 else "up"


def single(frames: Frames, params: Mapping[str, Any]) -> dict[str, float]:
    """Judge a clip of one thing: colour, exactly one object, motion, shape; 1 or 0 each."""
    tracks = track(Video(frames, FPS))
    if not len(tracks):
        return {"colour": 0.0, "one object": 0.0, "direction": 0.0, "shape": 0.0}
    i = _main(tracks)
    hero = params["hero"]
    largest = tracks.area[i][tracks.visible[i]].mean()
    real = [tracks.visible[j] & (tracks.area[j] > 0.15 * largest) for j in range(len(tracks))]
    alone = (np.sum(real, axis=0) == 1).mean() >= 0.8
    return {
        "colour": float(tracks.colour[i] == hero["colour"]),
        "one object": float(alone),
        "direction": float(motion_of(tracks, i) == params["motion"]),
        "shape": float(shape_of(tracks, i) == hero["shape"]),
    }


def sided(frames: Frames, params: Mapping[str, Any]) -> dict[str, float]:
    """Judge a clip of two things: whether a is on the side of b that was said, in most frames."""
    tracks = track(Video(frames, FPS))
    a, b = (tracks.of(params[k]["colour"]) for k in ("a", "b"))
    if not a or not b:
        return {"side": 0.0}
    with np.errstate(invalid="ignore"):
        right = tracks.xy[a[0], :, 0] > tracks.xy[b[0], :, 0]
    both = tracks.visible[a[0]] & tracks.visible[b[0]]
    wanted = right if params["side"] == "right" else ~right
    return {"side": float(both.mean() > 0.5 and wanted[both].mean() > 0.5)}


def framed(frames: Frames, params: Mapping[str, Any]) -> dict[str, float]:
    """Judge how a clip of one thing uses its frame: whether it is one thing, and whole in view most of the time; 1 or 0 each.

    Brooks et al. 2024: trained on square crops, a model shows its subject only partly in view.
    """
    tracks = track(Video(frames, FPS))
    if not len(tracks):
        return {"one object": 0.0, "whole in view": 0.0}
    i = _main(tracks)
    inside = tracks.visible[i] & (np.nan_to_num(tracks.shape["edge"][i], nan=1.0) == 0)
    return {"one object": single(frames, params)["one object"], "whole in view": float(inside.mean() >= 0.8)}


def seam(before: Frames, after: Frames) -> float:
    """Return the change from the end of one clip to the beginning of the next, in levels of 0..255."""
    return float(np.abs(before[-1].astype(np.float64) - after[0]).mean())


def ordinary(frames: Frames) -> float:
    """Return the mean change from frame to frame, in levels of 0..255."""
    return float(_changes(frames).mean())


def _changes(frames: Frames) -> Floats:
    found: Floats = np.abs(np.diff(frames.astype(np.float64), axis=0)).mean(axis=(1, 2, 3))
    return found


def _relative(
    task: str, goals: Mapping[str, str], usual: Sequence[float], model: Any, oracle: Any, frozen: Any
) -> Iterator[Row]:
    """Yield rows of changes over the ordinary change of the true clips, `usual`.

    A ratio of means: of a clip that stands still, a ratio by itself would be of nothing. What is drawn has no say in what is ordinary.
    """
    whole = float(np.mean(usual))
    trio = [[{k: c[k] / whole for k in goals} for c in clips] for clips in (model, oracle, frozen)]
    yield from _rows(task, goals, *trio)


def _rows(task: str, goals: Mapping[str, str], model: Any, oracle: Any, frozen: Any) -> Iterator[Row]:
    for key, goal in goals.items():
        made, true, held = (
            [v[key] for v in values if key in v and np.isfinite(v[key])] for values in (model, oracle, frozen)
        )
        error = float(np.std(made, ddof=1) / len(made) ** 0.5) if len(made) > 1 else math.nan
        yield Row(task, key, _mean(made), _mean(true), _mean(held), goal, len(made), error)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _autoencoder(s: Sampler, count: int) -> Iterator[Row]:
    names = list(FAMILIES)
    clips = [member(names[i % len(names)], FIRST + i) for i in range(count)]
    singles = members("single", count)

    def pair(true: Member) -> dict[str, float]:
        made, image = s.reconstruct(true.frames), s.reconstruct(true.frames[:1])
        found = {
            "PSNR, videos (dB, mean over frames)": psnr(made, true.frames),
            "PSNR, images (dB)": psnr(image, true.frames[:1]),
        }
        return {**found, "SSIM, videos": ssim(made, true.frames), "SSIM, images": ssim(image, true.frames[:1])}

    def shape(frames: Frames, true: Member) -> dict[str, float]:
        return {"shape, seen by the tracker": single(frames, true.params)["shape"]}

    goals = {
        "PSNR, videos (dB, mean over frames)": ">= 32",
        "PSNR, images (dB)": "",
        "SSIM, videos": "",
        "SSIM, images": "",
    }
    frozen = [
        {"PSNR, videos (dB, mean over frames)": psnr(c.frozen, c.frames), "SSIM, videos": ssim(c.frozen, c.frames)}
        for c in clips
    ]
    perfect = [dict.fromkeys(goals, 1.0) | {k: psnr(c.frames, c.frames) for k in goals if "PSNR" in k} for c in clips]
    yield from _rows("autoencoder", goals, [pair(c) for c in clips], perfect, frozen)
    made = [shape(s.reconstruct(c.frames), c) for c in singles]
    true = [shape(c.frames, c) for c in singles]
    goal = {"shape, seen by the tracker": ">= .95"}
    yield from _rows("autoencoder", goal, made, true, [])


def _text(s: Sampler, count: int) -> Iterator[Row]:
    goals = {"colour": ">= .95", "one object": ">= .9", "direction": ">= .8", "shape": ">= .7"}
    some = members("single", count)
    made = [single(s.text_to_video(m.caption, FRAMES, SIZE, m.number).frames, m.params) for m in some]
    true, held = ([single(f, m.params) for f, m in zip(fs, some, strict=True)] for fs in _references(some))
    yield from _rows("text to video", goals, made, true, held)
    pairs = members("relation", count)
    two = [sided(s.text_to_video(m.caption, FRAMES, SIZE, m.number).frames, m.params) for m in pairs]
    true, held = ([sided(f, m.params) for f, m in zip(fs, pairs, strict=True)] for fs in _references(pairs))
    yield from _rows("text to video, two things", {"side": ">= .75"}, two, true, held)
    images = [single(np.repeat(s.text_to_image(m.caption, SIZE, m.number)[None], 5, 0), m.params) for m in some]
    stills = [single(m.frozen[:5], m.params) for m in some]
    yield from _rows("text to image", {"colour": "", "one object": "", "shape": ""}, images, stills, [])


def _aspect(s: Sampler, count: int) -> Iterator[Row]:
    for name, size in _ASPECTS.items():
        some = members("single", count, size=size)
        made = [framed(s.text_to_video(m.caption, FRAMES, size, m.number).frames, m.params) for m in some]
        true, held = ([framed(f, m.params) for f, m in zip(fs, some, strict=True)] for fs in _references(some))
        yield from _rows(f"text to video, {name}", {"one object": "", "whole in view": ""}, made, true, held)


def _references(some: Sequence[Member]) -> tuple[list[Frames], list[Frames]]:
    return [m.frames for m in some], [m.frozen for m in some]


def _image(s: Sampler, count: int) -> Iterator[Row]:
    def look(frames: Frames, m: Member) -> dict[str, float]:
        found = single(frames, m.params)
        return {
            "first frame (dB)": psnr(frames[:1], m.frames[:1]),
            "the next four, to the true ones (dB, mean over frames)": psnr(frames[1:5], m.frames[1:5]),
            "direction": found["direction"],
            "shape": found["shape"],
        }

    some = members("single", count)
    made = [look(s.continue_video(m.frames[:1], m.caption, FRAMES, m.number).frames, m) for m in some]
    without = [look(s.continue_video(m.frames[:1], "", FRAMES, m.number).frames, m) for m in some]
    true, held = ([look(f, m) for f, m in zip(fs, some, strict=True)] for fs in _references(some))
    goals = {
        "first frame (dB)": ">= 28",
        "the next four, to the true ones (dB, mean over frames)": "",
        "direction": "",
        "shape": "",
    }
    yield from _rows("image and text to video", goals, made, true, held)
    yield from _rows("image to video, no text", {"first frame (dB)": ">= 28"}, without, true, held)


def _extend(s: Sampler, count: int) -> Iterator[Row]:
    some = members("single", count, 33, wanted=lambda p: p["motion"] in ("left", "right", "still"))
    goals = {"one object": "", "direction": "", "shape": ""}
    for backward in (False, True):
        task, cut = f"extend {'backward' if backward else 'forward'}", 16 if backward else 17

        def judged(whole: Frames, m: Member, cut: int = cut, backward: bool = backward) -> dict[str, float]:
            # Of the new part alone, with the frame that it begins from: what is given is right already.
            found = single(whole[: cut + 1] if backward else whole[cut - 1 :], m.params)
            moves = {} if m.params["motion"] == "still" else {"direction": found["direction"]}
            return {"seam": seam(whole[:cut], whole[cut:]), **{k: found[k] for k in ("one object", "shape")}, **moves}

        part = slice(cut, None) if backward else slice(0, cut)
        made = [s.extend(m.frames[part], m.caption, 16, m.number, backward).frames for m in some]
        still = [_held(m.frames[part], 16, backward) for m in some]
        trio = [[judged(f, m) for f, m in zip(fs, some, strict=True)] for fs in (made, [m.frames for m in some], still)]
        usual = [ordinary(m.frames[cut - 4 : cut + 4]) for m in some]
        yield from _relative(task, {"seam": "near 1"}, usual, *trio)
        yield from _rows(task, goals, *trio)
        if not backward:
            again = "seam, the truth redrawn by the autoencoder"
            best = [{again: seam(m.frames[:cut], s.rejoin(m.frames, cut)[cut:])} for m in some]
            yield from _relative(task, {again: ""}, usual, best, [], [])


def _held(part: Frames, more: int, backward: bool) -> Frames:
    edge = np.repeat(part[:1] if backward else part[-1:], more, axis=0)
    return np.concatenate([edge, part] if backward else [part, edge])


def _loop(s: Sampler, count: int) -> Iterator[Row]:
    some = members("single", count)

    def judged(frames: Frames, m: Member) -> dict[str, float]:
        n = len(m.frames)
        ends = [seam(frames[:n], frames[n:])] if len(frames) > n else []
        around = np.concatenate([frames[n - 1 :], frames[:1]])
        return {"seam": float(np.mean([*ends, seam(frames, frames)])), "worst step": float(_changes(around).max())}

    made = [judged(s.loop(m.frames, m.caption, m.number).frames, m) for m in some]
    # To and fro: the one transition that is known to be right.
    back = [judged(np.concatenate([m.frames, m.frames[-2:0:-1]]), m) for m in some]
    usual = [ordinary(m.frames) for m in some]
    goals = {"seam": "near 1", "worst step": "low"}
    yield from _relative(
        "loop (oracle: to and fro, frozen: the clip again)",
        goals,
        usual,
        made,
        back,
        [judged(m.frames, m) for m in some],
    )


def _connect(s: Sampler, count: int) -> Iterator[Row]:
    some = members("single", 2 * count)
    pairs = list(zip(some[::2], some[1::2], strict=True))

    def judged(middle: Frames, a: Member, b: Member) -> dict[str, float]:
        around = np.concatenate([a.frames[-1:], middle, b.frames[:1]])
        return {
            "seam": (seam(around[:1], around[1:]) + seam(around[:-1], around[-1:])) / 2,
            "worst step": float(_changes(around).max()),
        }

    made = [judged(s.connect(a.frames, b.frames, "", a.number).frames[FRAMES:-FRAMES], a, b) for a, b in pairs]
    faded = [judged(_faded(a.frames[-1], b.frames[0]), a, b) for a, b in pairs]
    cut = [judged(a.frames[:0], a, b) for a, b in pairs]
    usual = [(ordinary(a.frames) + ordinary(b.frames)) / 2 for a, b in pairs]
    goals = {"seam": "near 1", "worst step": "low"}
    yield from _relative("connect (oracle: a cross-fade, frozen: a hard cut)", goals, usual, made, faded, cut)


def _faded(a: Frames, b: Frames, frames: int = 20) -> Frames:
    share = np.linspace(0, 1, frames + 2)[1:-1, None, None, None]
    found: Frames = np.rint((1 - share) * a + share * b).astype(np.uint8)
    return found


def _edit(s: Sampler, count: int) -> Iterator[Row]:
    def judged(frames: Frames, m: Member, colour: str) -> dict[str, float]:
        tracks, before = track(Video(frames, FPS)), track(Video(m.frames, FPS))
        if not len(tracks) or not len(before):
            return {"new colour": 0.0, "place kept (px)": float(SIZE[1])}
        i, j = _main(tracks), _main(before)
        both = tracks.visible[i] & before.visible[j]
        apart = np.linalg.norm(tracks.xy[i] - before.xy[j], axis=-1)[both]
        return {
            "new colour": float(tracks.colour[i] == colour),
            "place kept (px)": float(np.median(apart)) if both.any() else float(SIZE[1]),
        }

    some = members("single", count)
    others = ["blue" if m.params["hero"]["colour"] in ("red", "orange", "yellow", "pink") else "red" for m in some]
    texts = [m.caption.replace(m.params["hero"]["colour"], c) for m, c in zip(some, others, strict=True)]
    texts = [t.replace("An red", "A red").replace("An blue", "A blue") for t in texts]
    made = [s.edit(m.frames, t, 0.8, m.number).frames for m, t in zip(some, texts, strict=True)]
    trio = [
        [judged(f, m, c) for f, m, c in zip(fs, some, others, strict=True)]
        for fs in (made, [_true_edit(m, c) for m, c in zip(some, others, strict=True)], [m.frozen for m in some])
    ]
    yield from _rows("edit (SDEdit, strength .8)", {"new colour": "", "place kept (px)": "low"}, *trio)


def _true_edit(m: Member, colour: str) -> Frames:
    params = {**m.params, "hero": {**m.params["hero"], "colour": colour}}
    return clip(scene_of({"family": m.family, "params": params}, (FRAMES - 1) / FPS), SIZE, FPS, FRAMES).video.frames


def _variations(s: Sampler, count: int) -> Iterator[Row]:
    some = members("single", max(2, count // 4))

    def spread(clips: Sequence[Frames]) -> dict[str, float]:
        pairs = [(a, b) for i, a in enumerate(clips) for b in clips[:i]]
        return {"PSNR between seeds (dB, mean over frames)": float(np.mean([psnr(a, b) for a, b in pairs]))}

    made = [spread([s.text_to_video(m.caption, FRAMES, SIZE, k).frames for k in range(3)]) for m in some]
    again = [spread([m.frames] * 2) for m in some]
    yield from _rows("variations by seed", {"PSNR between seeds (dB, mean over frames)": "< 30"}, made, [], again)


def _long(s: Sampler, count: int) -> Iterator[Row]:
    frames = round(60 * FPS)
    some = members("single", max(1, count // 10), wanted=lambda p: p["motion"] == "still")

    def judged(whole: Frames, m: Member) -> dict[str, float]:
        last = whole[-FRAMES:]
        found = single(last, m.params)
        drift = np.abs(whole[:FRAMES].mean(axis=(0, 1, 2)) - last.mean(axis=(0, 1, 2))).mean()
        return {
            "colour in the last 2 s": found["colour"],
            "one object in the last 2 s": found["one object"],
            "mean colour drift (levels)": float(drift),
        }

    made = [judged(np.concatenate(list(s.long_video(m.caption, frames, SIZE, m.number))), m) for m in some]
    held = [judged(np.repeat(m.frames[:1], frames, axis=0), m) for m in some]
    goals = {"colour in the last 2 s": "", "one object in the last 2 s": "", "mean colour drift (levels)": "low"}
    yield from _rows("one minute by extension", goals, made, held, held)


def _actions(s: Sampler, count: int) -> Iterator[Row]:
    some = members("voxel", count)
    scripts = []
    for m in some:
        scene = scene_of({"family": "voxel", "params": m.params}, (FRAMES - 1) / FPS)
        scripts.append([ACTIONS[k] for k in actions_of(scene, FRAMES)][1:])
    made = []
    # Beside another member's script: as likely a one, that says something else.
    for m, own, other in zip(some, scripts, [*scripts[1:], scripts[0]], strict=True):
        right, wrong = (psnr(s.rollout(m.frames[0], acts, "", m.number).frames, m.frames) for acts in (own, other))
        made.append(
            {
                "PSNR to the true clip (dB, mean over frames)": right,
                "better than with another's actions": float(right > wrong),
            }
        )
    true, held = (
        [
            {
                "PSNR to the true clip (dB, mean over frames)": psnr(f, m.frames),
                "better than with another's actions": chance,
            }
            for f, m in zip(fs, some, strict=True)
        ]
        for fs, chance in zip(_references(some), (1.0, 0.5), strict=True)
    )
    goals = {"PSNR to the true clip (dB, mean over frames)": "", "better than with another's actions": "> .5"}
    yield from _rows("actions (walk, turn, break, place)", goals, made, true, held)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows, as `Row.to_json` gives them, as a Markdown table."""
    lines = [
        "| task | measure | model | ± standard error | n | oracle | frozen | goal |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for r in rows:
        model, error, oracle, frozen = (cell(r[k]) for k in ("model", "error", "oracle", "frozen"))
        lines.append(
            f"| {r['task']} | {r['measure']} | {model} | {error} | {r['n']} | {oracle} | {frozen} | {r['goal']} |"
        )
    return "\n".join(lines)


def cell(value: float | None) -> str:
    """Return a figure as it stands in a table."""
    return "" if value is None else f"{value:.2f}"


TASKS: dict[str, Callable[[Sampler, int], Iterator[Row]]] = {
    "autoencoder": _autoencoder,
    "text": _text,
    "aspect": _aspect,
    "image": _image,
    "extend": _extend,
    "loop": _loop,
    "connect": _connect,
    "edit": _edit,
    "variations": _variations,
    "long": _long,
    "actions": _actions,
}
