"""Scorers under audit: a video and its prompt in, a number out. Bundled formulas, a Python function, or a command."""

from __future__ import annotations

import inspect
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from sora_eval.errors import ConfigError, is_interrupt, unknown
from sora_eval.files import content_hash
from sora_eval.generator.answers import one_line
from sora_eval.generator.callable import load_function
from sora_eval.generator.function_hash import source_text
from sora_eval.types import Floats, Frames, Video, digest
from sora_eval.video import resized, write_h264

if TYPE_CHECKING:
    from sora_eval.encoders.clip import TextImageEncoder

COMMAND = "command:"
"""What begins the name of a scorer that is a command."""
LIKELIHOOD = "likelihood:"
"""What begins the name of a scorer that is the denoising loss of a model: a checkpoint of the reference generator, or a pipeline."""
DIFFUSERS = f"{LIKELIHOOD}diffusers:"
"""What begins the name of a scorer that is the denoising loss of a pipeline of diffusers."""
_CRF = 8
_FLOW_SIDE = 128
_KEYWORDS = ("frames", "video", "prompt", "fps", "reference")


@dataclass(frozen=True)
class ScoredClip:
    """All that a scorer may look at."""

    video: Video
    """The clip."""
    prompt: str
    """What was asked for."""
    true: Video
    """The true clip of the same scene, for full-reference scorers."""

    @cached_property
    def reference(self) -> Frames:
        """Frames of the true clip at the size and the moments of the clip."""
        moments = np.arange(len(self.video)) / self.video.fps
        index = np.minimum(np.rint(moments * self.true.fps), len(self.true) - 1).astype(int)
        return resized(self.true.frames, index, self.video.size)

    @cached_property
    def vectors(self) -> Floats:
        """Unit vectors [T, d] of the frames by the bundled encoder of pictures and words."""
        return _encoder().images(self.video.frames)


@dataclass(frozen=True)
class Scorer:
    """A function of a clip, and what to call it."""

    name: str
    """As in tables."""
    about: str
    """Its definition in a line."""
    fingerprint: str
    """Hash of what its values depend on, besides the clip."""
    function: Callable[[ScoredClip], float]
    """Returns the value; raises whatever it likes."""
    higher_is_better: bool = True
    """Direction of the value."""
    alone: bool = False
    """Whether one process at a time may hold it, and no other such scorer beside it: its weights may fill a GPU."""
    full_reference: bool = False
    """Whether it is given the true clip: in an audit that is the very one that wrong clips are compared with."""

    def value(self, clip: ScoredClip) -> tuple[float | None, str]:
        """Return the value, or None and why there is none."""
        try:
            value = float(self.function(clip))
        except BaseException as error:  # the user's code
            if is_interrupt(error):
                raise
            return None, one_line(error)
        return (value, "") if np.isfinite(value) else (None, f"{value} is no score")


def load_scorer(target: str, lower: bool = False, timeout_s: float = 600.0) -> Scorer:
    """Return a scorer by its target.

    target: one of `BUNDLED`; `likelihood:CHECKPOINT`, the negative denoising loss of a checkpoint of the reference generator, which needs
    no sampling (LikePhys, arXiv:2510.11512); `likelihood:diffusers:MODEL,option=value,...`, that of a text-to-video pipeline of diffusers,
    which is loaded with the first clip; the options are those of `generator=diffusers` that are not of sampling. Or `module:function` or
    `file.py:function`, a function of any of the keywords `frames` (uint8 [T, H, W, 3]), `video` (path of an MP4), `prompt`, `fps` and
    `reference` (frames of the true clip); or `command:PROGRAM ARGUMENTS`, in which {video} and {prompt} stand for both, and which prints
    the number as its last line. lower: whether lower values are better.
    timeout_s: of one call of a command.

    Raises:
        ConfigError: there is no such scorer, or it can't be loaded.
    """
    if target in BUNDLED:
        about, function = BUNDLED[target]
        full_reference = target in _FULL_REFERENCE
        return Scorer(target, about, digest([target, about]), function, not lower, full_reference=full_reference)
    if target.startswith(COMMAND):
        words = _words(target.removeprefix(COMMAND))
        name = Path(words[0] if len(words) < 2 or not words[1].endswith(".py") else words[1]).stem
        hashes = [content_hash(Path(w)) for w in words if Path(w).is_file()]
        return Scorer(name, target, digest([target, hashes]), _Command(tuple(words), timeout_s), not lower)
    if target.startswith(DIFFUSERS):
        return _pipeline_likelihood(target, lower)
    if target.startswith(LIKELIHOOD):
        return _likelihood(target.removeprefix(LIKELIHOOD), lower)
    if ":" not in target:
        raise unknown(
            "scorer",
            target,
            [
                *BUNDLED,
                f"{LIKELIHOOD}CHECKPOINT",
                f"{DIFFUSERS}MODEL",
                "module:function",
                "FILE.py:function",
                "command:PROGRAM {video} {prompt}",
            ],
        )
    function = load_function(target, "scorer")
    return Scorer(
        target.rpartition(":")[2],
        target,
        digest([target, source_text(function)]),
        _Python(function, target),
        not lower,
        full_reference="reference" in inspect.signature(function).parameters,
    )


def _likelihood(checkpoint: str, lower: bool) -> Scorer:
    from sora_eval.generator.denoising import DRAWS, LEVELS
    from sora_eval.generator.reference.evaluation.likelihood import denoising_loss, loaded

    model = loaded(checkpoint).model
    about = _about_loss(len(LEVELS), DRAWS)
    fingerprint = digest([model.hash, LEVELS, DRAWS])

    def function(clip: ScoredClip) -> float:
        return -denoising_loss(checkpoint, clip.video, clip.prompt)

    return Scorer(f"likelihood {model.name}", about, fingerprint, function, not lower)


def _pipeline_likelihood(target: str, lower: bool) -> Scorer:
    if find_spec("diffusers") is None:
        raise ConfigError(f"scorer {target} needs diffusers: pip install 'sora-eval[diffusers]'")
    from sora_eval.generator.denoising import DRAWS, LEVELS
    from sora_eval.generator.pipelines.likelihood import PipelineLikelihood, parse_options

    def named(error: ConfigError) -> ConfigError:
        # Its options have a group's name in `sora-eval run`, and none here.
        return ConfigError(f"scorer {target}: {str(error).replace('generator.', '')}")

    try:
        options = parse_options(target.removeprefix(DIFFUSERS))
        likelihood = PipelineLikelihood(options)
        fingerprint = likelihood.fingerprint
    except ConfigError as error:
        raise named(error) from error
    refused: list[ConfigError] = []

    def function(clip: ScoredClip) -> float:
        # What can't be loaded once isn't tried for every clip.
        if refused:
            raise refused[0]
        try:
            return -likelihood.loss(clip.video, clip.prompt)
        except ConfigError as error:
            refused.append(named(error))
            raise refused[0] from error

    about = _about_loss(len(LEVELS), DRAWS)
    return Scorer(f"likelihood {options.label}", about, fingerprint, function, not lower, alone=True)


def _about_loss(levels: int, draws: int) -> str:
    return f"denoising loss with its sign changed, mean of {levels} noise levels and {draws} noises, no sampling"


@dataclass(frozen=True)
class _Python:
    """A function that gets those of the keywords that it names."""

    function: Callable[..., Any]
    target: str

    def __post_init__(self) -> None:
        """Check that it looks at the clip."""
        taken = self._taken()
        if not {"frames", "video"} & set(taken):
            raise ConfigError(f"scorer {self.target} takes neither 'frames' nor 'video': it can't see the clip")

    def _taken(self) -> list[str]:
        parameters = inspect.signature(self.function).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return list(_KEYWORDS)
        needed = [n for n, p in parameters.items() if p.default is p.empty and n not in _KEYWORDS]
        if needed:
            raise ConfigError(
                f"scorer {self.target}: nothing to give for '{needed[0]}'; there are {', '.join(_KEYWORDS)}"
            )
        return [n for n in _KEYWORDS if n in parameters]

    def __call__(self, clip: ScoredClip) -> float:
        taken = self._taken()
        own = {
            "frames": clip.video.frames,
            "prompt": clip.prompt,
            "fps": clip.video.fps,
            "reference": clip.reference if "reference" in taken else None,
        }
        keywords = {k: v for k, v in own.items() if k in taken}
        if "video" not in taken:
            return float(self.function(**keywords))
        with TemporaryDirectory(prefix="sora-eval-") as folder:
            return float(self.function(video=str(_file(clip, folder)), **keywords))


@dataclass(frozen=True)
class _Command:
    """A command whose last line of output is the value."""

    words: tuple[str, ...]
    timeout_s: float

    def __call__(self, clip: ScoredClip) -> float:
        with TemporaryDirectory(prefix="sora-eval-") as folder:
            given = {"{video}": str(_file(clip, folder)), "{prompt}": clip.prompt}
            words = [given.get(w, w) for w in self.words]
            done = subprocess.run(words, capture_output=True, text=True, timeout=self.timeout_s, check=False)
        if done.returncode:
            raise ConfigError(f"exit code {done.returncode}: {_last_line(done.stderr) or 'nothing said'}")
        line = _last_line(done.stdout)
        try:
            return float(line)
        except ValueError:
            raise ConfigError(f"its last line is no number: '{line}'") from None


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"scorer command '{command}': {error}") from error
    if not words:
        raise ConfigError("scorer command: nothing to run")
    if "{video}" not in words:
        words.append("{video}")
    return words


def _file(clip: ScoredClip, folder: str) -> Path:
    """Write the clip as scorers get theirs: H.264 in an MP4, of good quality."""
    path = Path(folder) / "clip.mp4"
    write_h264(path, clip.video, _CRF)
    return path


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _ssim_first_frame(clip: ScoredClip) -> float:
    from sora_eval.metrics.similarity import ssim

    frames = clip.video.frames
    return ssim(frames[1:], np.repeat(frames[:1], len(frames) - 1, axis=0))


def _clipsim(clip: ScoredClip) -> float:
    from sora_eval.metrics.similarity import clip_similarity

    return clip_similarity(clip.vectors, _encoder().texts([clip.prompt])[0])


def _subject_consistency(clip: ScoredClip) -> float:
    from sora_eval.metrics.similarity import subject_consistency

    return subject_consistency(clip.vectors)


def _dynamic_degree(clip: ScoredClip) -> float:
    frames = clip.video.frames
    scale = _FLOW_SIDE / min(frames.shape[1:3])
    size = (round(frames.shape[2] * scale), round(frames.shape[1] * scale))
    grey = [cv2.resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA) for f in frames]
    flow: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    speeds = []
    for a, b in pairwise(grey):
        length = np.sort(np.linalg.norm(flow.calc(a, b, None), axis=-1).ravel())
        speeds.append(length[-max(1, len(length) // 20) :].mean())
    return float(np.mean(speeds)) * clip.video.fps / _FLOW_SIDE


def _physics_iq(clip: ScoredClip) -> float:
    from sora_eval.metrics.physics_iq import HIGHER_IS_BETTER, measures

    values = measures(clip.reference, clip.video.frames)
    better = [values[k] for k, higher in HIGHER_IS_BETTER.items() if higher]
    return float(np.mean(better)) - sum(values[k] for k, higher in HIGHER_IS_BETTER.items() if not higher)


@lru_cache(maxsize=1)
def _encoder() -> TextImageEncoder:
    # Imports torch, which other scorers may do without.
    from sora_eval.encoders.clip import load

    return load("world-clip")


BUNDLED: Mapping[str, tuple[str, Callable[[ScoredClip], float]]] = {
    "ssim_first_frame": ("mean SSIM of the frames with the first one (Wang et al. 2004)", _ssim_first_frame),
    "clipsim": ("mean cosine of frames and prompt (Wu et al. 2021), bundled encoder", _clipsim),
    "dynamic_degree": (
        "mean length of the largest 5% of optical flow, heights a second; VBench's dynamic degree before its threshold "
        "(Huang et al. 2024), DIS in place of RAFT", _dynamic_degree,
    ),
    "subject_consistency": (
        "cosines of each frame with the first and the one before (VBench, Huang et al. 2024), bundled encoder in place of DINO",
        _subject_consistency,
    ),
    "physics_iq": (
        "mean of the three IoU of motion masks less the MSE against the true clip (Motamed et al. 2025); two takes of a simulated scene "
        "are equal, so nothing is divided by", _physics_iq,
    ),
}  # fmt: skip
"""Scorers that come with the package: what they are, and their function."""
_FULL_REFERENCE = ("physics_iq",)
