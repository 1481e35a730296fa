"""Requests of `sora-eval sample`: tasks by name, their inputs read, their clips written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from sora_eval.data.shards import FPS
from sora_eval.errors import ConfigError, VideoError, unknown
from sora_eval.generator.reference import model
from sora_eval.generator.reference.options import CheckpointOptions, SampleOptions
from sora_eval.generator.reference.sampler import PromptWarning, Sampler, fit, over_white
from sora_eval.types import Frames, Video
from sora_eval.video import read_video, resample, resize, save_gif, write_ffv1, write_h264_pieces, write_png
from sora_eval.video.sheets import contact_sheet

WRITERS: tuple[str, ...] = (".mp4", ".mkv", ".gif", ".png")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SHEET_COLUMNS = 9
_SIDE, _FRAMES, _LONG = 64, 17, 480


@dataclass(frozen=True)
class Request(SampleOptions):
    """One call of `sora-eval sample`."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: the task is unknown, a value is out of range, or the task doesn't use it.
        """
        super().__post_init__()
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        if Path(self.out).suffix not in WRITERS:
            raise ConfigError(f"out={self.out} must end in {', '.join(WRITERS)}")
        used = TASKS[self.task].uses
        for f in fields(self):
            if f.name != "task" and getattr(self, f.name) != f.default and f.name not in (*used, *_ALWAYS):
                raise ConfigError(
                    f"task={self.task} has no use for {f.name}={getattr(self, f.name)}: it takes {', '.join(used)}"
                )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a clip without input."""
        return self.height or _SIDE, self.width or _SIDE


def sampler_of(options: CheckpointOptions) -> Sampler:
    """Return the sampler of a checkpoint with its options.

    Raises:
        ConfigError: the checkpoint can't be used.
    """
    loaded = model.load(options.checkpoint)
    return Sampler(loaded, options.sampling(loaded.sampling), options.expanded)


def sample(sampler: Sampler, request: Request) -> list[Path]:
    """Carry out a request and return the files that it wrote; PromptWarnings are printed.

    Raises:
        ConfigError: the task lacks its input, or it can't be read.
    """
    out, paths = Path(request.out), []
    with _print_notes():
        for i in range(request.count):
            seed = request.seed + i
            path = out if request.count == 1 else out.with_stem(f"{out.stem}-{seed}")
            _write(path, TASKS[request.task].sample(sampler, request, seed))
            paths.append(path)
    return paths


@contextmanager
def _print_notes() -> Iterator[None]:
    """Print each PromptWarning once, at once: sampling may take long."""
    printed: set[str] = set()

    def note(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if not issubclass(category, PromptWarning):
            usual(message, category, *rest, **more)
        elif str(message) not in printed:
            printed.add(str(message))
            print(f"note: {message}", flush=True)

    usual = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always", PromptWarning)
        warnings.showwarning = note
        yield


def _write(path: Path, pieces: Iterator[Frames]) -> None:
    # Sampled before the file is opened: an error leaves no empty file.
    first = next(pieces)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mp4":
        write_h264_pieces(path, chain([first], pieces), FPS, crf=12)
        return
    frames = np.concatenate([first, *pieces])
    if path.suffix == ".mkv":
        write_ffv1(path, Video(frames, FPS))
    elif path.suffix == ".gif":
        save_gif(path, Video(frames, FPS))
    else:
        write_png(path, frames[0] if len(frames) == 1 else contact_sheet([frames], columns=_SHEET_COLUMNS))


def _frames(request: Request, option: str = "input") -> Frames:
    """Read an input of a request at 8 frames per second and the request's size; one side alone keeps the aspect ratio.

    Raises:
        ConfigError: none is named, or it can't be read.
    """
    path = getattr(request, option)
    if path is None:
        raise ConfigError(f"this task needs {option}=FILE, a picture or a video")
    try:
        if Path(path).suffix.lower() in _PICTURES:
            with Image.open(path) as image:
                frames = _pixels(ImageOps.exif_transpose(image))[None]
        else:
            video = read_video(path)
            frames = resample(video, FPS).frames
            if abs(video.fps - FPS) > 0.01:
                _note(f"{option}={path} has {video.fps:g} frames per second: it is read, and written, at {FPS:g}")
    # Pillow raises SyntaxError and ValueError for some damaged files.
    except (Image.DecompressionBombError, VideoError, OSError, SyntaxError, ValueError) as error:
        raise ConfigError(f"{option}={path} can't be read: {error}") from error
    high, wide = frames.shape[1:3]
    if request.height or request.width:
        height = request.height or max(1, round(high * (request.width or wide) / wide))
        frames = resize(over_white(frames), (height, request.width or max(1, round(wide * height / high))))
    return fit(frames)


def _first(request: Request) -> Frames:
    """Read the input image [1, H, W, 3] of a request, or its clip's first frame."""
    frames = _frames(request)
    if len(frames) > 1:
        _note(f"task={request.task} reads the first of {len(frames)} frames")
    return frames[:1]


def _note(message: str) -> None:
    warnings.warn(message, PromptWarning, stacklevel=2)


def _pixels(image: Image.Image) -> Frames:
    """Return an image as [H, W, 4]; grey of 16 bits is scaled to 8."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
    return np.asarray(image.convert("RGBA"))


def _text(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.text_to_video(r.prompt, r.frames or _FRAMES, r.size, seed).frames


def _still(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.text_to_image(r.prompt, r.size, seed)[None]


def _from_picture(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.continue_video(_first(r), r.prompt, r.frames or _FRAMES, seed).frames


def _extend(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.extend(_frames(r), r.prompt, r.frames or _FRAMES - 1, seed, r.backward).frames


def _loop(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.loop(_frames(r), r.prompt, seed).frames


def _long(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield from s.long_video(r.prompt, r.frames or _LONG, r.size, seed)


def _edit(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.edit(_frames(r), r.prompt, r.strength, seed).frames


def _connect(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    yield s.connect(_frames(r), _frames(r, "second"), r.prompt, seed).frames


def _act(s: Sampler, r: Request, seed: int) -> Iterator[Frames]:
    if not r.actions:
        raise ConfigError("actions is empty: set actions=[forward,forward,turn left,...], one per frame")
    yield s.rollout(_first(r)[0], r.actions, r.prompt, seed).frames


@dataclass(frozen=True)
class Task:
    """A task by name."""

    sample: Callable[[Sampler, Request, int], Iterator[Frames]]
    """(sampler, request, seed) to pieces of a clip."""
    uses: tuple[str, ...]
    """Fields of a request that it uses."""


_ALWAYS = ("count", "out", "seed")
_GIVEN = ("input", "prompt", "height", "width")
TASKS: dict[str, Task] = {
    "text_to_video": Task(_text, ("prompt", "frames", "height", "width")),
    "text_to_image": Task(_still, ("prompt", "height", "width")),
    "image_to_video": Task(_from_picture, (*_GIVEN, "frames")),
    "extend": Task(_extend, (*_GIVEN, "frames", "backward")),
    "loop": Task(_loop, _GIVEN),
    "long": Task(_long, ("prompt", "frames", "height", "width")),
    "edit": Task(_edit, (*_GIVEN, "strength")),
    "connect": Task(_connect, (*_GIVEN, "second")),
    "actions": Task(_act, (*_GIVEN, "actions")),
}
