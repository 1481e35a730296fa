"""The reference generator behind the `Generator` protocol of the suites."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from sora_eval.data.shards import ACTIONS, FPS
from sora_eval.generator.base import Capabilities, file_safe
from sora_eval.generator.reference import model
from sora_eval.generator.reference.autoencoder import CHUNK
from sora_eval.generator.reference.options import GRID, Options, ReferenceOptions
from sora_eval.generator.reference.sampler import CONTEXT, TRAINED_FRAMES, VERSION, PromptWarning, Sampler
from sora_eval.training import checkpoints
from sora_eval.training.checkpoint_files import Signature, signature
from sora_eval.types import ALL_MODES, MODES, Case, Failure, Frames, Video, digest
from sora_eval.video import frames_at, resample, resize
from sora_eval.world import conditioning
from sora_eval.world.action_scripts import action_script


@dataclass(frozen=True)
class Reference(ReferenceOptions):
    """Generates clips of cases with a checkpoint of the reference generator, in all modes, at 8 frames per second.

    Raises:
        ConfigError: the checkpoint can't be used, or an option is out of range.
    """

    kind: ClassVar[Literal["model"]] = "model"
    # Each process loads its own copy: it is small.
    capabilities: ClassVar[Capabilities] = Capabilities(modes=ALL_MODES, processes=True)

    def __post_init__(self) -> None:
        """Check the options and load the checkpoint, before the first case."""
        super().__post_init__()
        # Taken once: a file that is written again is another checkpoint for a new generator, and not for this one.
        self.__dict__["_written"] = signature(model.find(self.checkpoint))
        self._sampler()

    @property
    def _model(self) -> model.Model:
        return _loaded(self.checkpoint, self.__dict__["_written"])

    def _sampler(self) -> Sampler:
        return Sampler(self._model, self._options(), self.expanded)

    def _options(self) -> Options:
        return self.sampling(self._model.sampling)

    @property
    def name(self) -> str:
        """The checkpoint's name, file-name safe."""
        return f"reference-{file_safe(self._model.name)}"

    @property
    def compute(self) -> float | None:
        """Floating-point operations of its training."""
        return self._model.compute

    @property
    def step(self) -> int | None:
        """Steps of its training, None where its file lacks them."""
        steps = self._model.about.get("steps")
        return steps if isinstance(steps, int) else None

    @property
    def problems(self) -> tuple[str, ...]:
        """Faults of the checkpoint."""
        fault = self._model.fault
        return (fault,) if fault else ()

    def fingerprint(self, case: Case) -> str:
        """Return the weights' hash, the version of the sampler, and the options."""
        options = [self.short_side, *asdict(self._options()).values(), self.expanded, self.noise]
        actions = _actions(case)
        played = "" if actions is None else f":rollout={digest(list(actions), 8)}"
        return f"reference:{checkpoints.FORMAT}.{VERSION}:{self._model.hash}:{':'.join(map(str, options))}{played}"

    @property
    def recipe(self) -> dict[str, Any]:
        """Sampler, its options, and the hash of the weights."""
        o = self._options()
        options = {k: v for k, v in asdict(o).items() if k != "order"}
        options |= {"expanded": self.expanded, "short_side": self.short_side, "noise": self.noise}
        longer = f"beyond {TRAINED_FRAMES} frames by extension, {CHUNK * (CONTEXT - 1) + 1} frames given"
        return {
            "sampler": f"rectified flow, version {VERSION}{', Euler' if o.order == 1 else ''}",
            **options,
            "weights": self._model.hash,
            "long_clips": longer,
        }

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield a clip per case, without warnings: prompts are not the user's here."""
        if self.problems:
            yield from (Failure(self.problems[0]) for _ in cases)
            return
        sampler = self._sampler()
        for case in cases:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PromptWarning)
                yield self._generate(sampler, case)

    def _generate(self, sampler: Sampler, case: Case) -> Video | Failure:
        """Return the clip of a case, in one window where that is long enough, else by extension; of a first frame with actions by those."""
        actions = _actions(case)
        if unknown := sorted(set(actions or ()) - set(ACTIONS)):
            words = ", ".join(f"'{name}'" for name in unknown)
            return Failure(f"it was trained on the actions {', '.join(ACTIONS)}, not on {words}")
        frames, size = _frames(case), self._size(case.size)
        given, seed = conditioning(case), self._seed(case)
        if given is not None and case.mode not in MODES:
            return edited_clip(sampler, case, given, size, seed)
        if given is not None and actions is not None:
            return sampler.rollout(resize(given, size)[0], actions[1:], case.prompt, seed)
        if given is None:
            if frames <= TRAINED_FRAMES:
                return sampler.text_to_video(case.prompt, frames, size, seed)
            return Video(np.concatenate(list(sampler.long_video(case.prompt, frames, size, seed))), FPS)
        start = _resampled(given, case, size)
        first = sampler.continue_video(start, case.prompt, min(frames, max(TRAINED_FRAMES, len(start))), seed)
        if len(first) >= frames:
            return first
        return sampler.extend(first.frames, case.prompt, frames - len(first), seed, own=True)

    def _seed(self, case: Case) -> int:
        # Hashed with the id: case i of every probe has the same seed.
        return int(digest([case.id, case.seed, self.noise], 8), 16)

    def _size(self, case_size: tuple[int, int]) -> tuple[int, int]:
        scale = 1.0 if self.short_side is None else self.short_side / min(case_size)
        height, width = (max(GRID, round(side * scale / GRID) * GRID) for side in case_size)
        return height, width


def edited_clip(sampler: Sampler, case: Case, given: Frames, size: tuple[int, int], seed: int) -> Video:
    """Return the sampler's clip of a case in a mode of editing. given: its conditioning frames, at the case's size and rate."""
    first = next((i for i, k in enumerate(case.given_at) if k > i), len(given))
    frames, prompt = _frames(case), case.prompt
    start = _resampled(given[:first], case, size) if first else given[:0]
    # From its end: at another rate its last frame is still that of the clip.
    end = _resampled(given[first:][::-1], case, size)[::-1] if first < len(given) else given[:0]
    more = frames - len(start) - len(end)
    if case.mode == "edit":
        return sampler.edit(_resampled(given, case, size, frames), prompt, seed=seed)
    if case.mode == "extend_back":
        return sampler.extend(end, prompt, more, seed, backward=True)
    if case.mode == "loop":
        return sampler.loop(start, prompt, seed, more)
    return sampler.connect(start, end, prompt, seed, more)


def _resampled(given: Frames, case: Case, size: tuple[int, int], frames: int | None = None) -> Frames:
    if case.fps == FPS:
        return resize(given, size)
    return resize(resample(Video(given, case.fps), FPS, frames or frames_at(len(given), case.fps, FPS)).frames, size)


def _actions(case: Case) -> tuple[str, ...] | None:
    """Return the actions per frame of a case with a first frame, at the generator's own rate; None where there are none to follow."""
    script = action_script(case, FPS) if case.mode == "i2v" else None
    return None if script is None else script.tokens


def _frames(case: Case) -> int:
    """Return the frames of a case at the generator's own rate."""
    return frames_at(case.frames, case.fps, FPS)


@lru_cache(maxsize=4)
def _loaded(checkpoint: str, written: Signature | None) -> model.Model:
    """Return a checkpoint, loaded once in a process. written: signature of its file."""
    return model.load(checkpoint)
