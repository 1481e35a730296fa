"""What flows through sora-eval: videos, cameras, tracks, cases and scores.

Everything here is frozen. Arrays are NumPy; time comes before height and width, channels come last; `xy` is in
pixels, x to the right and y down, with (0, 0) the centre of the top-left pixel.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from sora_eval.errors import ConfigError
from sora_eval.settings import Settings, option

Frames: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Mode: TypeAlias = Literal["t2v", "i2v", "v2v", "extend_back", "loop", "connect", "interpolate", "edit"]
FailureKind: TypeAlias = Literal["", "technical"]
AlignmentKind: TypeAlias = Literal["identity", "crop", "pad", "letterbox", "resize", "shift", "zoom"]
Box: TypeAlias = tuple[float, float, float, float]
MODES: tuple[Mode, ...] = ("t2v", "i2v", "v2v")
"""The modes that suites and generators have unless others are named."""
ALL_MODES: tuple[Mode, ...] = get_args(Mode)
"""All modes, in the order of reports."""
_NAME = re.compile(r"\w[\w.@+-]*")
_LONGEST_NAME = 160
"""File systems take 255 bytes, of which a hash and an ending follow an id."""
_MOST_PIXELS, _MOST_FRAMES = 1 << 14, 1 << 20
"""Of one side and of one clip: what is beyond is no question to a generator but a fault of the file it stands in."""


def check_name(what: str, value: Any) -> None:
    """Refuse what can't be part of a file's name: ids of cases, names of suites, probes and generators, wherever they come from.

    Raises:
        ValueError: it is no short text of letters, digits, and . _ @ + - that begins with a letter, a digit or _ and has no "..".
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value) or ".." in value or len(value.encode()) > _LONGEST_NAME:
        shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:80]}..."
        raise ValueError(f"{what}={shown} is no file name: use letters, digits, and . _ @ + -")


def check_part(what: str, value: Any) -> None:
    """Refuse what is no single part of a path: a generator's name that was read may be any words, but must not lead out of a folder.

    Raises:
        ValueError: it is no text, empty, too long, a step upwards, or has a separator.
    """
    if (
        not isinstance(value, str)
        or value in ("", ".", "..")
        or set(value) & set("/\\\0")
        or len(value) > _LONGEST_NAME
    ):
        raise ValueError(f"{what} {repr(value)[:80]} is no name")


@dataclass(frozen=True)
class Audio:
    """An audio track in memory."""

    samples: NDArray[np.float32]
    """[N], one channel, -1 to 1."""
    rate: float
    """Samples per second."""
    start_s: float = 0.0
    """When the first sample sounds, in seconds after the first frame is shown."""

    def __post_init__(self) -> None:
        """Reject anything that is not one channel of samples."""
        if self.samples.ndim != 1 or not self.rate > 0:
            raise ValueError(
                f"an audio track has samples [N] and a rate above 0, got {self.samples.shape}, {self.rate}"
            )


@dataclass(frozen=True)
class Video:
    """A clip in memory."""

    frames: Frames
    """uint8 [T, H, W, 3], RGB."""
    fps: float
    """Frames per second."""
    file: str = ""
    """The file that it was read from, whose audio track then has the same times; "" where there is none."""

    def __post_init__(self) -> None:
        """Reject anything that is not a clip of RGB frames."""
        f = self.frames
        if f.dtype != np.uint8 or f.ndim != 4 or f.shape[-1] != 3 or 0 in f.shape:
            raise ValueError(f"frames must be uint8 [T, H, W, 3] and not empty, got {f.dtype} {f.shape}")
        if not self.fps > 0:
            raise ValueError(f"fps must be positive, got {self.fps}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.frames.shape[1], self.frames.shape[2]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)


@dataclass(frozen=True)
class Window:
    """A part of a frame."""

    frame: tuple[int, int]
    """(height, width) of the whole frame in pixels."""
    box: Box
    """x0, y0, x1, y1 of its edges in pixels of the whole frame: 0, 0, width, height is all of it."""

    def to_json(self) -> dict[str, Any]:
        """Return the window as JSON values."""
        return {"frame": list(self.frame), "box": list(self.box)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Window:
        """Return the window that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        (height, width), (x0, y0, x1, y1) = values["frame"], values["box"]
        numbers = [height, width, x0, y0, x1, y1]
        if any(isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v) for v in numbers):
            raise ValueError(f"a window has finite numbers, got {numbers}")
        if not (height >= 1 and width >= 1 and x1 > x0 and y1 > y0):
            raise ValueError(f"the window {values['box']} of {values['frame']} is empty")
        return Window((int(height), int(width)), (float(x0), float(y0), float(x1), float(y1)))


@dataclass(frozen=True)
class Alignment:
    """Which part of a clip shows which part of the frames that were given: probes judge that part, against the truth in the same window."""

    kind: AlignmentKind
    """How the given frames lie in the clip."""
    part: Window
    """The part of the clip that is judged, its edges at whole pixels."""
    given: Window | None
    """The same part of the given frames, None where none were given (t2v: only bars are removed)."""
    size: tuple[int, int]
    """(height, width) at which the part is judged: that of the part, or the nearest with the aspect ratio of the given frames."""
    residual: float
    """1 less the correlation of the given frame with the clip's first one in this place; 0 for a copy, and where none were given."""

    @staticmethod
    def from_json(values: Mapping[str, Any] | None) -> Alignment | None:
        """Return the alignment of JSON values as `dataclasses.asdict` gives them, None for None.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        if values is None:
            return None
        if values["kind"] not in get_args(AlignmentKind):
            raise ValueError(f"alignment has no kind {values['kind']!r}")
        given, (height, width) = values["given"], values["size"]
        window = None if given is None else Window.from_json(given)
        size, residual = (int(height), int(width)), float(values["residual"])
        return Alignment(values["kind"], Window.from_json(values["part"]), window, size, residual)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera per frame, OpenCV axes (x right, y down, z forward)."""

    K: Floats
    """[T, 3, 3] intrinsics in pixels."""
    R: Floats
    """[T, 3, 3] rotation from world to camera."""
    t: Floats
    """[T, 3] translation, metres; a world point X projects as K (R X + t)."""

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project world points [T, N, 3] (m) to pixels [T, N, 2] and z-depth [T, N] (m)."""
        cam = np.einsum("tij,tnj->tni", self.R, points) + self.t[:, None]
        depth = cam[..., 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        pix = np.einsum("tij,tnj->tni", self.K, cam / safe[..., None])
        return pix[..., :2], depth


@dataclass(frozen=True)
class Finding:
    """A tracker's answer to a question about a whole clip, or that it can't know."""

    answer: str
    """The answer, "" where the tracker abstains."""
    confidence: float
    """0 to 1, what is compared with the question's threshold."""
    reason: str = ""
    """Why there is no answer, "" when there is one."""


@dataclass(frozen=True)
class Tracks:
    """N objects followed through T frames."""

    colour: tuple[str, ...]
    """N colour names of the world's palette, "" where the colour is unknown."""
    xy: Floats
    """[N, T, 2] centroid in pixels, NaN where not visible."""
    visible: Bools
    """[N, T]."""
    area: Floats
    """[N, T] visible area in pixels (soft, sub-pixel), 0 where not visible."""
    box: Floats
    """[N, T, 4] x0, y0, x1, y1 in pixels, NaN where not visible."""
    size: tuple[int, int]
    """(height, width) of the frames that were tracked."""
    fps: float
    """Frames per second."""
    shape: Mapping[str, Floats] = field(default_factory=dict)
    """{descriptor name: [N, T]}: silhouette descriptors, NaN where not visible or unknown."""
    labels: tuple[str, ...] = ()
    """N labels such as "red ball" or "dog"; () of a tracker that knows colours alone."""
    ground: Bools | None = None
    """[N], whether a track may belong to the surroundings: it is there from the first frame to the last and stays where it is, or has a hue
    of the ground. None for a tracker that can't say."""
    ground_colours: tuple[str, ...] = ()
    """Colours in which an object can't be separated from the ground."""
    findings: Mapping[str, Finding] = field(default_factory=dict)
    """{question: answer}, such as "camera side"; {} of a tracker that answers none."""
    unsure: str = ""
    """Why the tracker can't tell whether what the case names is there, "" where it can: such a clip can't be judged."""

    def __post_init__(self) -> None:
        """Refuse labels of other tracks."""
        if self.labels and len(self.labels) != len(self.colour):
            raise ValueError(f"{len(self.colour)} tracks have {len(self.labels)} labels")

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.colour)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.xy.shape[1])

    def of(self, colour: str) -> list[int]:
        """Return the indices of the tracks of one colour, the longest-visible first."""
        return self._longest_first(i for i, c in enumerate(self.colour) if c == colour)

    def called(self, colour: str, noun: str) -> list[int]:
        """Return the indices of the tracks of an object, the longest-visible first.

        They are those of its colour; where there is none, those of unknown colour whose label contains the noun.
        """
        return self.of(colour) or self._longest_first(
            i for i, label in enumerate(self.labels) if not self.colour[i] and noun in label.split()
        )

    def _longest_first(self, tracks: Iterable[int]) -> list[int]:
        return sorted(tracks, key=lambda i: -int(self.visible[i].sum()))


@dataclass(frozen=True)
class Case:
    """One question to a generator whose right answer is known."""

    id: str
    """Unique, file-name safe, for example `physics.two_drops.t2v.0003`."""
    suite: str
    """Suite of the probe."""
    probe: str
    """Short name of the probe (`two_drops`)."""
    mode: Mode
    """t2v (prompt only), i2v (first frame given), v2v and loop (first frames given), extend_back (last frames), interpolate (first and last
    frame), connect (as many first as last frames), or edit (a source clip, which the prompt is to change)."""
    prompt: str
    """Text that the generator gets."""
    size: tuple[int, int]
    """(height, width) in pixels."""
    fps: float
    """Frames per second."""
    frames: int
    """Frame count of the clip."""
    given: int
    """Number of conditioning frames; where they belong in the clip is `given_at`."""
    seed: int
    """The generator's seed."""
    scene: Mapping[str, Any]
    """{"family": name, "params": {...}}: scene that the world renders as the true answer; JSON values only. In mode edit also "source", the
    params of the scene that the source clip shows."""
    expect: Mapping[str, Any]
    """Expected outcome, in the probe's own terms; JSON values only."""
    cluster: str
    """Cases of one cluster share a scene and are resampled together."""
    twin: str = ""
    """Id of the mirrored or matched case, "" when there is none."""
    sample: int = 0
    """0 to K - 1 where a generator makes K clips of one prompt, with other seeds: further samples are cases of their
    own, with the scene of sample 0, and their ids end in `.s1`, `.s2`, ... (`samples.py`)."""

    def __post_init__(self) -> None:
        """Refuse a sample whose id is not one."""
        first_sample(self.id, self.sample)

    def to_json(self) -> dict[str, Any]:
        """Return the case as JSON values; scene and expectation are the case's own, not copies."""
        # Not asdict, which copies them through and through: of 100,000 cases that takes a minute.
        values = {f.name: getattr(self, f.name) for f in fields(self)} | {"size": list(self.size)}
        # Left out where it is 0: clips and scores from before there were several samples are still the right ones.
        return values if self.sample else {k: v for k, v in values.items() if k != "sample"}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Case:
        """Return the case that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, unknown, or out of its range.
        """
        height, width = row["size"]
        case = Case(**{**row, "size": (height, width)})
        case._check()
        return case

    def _check(self) -> None:
        for what in ("id", "suite", "probe", *(["twin"] if self.twin != "" else [])):
            check_name(what, getattr(self, what))
        if self.mode not in ALL_MODES:
            raise ValueError(f"mode must be one of {', '.join(ALL_MODES)}, got {self.mode!r}")
        for what in ("prompt", "cluster"):
            if not isinstance(getattr(self, what), str):
                raise ValueError(f"{what} must be text, got {getattr(self, what)!r}")
        for what in ("scene", "expect"):
            if not isinstance(getattr(self, what), Mapping):
                raise ValueError(f"{what} must be a JSON object, got {getattr(self, what)!r}")
        if self.mode == "edit" and not isinstance(self.scene.get("source"), Mapping):
            raise ValueError("a case of mode edit has the params of its source clip as scene.source")
        sides = [("height", self.size[0], 1, _MOST_PIXELS), ("width", self.size[1], 1, _MOST_PIXELS)]
        numbers = [("frames", self.frames, 1, _MOST_FRAMES), ("given", self.given, 0, _MOST_FRAMES)]
        for what, value, least, most in [*sides, *numbers, ("seed", self.seed, 0, 2**64)]:
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"{what} must be a whole number from {least} to {most}, got {value!r}")
        fps = self.fps
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps must be a number above 0, got {fps!r}")

    @cached_property
    def hash(self) -> str:
        """Hash of everything a generator's answer and its score depend on."""
        return digest(self.to_json())

    @property
    def given_at(self) -> tuple[int, ...]:
        """The moments of the conditioning frames, as frames of the case's clip, in order; of the source clip in mode edit."""
        frames = range(self.frames)
        match self.mode:
            case "extend_back":
                return tuple(frames[max(0, self.frames - self.given) :])
            case "connect" | "interpolate":
                first = (self.given + 1) // 2
                return (*frames[:first], *frames[self.frames - (self.given - first) :])
            case _:
                return tuple(frames[: self.given])

    @property
    def keeps(self) -> tuple[int, ...]:
        """The frames of its clip that must be the given ones: `given_at`, but none in mode edit."""
        return () if self.mode == "edit" else self.given_at

    @property
    def hash_without_twin(self) -> str:
        """Hash of the case but for its twin: with more cases the last one may get one, which changes neither its clip nor its score."""
        return replace(self, twin="").hash

    @property
    def prompt_id(self) -> str:
        """Id of sample 0, which all samples of one prompt share."""
        return first_sample(self.id, self.sample)


@dataclass(frozen=True)
class Failure:
    """Why there is no video."""

    reason: str
    """The cause, one line."""
    technical: bool = False
    """Whether the cause lies outside the model's answer (an exception, a service that is down, out of memory): such a
    case is retried by the next call of the same command, and is no evidence about the model. False for a clip that is
    not as requested."""


@dataclass(frozen=True)
class Score:
    """A probe's score of one clip: a value, or the reason why there is none."""

    value: float | None
    """In the probe's unit; None when the clip could not be judged."""
    reason: str = ""
    """Why there is no value, "" when there is one."""
    components: Mapping[str, float] = field(default_factory=dict)
    """Named parts of the score."""
    failure: FailureKind = ""
    """"technical" where the reason is no evidence about the model (see `Failure`), else ""."""
    alignment: Alignment | None = None
    """How the given frames lie in the clip, None where they were not found or none were given."""
    first_frame: Mapping[str, float] = field(default_factory=dict)
    """How well the first frame was kept (`alignment.measures`), by metric; empty without given frames."""

    def __post_init__(self) -> None:
        """A score has a value or a reason, never both or neither."""
        if (self.value is None) == (self.reason == ""):
            raise ValueError("a score has either a value or a reason")
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"a score must be finite, got {self.value}")
        if self.failure not in ("", "technical") or (self.failure and self.value is not None):
            raise ValueError(f"failure must be '' or, without a value, 'technical', got {self.failure!r}")


@dataclass(frozen=True)
class ScoreRow:
    """One line of scores.jsonl: one clip of one generator judged by one probe."""

    case: str
    """Id of the case."""
    suite: str
    """Suite of the case."""
    probe: str
    """Probe of the case."""
    mode: Mode
    """Mode of the case."""
    generator: str
    """Name of the generator in this run."""
    kind: str
    """"model", "oracle", "control" or "violation"."""
    value: float | None
    """The score in the probe's unit, None when unjudgeable."""
    reason: str
    """Why the clip is unjudgeable, "" when judged."""
    components: Mapping[str, float]
    """Named parts of the score."""
    chance: float
    """Mean value that a blind guess reaches, below 1."""
    prompt: str
    """Prompt of the case."""
    cluster: str
    """Cluster of the case, the unit of resampling."""
    twin: str
    """Id of the mirrored or matched case, "" when there is none."""
    seed: int
    """The generator's seed for this clip."""
    video: str
    """Path of the lossless clip, relative to the run folder, "" when there is none."""
    tracks: str
    """Path of the tracks (npz), relative to the run folder, "" when there are none."""
    sample: int = 0
    """Sample of the case, 0 for the first or only one of its prompt."""
    failure: FailureKind = ""
    """"technical" where there is no value for a reason that is no evidence about the model (see `Failure`), else ""."""
    alignment: Alignment | None = None
    """How the given frames lie in the clip, None where they were not found or none were given."""
    first_frame: Mapping[str, float] = field(default_factory=dict)
    """How well the first frame was kept (`alignment.measures`), by metric; empty without given frames."""

    def __post_init__(self) -> None:
        """Refuse a sample whose case is not one."""
        first_sample(self.case, self.sample)

    @property
    def prompt_id(self) -> str:
        """Id of the case of sample 0, which all samples of one prompt share."""
        return first_sample(self.case, self.sample)

    def values(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        alignment = None if self.alignment is None else asdict(self.alignment)
        mappings = {"components": dict(self.components), "first_frame": dict(self.first_frame)}
        return own | mappings | {"alignment": alignment}

    @property
    def counted(self) -> float:
        """The value corrected for chance, with unjudgeable counted as failed (0).

        1 is right, 0 is what a blind guess reaches on average, and with a chance of one half -1 is always wrong.
        """
        return 0.0 if self.value is None else (self.value - self.chance) / (1 - self.chance)


def first_sample(case: str, sample: int) -> str:
    """Return the id of sample 0 of the prompt that `case` is sample number `sample` of.

    Raises:
        ValueError: it is no number of a sample, or the id is not that of such a sample. To go on would count it as a prompt of its own.
    """
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 0:
        raise ValueError(f"sample must be a whole number of at least 0, got {sample!r}")
    if not sample:
        return case
    if not case.endswith(ending := f".s{sample}"):
        raise ValueError(f"case {case} is sample {sample}, its id must end in {ending}")
    return case.removesuffix(ending)


def digest(value: Any, length: int = 16) -> str:
    """Return the first `length` hex digits of the SHA-256 of a JSON value, keys sorted."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def plain(value: Any) -> Any:
    """Return a NumPy number or array as a JSON value: the `default` of json.dumps.

    Raises:
        TypeError: there is no JSON for it.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"no JSON for {type(value).__name__}")


@dataclass(frozen=True)
class Measure:
    """One figure of a set of clips."""

    metric: str
    """Name of the metric."""
    value: float | None
    """The figure, None where there is none."""
    low: float | None
    """Lower end of its 95% interval, None where there is none."""
    high: float | None
    """Upper end of its 95% interval, None where there is none."""
    n: tuple[int, ...]
    """Clips of the set and of the real one behind it."""
    protocol: str
    """All that the figure depends on, but the clips."""
    higher_is_better: bool
    """Whether higher values are better."""
    reason: str = ""
    """Why there is no value, or a limitation of it."""
    failed: bool = False
    """Whether the reason is a fault (absent weights, clips that can't be read or are too short), and not only too few clips."""


@dataclass(frozen=True)
class Profile(Settings):
    """Size and length of the clips that a generator is to make."""

    GROUP: ClassVar[str] = "profile"

    name: str = option()
    """Name of the profile, part of the run folder's name."""
    height: int = option(least=8, most=8192)
    """Pixels."""
    width: int = option(least=8, most=8192)
    """Pixels."""
    frames: int = option(least=2, most=100_000)
    """Frames of a clip."""
    fps: float = option(least=0.1, most=1000)
    """Frames per second."""
    given: int = option(least=1, most=100_000)
    """Frames given in mode v2v."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is out of range.
        """
        super().__post_init__()
        if self.given > self.frames:
            raise ConfigError(f"profile.given must be at most profile.frames={self.frames}, got {self.given}")

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame."""
        return (self.frames - 1) / self.fps
