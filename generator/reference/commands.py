"""What `sora-eval sample` and `sora-eval eval-tasks` do once their configuration is read."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from sora_eval.data.shards import FPS
from sora_eval.errors import ConfigError, VideoError, unknown
from sora_eval.files import read_json, replacing, write_json
from sora_eval.generator.reference import measures, model, tasks
from sora_eval.generator.reference.diffusion import Options
from sora_eval.generator.reference.sampler import PromptWarning, Sampler, fit, over_white
from sora_eval.images import contact_sheet
from sora_eval.types import Frames, Video
from sora_eval.video import read_video, resample, resize, save_gif, write_ffv1, write_h264_pieces, write_png

WRITERS: tuple[str, ...] = (".mp4", ".mkv", ".gif", ".png")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SHEET_COLUMNS = 9
_SIDE, _FRAMES, _LONG = 64, 17, 480


@dataclass(frozen=True)
class Request:
    """One call of `sora-eval sample`.

    task: see TASKS. prompt: words, "" for none where a picture or clip is given. input, second: pictures or clips. frames: of the answer
    (None: 17), or how many more (None: 16). height, width: in pixels; None is 64, and what is given keeps its own size. strength: of an
    edit. backward: extend before the clip. actions: one per frame. out: a file whose ending says the format, for several variations with
    their seeds in the name.
    """

    task: str
    prompt: str = ""
    input: str | None = None
    second: str | None = None
    frames: int | None = None
    height: int | None = None
    width: int | None = None
    seed: int = 0
    count: int = 1
    strength: float = 0.8
    backward: bool = False
    actions: tuple[str, ...] = ()
    out: str = "sample.mp4"

    def __post_init__(self) -> None:
        """Refuse what no task could do.

        Raises:
            ConfigError: the task is unknown, a value is out of range, or the task doesn't use it.
        """
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        for key, least in (("frames", 1), ("height", 1), ("width", 1), ("count", 1), ("seed", 0)):
            value = getattr(self, key)
            if value is not None and value < least:
                raise ConfigError(f"{key} must be at least {least}, got {value}")
        if Path(self.out).suffix not in WRITERS:
            raise ConfigError(f"out={self.out} must end in {', '.join(WRITERS)}")
        used = TASKS[self.task].uses
        for f in fields(self):
            if f.default is not MISSING and getattr(self, f.name) != f.default and f.name not in (*used, *_ALWAYS):
                raise ConfigError(
                    f"task={self.task} has no use for {f.name}={getattr(self, f.name)}: it takes {', '.join(used)}"
                )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what is drawn from words."""
        return self.height or _SIDE, self.width or _SIDE


def sampler_of(checkpoint: str, options: Options, expanded: bool) -> Sampler:
    """Return the sampler of a checkpoint.

    Raises:
        ConfigError: the checkpoint can't be used.
    """
    return Sampler(model.load(checkpoint), options, expanded)


def sample(sampler: Sampler, request: Request) -> list[Path]:
    """Carry out a request and return the files that it wrote; what was read otherwise than asked is printed.

    Raises:
        ConfigError: the task lacks its input, or it can't be read.
    """
    out, paths = Path(request.out), []
    with _noting():
        for i in range(request.count):
            seed = request.seed + i
            path = out if request.count == 1 else out.with_stem(f"{out.stem}-{seed}")
            _write(path, TASKS[request.task].draw(sampler, request, seed))
            paths.append(path)
    return paths


@contextmanager
def _noting() -> Iterator[None]:
    """Print what is read otherwise than asked, each once and at once: drawing may take long."""
    told: set[str] = set()

    def note(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if not issubclass(category, PromptWarning):
            usual(message, category, *rest, **more)
        elif str(message) not in told:
            told.add(str(message))
            print(f"note: {message}", flush=True)

    usual = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always", PromptWarning)
        warnings.showwarning = note
        yield


def _write(path: Path, pieces: Iterator[Frames]) -> None:
    # What can't be drawn is no fault of the file.
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


def _frames(request: Request, what: str = "input") -> Frames:
    """Read a picture or a clip that a request names, at 8 frames per second, at the request's size; one side alone keeps its shape.

    Raises:
        ConfigError: none is named, or it can't be read.
    """
    path = getattr(request, what)
    if path is None:
        raise ConfigError(f"this task needs {what}=FILE, a picture or a video")
    try:
        if Path(path).suffix.lower() in _PICTURES:
            with Image.open(path) as image:
                frames = _pixels(ImageOps.exif_transpose(image))[None]
        else:
            video = read_video(path)
            frames = resample(video, FPS).frames
            if abs(video.fps - FPS) > 0.01:
                _note(f"{what}={path} has {video.fps:g} frames per second: it is read, and written, at {FPS:g}")
    # Pillow raises SyntaxError and ValueError for some damaged files.
    except (Image.DecompressionBombError, VideoError, OSError, SyntaxError, ValueError) as error:
        raise ConfigError(f"{what}={path} can't be read: {error}") from error
    high, wide = frames.shape[1:3]
    if request.height or request.width:
        height = request.height or max(1, round(high * (request.width or wide) / wide))
        frames = resize(over_white(frames), (height, request.width or max(1, round(wide * height / high))))
    return fit(frames)


def _first(request: Request) -> Frames:
    """Read the picture [1, H, W, 3] that a request names, or a clip's first frame."""
    frames = _frames(request)
    if len(frames) > 1:
        _note(f"task={request.task} reads the first of {len(frames)} frames")
    return frames[:1]


def _note(told: str) -> None:
    warnings.warn(told, PromptWarning, stacklevel=2)


def _pixels(image: Image.Image) -> Frames:
    """Return a picture as [H, W, 4]; grey of 16 bits keeps its shades."""
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
        raise ConfigError("actions is empty: say actions=[forward,forward,turn left,...], one per frame")
    yield s.rollout(_first(r)[0], r.actions, r.prompt, seed).frames


@dataclass(frozen=True)
class Task:
    """How a task is drawn, piece by piece, and which fields of a request it uses."""

    draw: Callable[[Sampler, Request, int], Iterator[Frames]]
    uses: tuple[str, ...]


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


def request_of(values: Mapping[str, Any]) -> Request:
    """Return the request that a configuration describes.

    Raises:
        ConfigError: a value has the wrong type.
    """
    made: dict[str, Any] = {}
    for f in fields(Request):
        value, hint = values[f.name], str(f.type)
        kinds, what = _KINDS[hint.removesuffix(" | None").split("[")[0]]
        if value is None and hint.endswith("None"):
            made[f.name] = None
        elif isinstance(value, bool) != (kinds == (bool,)) or not isinstance(value, kinds):
            raise ConfigError(f"{f.name} must be {what}, got {value}")
        else:
            made[f.name] = tuple(map(str, values[f.name])) if kinds == (list, tuple) else value
    return Request(**made)


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
    "tuple": ((list, tuple), "a list, such as [forward,turn left]"),
}


def evaluate(
    sampler: Sampler, checkpoint: str, names: list[str], count: int, out: Path, replace: bool = False
) -> list[Mapping[str, Any]]:
    """Measure tasks, write them as a table (Markdown and JSON) after each, and return the rows of `out`.

    checkpoint: the name or path that the sampler's model was loaded by. names: of tasks, [] for all; what `out` has already of the same
    weights, count, options and version is not measured again. replace: whether measures of anything else that are there may give way.

    Raises:
        ConfigError: a task is unknown, or `out` has measures of something else.
    """
    for name in names:
        if name not in measures.TASKS:
            raise unknown("task", name, measures.TASKS)
    about = {
        "checkpoint": checkpoint,
        "hash": sampler.model.hash,
        "count": count,
        "options": {**asdict(sampler.options), "expanded": sampler.expanded},
        "version": f"{tasks.VERSION}.{measures.VERSION}",
    }
    done: dict[str, dict[str, Any]] = {}
    if (out / "tasks.json").exists():
        before = read_json(out / "tasks.json")
        # The same weights by another path are the same.
        other = [k for k in about if k != "checkpoint" and before.get(k) != about[k]]
        if other and not replace:
            raise ConfigError(
                f"{out} has measures of another {', '.join(other)}: name another out=, or say replace=true"
            )
        done = {} if other else before.get("tasks", {})
        if not isinstance(done, dict) or not all(isinstance(d, dict) and "rows" in d for d in done.values()):
            raise ConfigError(f"{out / 'tasks.json'}: no measures of tasks: remove it and run the same command again")
    for name in [n for n in names or measures.TASKS if n not in done]:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PromptWarning)
            rows = [r.to_json() for r in measures.TASKS[name](sampler, count)]
        done[name] = {"seconds": round(time.perf_counter() - start, 1), "rows": rows}
        print(f"{name}: {done[name]['seconds']} s", flush=True)
        done = {k: done[k] for k in measures.TASKS if k in done}
        write_json(out / "tasks.json", {**about, "tasks": done})
        with replacing(out / "tasks.md") as part:
            part.write_text(measures.table(rows_of(done)) + "\n", encoding="utf-8")
    return rows_of(done)


def rows_of(tasks: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of the tasks of a tasks.json, as `measures.Row.to_json` gives them."""
    return [row for found in tasks.values() for row in found["rows"]]
