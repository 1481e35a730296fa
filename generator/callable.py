"""A user's Python function as a generator."""

from __future__ import annotations

import copy
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from omegaconf import OmegaConf

from sora_eval.errors import ConfigError, is_interrupt
from sora_eval.files import content_hash
from sora_eval.generator.answers import one_line
from sora_eval.generator.base import Capabilities, file_safe
from sora_eval.generator.function_hash import function_hash, source_text
from sora_eval.types import MODES, Case, Failure, Frames, Mode, Video, digest
from sora_eval.video import frames_at

Conditioning: TypeAlias = Callable[[Case], Frames | None]
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_TAKEN = ("prompt", "height", "width", "frames", "fps", "seed", "conditioning", "checkpoint")

_EXTENSION = 2
"""Version of the extension of clips: raised whenever it makes others."""


class PythonCallable:
    """Calls a function once per case.

    The function is `f(prompt, *, height, width, frames, fps, seed, conditioning)`: the words, pixels, a frame count,
    frames per second, an int, and uint8 [k, H, W, 3] (the k frames given) or None. With `checkpoint` and `kwargs` it gets these as
    keywords too, and with modes of editing the case's as `mode`. It returns uint8 [T, H, W, 3] at `fps`, or a `Video`. Whatever it
    raises (`sys.exit` as well, but for an interrupt by the user), or no answer (None), is that case's technical `Failure`, which the
    next call tries again; the other cases go on.
    """

    kind = "model"

    def __init__(
        self,
        target: str | Callable[..., Any],
        name: str | None = None,
        modes: Sequence[Mode] = MODES,
        max_frames: int | None = None,
        version: str = "",
        conditioning: Conditioning | None = None,
        checkpoint: str | Path | None = None,
        kwargs: Mapping[str, Any] | None = None,
        extend: int | None = None,
    ) -> None:
        """Note what to call; the module is imported at first use.

        Args:
            target: `package.module:function`, `FILE.py:function`, or a function.
            name: of the generator; None takes the function's.
            modes: the modes that the function knows. With modes of editing among them it gets that of the case as the keyword `mode`.
            max_frames: the longest clip it makes, None for no limit.
            version: whatever else the clips depend on; needed to resume a run of a function that holds a network. A stored clip is used
                again while this, the checkpoint's bytes, `kwargs` and the module's own file stay the same.
            conditioning: gives a case's conditioning frames; None takes the simulated world's.
            checkpoint: a file or folder, hashed by its content, whose path the function gets as the keyword `checkpoint`.
            kwargs: further keywords of the function.
            extend: makes clips longer than `max_frames` by extension, each call given so many frames of the clip's end as its
                `conditioning`. What it returns must begin with these, and v2v must be among `modes`. None refuses such clips.

        Raises:
            ConfigError: the target isn't of that form, there is no such checkpoint, `kwargs` has a keyword that is taken, or `extend` is
                no number of frames below `max_frames`.

        """
        self._named = isinstance(target, str)
        self._loaded: Callable[..., Any] | None = None if isinstance(target, str) else target
        # Taken now, so that it stays while the run goes on. A version given by the user says all.
        self._state = "" if isinstance(target, str) or version or _importable(target) else function_hash(target)
        if not isinstance(target, str):
            name = name or file_safe(getattr(target, "__name__", type(target).__name__))
            target = f"{getattr(target, '__module__', None) or 'function'}:{name.replace('-', '_').replace('.', '_')}"
        module, colon, function = target.rpartition(":")
        if not (module and colon and function.isidentifier()):
            raise ConfigError(f"target '{target}': write package.module:function or FILE.py:function")
        self.target = target
        self.name = name or function
        # OmegaConf's lists become tuples; whatever is no list is refused by name.
        several = isinstance(modes, Sequence) and not isinstance(modes, str)
        window = Capabilities(tuple(modes) if several else cast("tuple[Mode, ...]", modes), max_frames)
        self._extend, self._window = _checked_extension(extend, window), window.max_frames
        # What extension makes has no longest length.
        self.capabilities = window if self._extend is None else replace(window, max_frames=None)
        self._version = version
        self._conditioning = conditioning
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        # Now, and once: weights that are written again during a run are other weights.
        self._weights = "" if self._checkpoint is None else _weights_hash(self._checkpoint)
        self._kwargs = _checked_kwargs(kwargs)
        self._device = ""

    def __getstate__(self) -> dict[str, Any]:
        # What has a target is loaded again in another process, which does not know the module of a file.
        return {**self.__dict__, "_loaded": None if self._named else self._loaded}

    def on_device(self, device: str) -> PythonCallable:
        """Return the generator whose function gets a device, such as "cuda:1", as the keyword `device`. Clips do not depend on it.

        Raises:
            ConfigError: the target can't be imported, or takes no such keyword.

        """
        parameters = _parameters(self._load())
        if parameters and "device" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise ConfigError(f"devices: {self.target} takes no keyword 'device': add it to the function")
        copied = copy.copy(self)
        copied._device = device
        return copied

    @property
    def recipe(self) -> dict[str, Any]:
        """The target, and the hash of the checkpoint's bytes."""
        weights = {"weights": self._weights} if self._weights else {}
        window = f"beyond {self._window} frames by extension, {self._extend} frames given"
        return {"sampler": self.target, **weights, **({"long_clips": window} if self._extend else {})}

    def fingerprint(self, case: Case) -> str:
        """Return a hash of the target, version, checkpoint and keywords, and of the source file that defines the function.

        Of a function that no module has under its name, such as one defined in a notebook, a closure or a method: of the function
        itself (see `function_hash`), unless a version was given.

        Raises:
            ConfigError: the target can't be imported.

        """
        source = source_text(self._load())
        # What isn't there is left out: clips from before there was a choice are still the right ones.
        more: list[dict[str, Any]] = [{"checkpoint": self._weights}] if self._weights else []
        more += [{"kwargs": self._kwargs}] if self._kwargs else []
        more += [{"state": self._state}] if self._state else []
        more += [{"extend": [self._extend, self._window, _EXTENSION]}] if self._is_extended(case) else []
        return digest([self.target, self._version, source, *more])

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield each case's video, or why there is none.

        Raises:
            ConfigError: the target can't be imported, or doesn't take the keywords.

        """
        function = self._load()
        keywords = self._keywords(function)
        for case in cases:
            refusal = self.capabilities.refuses(case) or self._unextendable(case)
            yield Failure(refusal) if refusal else self._call(function, case, keywords)

    def _is_extended(self, case: Case) -> bool:
        return self._extend is not None and self._window is not None and case.frames > self._window

    @property
    def _tells_mode(self) -> bool:
        # A function without modes of editing may have a parameter of that name for something else.
        return bool(set(self.capabilities.modes) - set(MODES))

    def _unextendable(self, case: Case) -> str:
        """Return why a case can't be made by extension, "" where it can, or need not be."""
        if case.mode in MODES or not self._is_extended(case):
            return ""
        return (
            f"the generator makes at most {self._window} frames at once, and in mode {case.mode} there is no extension"
        )

    def _call(self, function: Callable[..., Any], case: Case, keywords: Mapping[str, Any]) -> Video | Failure:
        # Outside the try: when the world can't give the frames, the fault is ours and not the model's.
        given = self._frames_given(case)
        if not self._is_extended(case):
            return self._answer(function, case, keywords, given)
        return self._extended(function, case, keywords, given)

    def _extended(
        self, function: Callable[..., Any], case: Case, keywords: Mapping[str, Any], given: Frames | None
    ) -> Video | Failure:
        assert self._extend is not None
        assert self._window is not None
        pieces: list[Frames] = []
        done, needed, fps = 0, case.frames, float(case.fps)
        while done < needed:
            overlap = len(given) if pieces and given is not None else 0
            window = replace(
                case, frames=min(self._window, needed - done + overlap), seed=_piece_seed(case.seed, len(pieces))
            )
            answer = self._answer(function, window, keywords, given)
            if isinstance(answer, Failure):
                return answer
            if not pieces:
                # As long as the case lasts, at the rate that the function makes clips of.
                fps, needed = answer.fps, frames_at(case.frames, case.fps, answer.fps)
            elif answer.fps != fps:
                return Failure(
                    f"{self.target} did not extend the clip: it returned {answer.fps:g} frames per second after {fps:g}"
                )
            new = answer.frames[overlap:]
            if not len(new) or (pieces and new.shape[1:] != pieces[0].shape[1:]):
                return Failure(f"{self.target} did not extend the clip: it returned {list(answer.frames.shape)}")
            pieces.append(new)
            done += len(new)
            given = answer.frames[-self._extend :].copy()
        return Video(np.concatenate(pieces)[:needed], fps)

    def _answer(
        self, function: Callable[..., Any], case: Case, keywords: Mapping[str, Any], given: Frames | None
    ) -> Video | Failure:
        try:
            answer = function(
                case.prompt,
                height=case.size[0],
                width=case.size[1],
                frames=case.frames,
                fps=case.fps,
                seed=case.seed,
                conditioning=given,
                **copy.deepcopy(keywords),
                **({"mode": case.mode} if self._tells_mode else {}),
            )
        except BaseException as err:
            if is_interrupt(err):
                raise
            return Failure(f"{self.target} raised {one_line(err)}", technical=True)
        if answer is None:
            return Failure(f"{self.target} returned nothing, uint8 [T, H, W, 3] is needed", technical=True)
        # Copies: the function may fill the same buffer for the next case.
        if isinstance(answer, Video):
            return replace(answer, frames=answer.frames.copy())
        try:
            answer = np.array(answer)
        except Exception as err:
            return Failure(f"{self.target} returned a {type(answer).__name__} that is no array ({one_line(err)})")
        if answer.dtype != np.uint8 or answer.ndim != 4 or answer.shape[-1] != 3 or 0 in answer.shape:
            shape = list(answer.shape)
            return Failure(f"{self.target} returned {answer.dtype} {shape}, uint8 [T, H, W, 3] is needed")
        return Video(answer, case.fps)

    def _frames_given(self, case: Case) -> Frames | None:
        if case.given == 0:
            return None
        if self._conditioning is None:
            # Late, because a generator of text-to-video alone needs no simulator.
            from sora_eval.world import conditioning

            self._conditioning = conditioning
        frames = self._conditioning(case)
        return None if frames is None else frames.copy()

    def _keywords(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Return `kwargs` and the checkpoint; the latter as None only to a function that can't do without the keyword."""
        parameters = _parameters(function)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if self._tells_mode and parameters and "mode" not in parameters and not takes_any:
            raise ConfigError(
                f"{self.target} takes no keyword 'mode': add it to the function, or leave modes of editing out of generator.modes"
            )
        keywords = dict(self._kwargs) | ({"device": self._device} if self._device else {})
        wanted = parameters.get("checkpoint")
        if self._checkpoint is not None:
            keywords["checkpoint"] = str(self._checkpoint)
        elif wanted is not None and wanted.kind in _BY_NAME and wanted.default is wanted.empty:
            keywords["checkpoint"] = None
        if parameters and not takes_any:
            for name in keywords:
                if name not in parameters or parameters[name].kind not in _BY_NAME:
                    option = "generator.checkpoint" if name == "checkpoint" else f"generator.kwargs.{name}"
                    raise ConfigError(
                        f"{self.target} takes no keyword '{name}': add it to the function, or leave {option} out"
                    )
        return keywords

    def _load(self) -> Callable[..., Any]:
        if self._loaded is None:
            self._loaded = load_function(self.target, "target")
        return self._loaded


def load_function(target: str, option: str) -> Callable[..., Any]:
    """Return the function that `package.module:function` or `FILE.py:function` names.

    Raises:
        ConfigError: the target is not of that form, can't be imported, or is no function; the message names the option.
    """
    module, colon, name = target.rpartition(":")
    if not (module and colon and name.isidentifier()):
        raise ConfigError(f"{option} '{target}': write package.module:function or FILE.py:function")
    # As `python -m` does, and a console script doesn't: modules in the working folder can be imported.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        function = getattr(_file(Path(module)) if module.endswith(".py") else import_module(module), name)
    except (Exception, SystemExit) as err:  # importing runs the user's code
        raise ConfigError(f"{option} '{target}': {one_line(err)}") from err
    if not callable(function):
        raise ConfigError(f"{option} '{target}': a {type(function).__name__} can't be called")
    loaded: Callable[..., Any] = function
    return loaded


def _file(path: Path) -> types.ModuleType:
    """Return the module of a file, imported once under a name of its own."""
    name = f"sora_eval_file_{digest(str(path.resolve()))}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None, "the name ends in .py"
        module = module_from_spec(spec)
        # There while it runs: a dataclass looks its module up.
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return a function's parameters by name, none where they can't be read."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _weights_hash(path: Path) -> str:
    if not (path.is_file() or path.is_dir()):
        raise ConfigError(f"generator.checkpoint={path}: no such file or folder")
    try:
        return content_hash(path)
    except OSError as error:
        raise ConfigError(f"generator.checkpoint={path} can't be read: {error.strerror}") from error


def _checked_kwargs(kwargs: Any) -> dict[str, Any]:
    """Return keywords of the function as plain values.

    Raises:
        ConfigError: they are no mapping of names, a name is taken by the case, or a value is no plain one.
    """
    if OmegaConf.is_config(kwargs):
        kwargs = OmegaConf.to_container(kwargs, resolve=True)
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping) or not all(isinstance(k, str) and k.isidentifier() for k in kwargs):
        raise ConfigError(f"generator.kwargs must map names of keywords to values, got {kwargs}")
    if taken := [k for k in kwargs if k in _TAKEN]:
        raise ConfigError(
            f"generator.kwargs.{taken[0]}: {taken[0]} is given by the case or an option of its own; leave it out"
        )
    try:
        digest(dict(kwargs))
    except TypeError as error:
        raise ConfigError(f"generator.kwargs must hold plain values only ({error})") from error
    return dict(kwargs)


def _checked_extension(extend: int | None, capabilities: Capabilities) -> int | None:
    """Return `extend` where it is None, or a number of frames that a v2v call can be given.

    Raises:
        ConfigError: it is another one, or there is no limit beyond which to extend.
    """
    if extend is None:
        return None
    most = capabilities.max_frames
    if most is None or "v2v" not in capabilities.modes:
        raise ConfigError("generator.extend needs generator.max_frames, and v2v among generator.modes")
    if isinstance(extend, bool) or not isinstance(extend, int) or not 1 <= extend < most:
        raise ConfigError(f"generator.extend must be a whole number from 1 to {most - 1}, got {extend}")
    return extend


def _piece_seed(seed: int, number: int) -> int:
    """Return the seed of a piece of an extended clip; the first has the clip's own, and no other one that of another case's clip."""
    return seed if number == 0 else int(digest(["piece", seed, number], 8), 16) % 2**31


def _importable(function: Callable[..., Any]) -> bool:
    """Return whether a module has this very function under its name: then its source file stands for it."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is None or module.__name__ == "__main__" or not isinstance(function, types.FunctionType):
        return False
    return getattr(module, function.__name__, None) is function and inspect.getsourcefile(module) is not None
