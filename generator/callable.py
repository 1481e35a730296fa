"""A user's Python function as a generator."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sora_eval.errors import ConfigError
from sora_eval.generator.base import Capabilities
from sora_eval.types import MODES, Case, Failure, Frames, Mode, Video, digest

Conditioning: TypeAlias = Callable[[Case], Frames | None]


class PythonCallable:
    """Calls a function once per case.

    The function is `f(prompt, *, height, width, frames, fps, seed, conditioning)`: the words, pixels, a frame count,
    frames per second, an int, and uint8 [k, H, W, 3] (the k frames given) or None. It returns uint8 [T, H, W, 3]
    at `fps`, or a `Video`. Whatever it raises becomes that case's `Failure`; the other cases go on.
    """

    kind = "model"

    def __init__(
        self,
        target: str,
        name: str | None = None,
        modes: Sequence[Mode] = MODES,
        max_frames: int | None = None,
        version: str = "",
        conditioning: Conditioning | None = None,
    ) -> None:
        """Note what to call; the module is imported at first use.

        Args:
            target: `package.module:function`.
            name: of the generator; None takes the function's.
            modes: the modes that the function knows.
            max_frames: the longest clip it makes, None for no limit.
            version: whatever else the answers depend on, for example the hash of a checkpoint. A stored clip is
                used again while this and the module's own file stay the same.
            conditioning: gives a case's conditioning frames; None asks the simulated world.

        Raises:
            ConfigError: the target isn't of that form.

        """
        self._module, colon, self._function = target.partition(":")
        if not (self._module and colon and self._function.isidentifier()):
            raise ConfigError(f"target '{target}': write package.module:function")
        self.target = target
        self.name = name or self._function
        self.capabilities = Capabilities(modes=tuple(modes), max_frames=max_frames)
        self._version = version
        self._conditioning = conditioning
        self._loaded: Callable[..., Any] | None = None

    def fingerprint(self, case: Case) -> str:
        """Return a hash of the target, the version and the source file that defines the function.

        Raises:
            ConfigError: the target can't be imported.

        """
        try:
            file = inspect.getsourcefile(inspect.unwrap(self._load()))
            source = Path(file).read_text(encoding="utf-8") if file else ""
        except (TypeError, OSError, ValueError):  # a built-in, an instance or a function made at run time
            source = ""
        return digest([self.target, self._version, source])

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield each case's video, or why there is none.

        Raises:
            ConfigError: the target can't be imported.

        """
        function = self._load()
        for case in cases:
            refusal = self.capabilities.refuses(case)
            yield Failure(refusal) if refusal else self._call(function, case)

    def _call(self, function: Callable[..., Any], case: Case) -> Video | Failure:
        # Outside the try: when the world can't give the frames, the fault is ours and not the model's.
        given = self._frames_given(case)
        try:
            answer = function(
                case.prompt,
                height=case.size[0],
                width=case.size[1],
                frames=case.frames,
                fps=case.fps,
                seed=case.seed,
                conditioning=given,
            )
            if isinstance(answer, Video):
                return answer
            # A copy: the function may fill the same buffer for the next case.
            answer = np.array(answer)
        except Exception as err:
            return Failure(f"{self.target} raised {type(err).__name__}: {_one_line(err)}")
        if answer.dtype != np.uint8 or answer.ndim != 4 or answer.shape[-1] != 3 or 0 in answer.shape:
            shape = list(answer.shape)
            return Failure(f"{self.target} returned {answer.dtype} {shape}, uint8 [T, H, W, 3] is needed")
        return Video(answer, case.fps)

    def _frames_given(self, case: Case) -> Frames | None:
        if case.given == 0:
            return None
        if self._conditioning is None:
            # Late, because a generator that is only asked for text needs no simulator.
            from sora_eval.world import conditioning

            self._conditioning = conditioning
        frames = self._conditioning(case)
        return None if frames is None else frames.copy()

    def _load(self) -> Callable[..., Any]:
        if self._loaded is None:
            # As `python -m` does it, which a console script doesn't: a module in the folder one works in is found.
            if os.getcwd() not in sys.path:
                sys.path.insert(0, os.getcwd())
            try:
                found = getattr(import_module(self._module), self._function)
            except Exception as err:  # importing runs the user's code
                raise ConfigError(f"target '{self.target}': {type(err).__name__}: {_one_line(err)}") from err
            if not callable(found):
                raise ConfigError(f"target '{self.target}': a {type(found).__name__} can't be called")
            self._loaded = found
        assert self._loaded is not None
        return self._loaded


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split())
