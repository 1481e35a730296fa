"""What `sora-eval sample` and `sora-eval eval-tasks` do once their configuration is read."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from sora_eval.errors import ConfigError, VideoError, unknown
from sora_eval.generator.reference import measures, model
from sora_eval.generator.reference.diffusion import Options
from sora_eval.generator.reference.tasks import PromptWarning, Sampler, fit
from sora_eval.learning.shards import FPS
from sora_eval.pictures import contact_sheet
from sora_eval.store import write_json
from sora_eval.types import Frames, Video
from sora_eval.video import (
    read_video,
    replacing,
    resample,
    save_gif,
    write_ffv1,
    write_h264_pieces,
    write_png,
)

WRITERS: tuple[str, ...] = (".mp4", ".mkv", ".gif", ".png")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SHEET_COLUMNS = 9


@dataclass(frozen=True)
class Request:
    """One call of `sora-eval sample`.

    task: see TASKS. prompt: words, "" for none where a picture or clip is given. input, second: pictures or clips. frames: asked for (of
    the answer, or how many more). strength: of an edit. backward: extend before the clip. actions: one per frame.
    out: a file whose ending says the format, for several variations with their seeds in the name.
    """

    task: str
    prompt: str = ""
    input: str | None = None
    second: str | None = None
    frames: int = 17
    height: int = 64
    width: int = 64
    seed: int = 0
    count: int = 1
    strength: float = 0.8
    backward: bool = False
    actions: tuple[str, ...] = ()
    out: str = "sample.mp4"


def sampler_of(checkpoint: str, options: Options, expanded: bool) -> Sampler:
    """Return the sampler of a checkpoint.

    Raises:
        ConfigError: the checkpoint can't be used.
    """
    return Sampler(model.load(checkpoint), options, expanded)


def sample(sampler: Sampler, request: Request) -> list[Path]:
    """Carry out a request and return the files that it wrote; what was read otherwise than asked is printed.

    Raises:
        ConfigError: the task is unknown, or lacks its input.
    """
    if request.task not in TASKS:
        raise unknown("task", request.task, TASKS)
    out = Path(request.out)
    if out.suffix not in WRITERS:
        raise ConfigError(f"out={out} must end in {', '.join(WRITERS)}")
    if request.count < 1:
        raise ConfigError(f"count must be at least 1, got {request.count}")
    paths = []
    for i in range(request.count):
        seed = request.seed + i
        path = out if request.count == 1 else out.with_stem(f"{out.stem}-{seed}")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", PromptWarning)
            _write(path, TASKS[request.task](sampler, request, seed))
        for warning in {str(w.message) for w in told if issubclass(w.category, PromptWarning)} if i == 0 else ():
            print(f"note: {warning}")
        paths.append(path)
    return paths


def _write(path: Path, pieces: Iterator[Frames]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mp4":
        write_h264_pieces(path, pieces, FPS, crf=12)
        return
    frames = np.concatenate(list(pieces))
    if path.suffix == ".mkv":
        write_ffv1(path, Video(frames, FPS))
    elif path.suffix == ".gif":
        save_gif(path, Video(frames, FPS))
    else:
        write_png(path, frames[0] if len(frames) == 1 else contact_sheet([frames], columns=_SHEET_COLUMNS))


def _frames(path: str | None, what: str = "input") -> Frames:
    """Read a picture or a clip, at 8 frames per second.

    Raises:
        ConfigError: none is named, or it can't be read.
    """
    if path is None:
        raise ConfigError(f"this task needs {what}=FILE, a picture or a video")
    try:
        if Path(path).suffix.lower() in _PICTURES:
            with Image.open(path) as image:
                return np.asarray(image.convert("RGBA"))[None]
        return resample(read_video(path), FPS).frames
    except (UnidentifiedImageError, VideoError, OSError) as error:
        raise ConfigError(f"{what}={path} can't be read: {error}") from error


def _picture(request: Request) -> Frames:
    return fit(_frames(request.input))[:1]


def _text(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.text_to_video(r.prompt, r.frames, (r.height, r.width), seed).frames


def _still(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.text_to_image(r.prompt, (r.height, r.width), seed)[None]


def _from_picture(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.continue_video(_picture(r), r.prompt, r.frames, seed).frames


def _extend(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.extend(_frames(r.input), r.prompt, r.frames, seed, r.backward).frames


def _loop(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.loop(_frames(r.input), r.prompt, seed).frames


def _long(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield from s.long_video(r.prompt, r.frames, (r.height, r.width), seed)


def _edit(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.edit(_frames(r.input), r.prompt, r.strength, seed).frames


def _connect(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.connect(_frames(r.input), _frames(r.second, "second"), r.prompt, seed).frames


def _act(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    if not r.actions:
        raise ConfigError("actions is empty: say actions=[forward,forward,turn left,...], one per frame")
    yield s.rollout(_picture(r)[0], r.actions, r.prompt, seed).frames


TASKS: dict[str, Callable[[Sampler, Request, int], Iterator[Frames]]] = {
    "text_to_video": _text,
    "text_to_image": _still,
    "image_to_video": _from_picture,
    "extend": _extend,
    "loop": _loop,
    "long": _long,
    "edit": _edit,
    "connect": _connect,
    "actions": _act,
}


def request_of(values: Mapping[str, Any]) -> Request:
    """Return the request that a configuration describes.

    Raises:
        ConfigError: a value has the wrong type.
    """
    known = {f.name: str(f.type) for f in fields(Request)}
    made: dict[str, Any] = {}
    for key, hint in known.items():
        value = values[key]
        if hint == "int" and (isinstance(value, bool) or not isinstance(value, int)):
            raise ConfigError(f"{key} must be a whole number, got {value}")
        made[key] = tuple(str(v) for v in value) if hint.startswith("tuple") else value
        if hint == "str":
            made[key] = "" if value is None else str(value)
    return Request(**made)


def evaluate(sampler: Sampler, names: list[str], count: int, out: Path) -> list[measures.Row]:
    """Measure tasks, write them as a table (Markdown and JSON), and return the rows.

    Raises:
        ConfigError: a task is unknown.
    """
    rows: list[measures.Row] = []
    seconds: dict[str, float] = {}
    for name in names or list(measures.TASKS):
        if name not in measures.TASKS:
            raise unknown("task", name, measures.TASKS)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PromptWarning)
            rows += measures.TASKS[name](sampler, count)
        seconds[name] = round(time.perf_counter() - start, 1)
        print(f"{name}: {seconds[name]} s", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    found = {"checkpoint": sampler.model.name, "hash": sampler.model.hash, "count": count, "seconds": seconds}
    write_json(out / "tasks.json", {**found, "rows": [r.to_json() for r in rows]})
    with replacing(out / "tasks.md") as part:
        part.write_text(measures.table([r.to_json() for r in rows]) + "\n", encoding="utf-8")
    return rows
