"""A diffusers pipeline behind the `Generator` protocol of the suites."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image

from sora_eval.generator.answers import is_blocked, one_line
from sora_eval.generator.base import Capabilities
from sora_eval.generator.pipelines.loading import Loaded, described, load, weights_hash
from sora_eval.generator.pipelines.options import PipelineOptions
from sora_eval.types import Case, Failure, Frames, Video, digest
from sora_eval.video import frames_at, resample, resize
from sora_eval.world import conditioning

VERSION = 2
"""Raised whenever the same pipeline and options give another clip."""


@dataclass(frozen=True)
class _Form:
    """What the videos of a batch have in common."""

    mode: str
    """The mode."""
    size: tuple[int, int]
    """Size (height, width) that the pipeline makes."""
    frames: int
    """Frames that it makes."""
    kept: int
    """Frames that are kept, from the first."""
    before: int
    """Given frames that are put in front of them: those before the one that the pipeline continues."""
    fps: float
    """Frames per second."""


@dataclass(frozen=True)
class Pipeline(PipelineOptions):
    """Generates clips with a text-, image- or video-to-video pipeline of diffusers, at a size and length that the pipeline can make.

    The frame count is the least that covers the case, and the clip is cut to the case's duration. With given frames, `image` gets the first
    one in i2v; in v2v `video` gets them all, and a pipeline with `image` alone continues the last one, which the others precede.

    Raises:
        ConfigError: the model or the checkpoint can't be used, or an option is out of range.
    """

    kind: ClassVar[Literal["model"]] = "model"

    def __post_init__(self) -> None:
        """Check the options and that model and checkpoint are there; they are loaded with the first case."""
        super().__post_init__()
        _weights(self.model, self.checkpoint)
        self.__dict__["problems"] = []

    @property
    def name(self) -> str:
        """The title, or the names of model and checkpoint, file-name safe."""
        return self.label

    @property
    def capabilities(self) -> Capabilities:
        """The modes that were chosen or that the pipeline's arguments allow; one process, for the weights are large."""
        modes = self.modes if self.modes is not None else self._loaded().rules.modes
        return Capabilities(modes, self.max_frames)

    def fingerprint(self, case: Case) -> str:
        """Return a hash of weights and options that clips depend on."""
        settings = [
            self.pipeline, self.lora_scale, self.steps, self.guidance, self.negative_prompt, self.scheduler, dict(self.arguments),
            self.width, self.height, self.fps, self.dtype,
        ]  # fmt: skip
        return digest([VERSION, _weights(self.model, self.checkpoint), settings])

    @property
    def recipe(self) -> dict[str, Any]:
        """Pipeline, scheduler, steps and guidance as the model's files and the options have them, and hashes of the weights."""
        own = described(self.model)
        return {
            "sampler": self.pipeline or own.get("pipeline", "the model's own"),
            "scheduler": self.scheduler or own.get("scheduler", "the model's own"),
            "steps": self.steps or "the pipeline's own",
            "guidance": "the pipeline's own" if self.guidance is None else self.guidance,
            "negative_prompt": self.negative_prompt,
            "dtype": self.dtype,
            "weights": _weights(self.model, self.checkpoint),
        }

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield a clip per case, `batch` at a time."""
        loaded = self._loaded()
        for form, group in groupby(cases, key=lambda case: self._form(loaded, case)):
            waiting = list(group)
            while waiting:
                batch, waiting = waiting[: self.batch], waiting[self.batch :]
                if refusal := self.capabilities.refuses(batch[0]):
                    yield from (Failure(refusal) for _ in batch)
                else:
                    yield from self._videos(loaded, batch, form)

    def _loaded(self) -> Loaded:
        return load(self)

    def _form(self, loaded: Loaded, case: Case) -> _Form:
        rules = loaded.rules
        size = rules.size(self.height or case.size[0], self.width or case.size[1])
        given_rate = case.fps if "frame_rate" in rules.arguments else None
        fps = self.fps or given_rate or rules.fps or case.fps
        kept = frames_at(case.frames, case.fps, fps)
        before = 0
        if case.mode == "v2v" and "video" not in rules.arguments:
            before = min(kept, frames_at(case.given, case.fps, fps)) - 1
        return _Form(case.mode, size, rules.frames(kept - before), kept - before, before, fps)

    def _videos(self, loaded: Loaded, cases: Sequence[Case], form: _Form) -> Iterator[Video | Failure]:
        """Yield the clips of a batch; where memory runs out, those of its halves."""
        try:
            frames = self._sampled(loaded, cases, form)
        except (torch.OutOfMemoryError, MemoryError) as error:
            _free()
            if len(cases) == 1:
                remedy = "choose a smaller profile, generator.offload=model or generator.dtype=bfloat16"
                yield Failure(
                    f"out of memory at {form.size[1]}x{form.size[0]}x{form.frames} ({one_line(error)[:120]}): {remedy}",
                    technical=True,
                )
                return
            self._note(
                f"out of memory with {len(cases)} videos at a time: halved; generator.batch={len(cases) // 2} does so at once"
            )
            half = len(cases) // 2
            yield from self._videos(loaded, cases[:half], form)
            yield from self._videos(loaded, cases[half:], form)
            return
        for case, clip in zip(cases, frames, strict=True):
            video = _clip(clip, form)
            if form.before and isinstance(video, Video):
                before = self._conditioning(case, form)[: form.before]
                video = Video(np.concatenate([before, video.frames]), form.fps)
            yield video

    def _sampled(self, loaded: Loaded, cases: Sequence[Case], form: _Form) -> list[Any]:
        """Return what the pipeline makes of cases of one form: frames [T, H, W, 3] in 0 to 1 for each."""
        for case in cases:
            self._check_length(loaded, case.prompt)
        generators = [torch.Generator("cpu").manual_seed(case.seed % 2**63) for case in cases]
        one = len(cases) == 1
        given = self._given(loaded, cases, form)
        known = {
            "prompt": cases[0].prompt if one else [case.prompt for case in cases],
            "negative_prompt": self._negative(len(cases)),
            "height": form.size[0],
            "width": form.size[1],
            "num_frames": form.frames,
            "frame_rate": form.fps,
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "generator": generators[0] if one else generators,
            "output_type": "np",
        }
        taken = {k: v for k, v in known.items() if v is not None and k in loaded.rules.arguments}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            output = loaded.pipeline(**{**taken, **given, **self.arguments})
        return list(output.frames)

    def _check_length(self, loaded: Loaded, prompt: str) -> None:
        """Note that prompts are longer than what the pipeline reads: what is asked in the rest, the model never saw."""
        tokenizer = getattr(loaded.pipeline, "tokenizer", None)
        if tokenizer is None:
            return
        own = self.arguments.get("max_sequence_length", loaded.rules.longest_prompt) or tokenizer.model_max_length
        limit = min(own, tokenizer.model_max_length)
        if len(tokenizer(prompt, truncation=False, verbose=False)["input_ids"]) > limit:
            self._note(
                f"prompts are longer than the {limit} tokens that the pipeline reads: the rest of their words is cut off"
            )

    def _note(self, problem: str) -> None:
        if problem not in self.__dict__["problems"]:
            self.__dict__["problems"].append(problem)

    def _negative(self, count: int) -> str | list[str] | None:
        if self.negative_prompt is None or count == 1:
            return self.negative_prompt
        return [self.negative_prompt] * count

    def _given(self, loaded: Loaded, cases: Sequence[Case], form: _Form) -> dict[str, Any]:
        """Return the arguments that hold the given frames."""
        if form.mode == "t2v":
            return {}
        clips = [self._conditioning(case, form) for case in cases]
        if form.mode == "v2v" and "video" in loaded.rules.arguments:
            videos = [[Image.fromarray(frame) for frame in self._padded(loaded, clip, form)] for clip in clips]
            return {"video": videos[0] if len(videos) == 1 else videos}
        images = [Image.fromarray(clip[form.before]) for clip in clips]
        return {"image": images[0] if len(images) == 1 else images}

    def _conditioning(self, case: Case, form: _Form) -> Frames:
        """Return the given frames at the size and rate of the pipeline."""
        given = conditioning(case)
        assert given is not None
        count = frames_at(len(given), case.fps, form.fps)
        return resize(resample(Video(given, case.fps), form.fps, count).frames, form.size)

    def _padded(self, loaded: Loaded, given: Frames, form: _Form) -> Frames:
        """Return given frames as a pipeline takes them: as they are where it continues them, else held to the full length."""
        if loaded.rules.conditioned:
            return given
        return np.concatenate([given, np.repeat(given[-1:], max(0, form.frames - len(given)), axis=0)])


# Once per process: the files may be tens of gigabytes.
_weights = lru_cache(maxsize=64)(weights_hash)


def _clip(frames: Any, form: _Form) -> Video | Failure:
    """Return a clip of the frames [T, H, W, 3] that a pipeline made: numbers in 0 to 1, or 8-bit pictures (PIL)."""
    frames = np.stack([np.asarray(frame) for frame in frames])
    if frames.dtype == np.uint8:
        frames = frames.astype(np.float32) / 255
    if not np.isfinite(frames).all():
        return Failure(
            "the pipeline made frames that are no numbers (NaN): try generator.dtype=float32", technical=True
        )
    whole = (np.clip(frames[: form.kept], 0, 1) * 255).round().astype(np.uint8)
    if is_blocked(whole):
        return Failure("every frame is black, as of a video that a safety checker has blocked", technical=True)
    if len(whole) < min(2, form.kept):
        return Failure(f"the pipeline made {len(whole)} frame, {form.kept} were requested", technical=True)
    return Video(whole, form.fps)


def _free() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
