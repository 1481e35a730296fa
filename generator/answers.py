"""Answers of a generator: one for each case, and an exception becomes a technical failure."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from itertools import islice

from sora_eval.errors import ConfigError, ManifestError, is_interrupt
from sora_eval.generator.base import Generator
from sora_eval.types import Case, Failure, Frames, Video

NO_ANSWER = "the generator gave no answer"


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Nothing can be written: of the run's own folder too. Other errors of the system may be the generator's alone."""


_BLACK = 8
"""Grey level that no pixel of a blocked video reaches."""


def is_blocked(frames: Frames) -> bool:
    """Return whether a clip uint8 [T, H, W, 3] is black throughout, as safety checkers make what they block."""
    return int(frames.max(initial=0)) < _BLACK


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its type and its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def answers(generator: Generator, cases: Sequence[Case]) -> Iterator[tuple[Case, Video | Failure]]:
    """Yield each case with its answer, whatever the generator does: what it raises becomes a technical `Failure`.

    After an exception the cases that have no answer yet are tried one by one, so that only the one that raises by itself fails: a batch may
    have been too large. A generator that gives more or fewer answers than cases may have skipped one in the middle, and none of its answers
    can be trusted to be of its case; then all are tried one by one, and a case comes a second time: its last answer counts.

    Raises:
        ConfigError, ManifestError: the generator can't be used at all. OSError: the disk is full.
    """
    if not cases:
        return
    left = list(cases)
    try:
        given = iter(generator.generate(left))
        while left:
            answer = next(given, None)
            if answer is None:
                break
            yield left[0], _checked(answer)
            left = left[1:]
        if left or next(given, None) is not None:
            left = list(cases)
    except GeneratorExit:
        raise
    except BaseException as error:
        if _fatal(error):
            raise
        if left and len(cases) == 1:
            yield cases[0], _raised(generator, error)
            return
    for case in left:
        yield case, _alone(generator, case)


def _alone(generator: Generator, case: Case) -> Video | Failure:
    try:
        given = list(islice(generator.generate([case]), 2))
    except BaseException as error:
        if _fatal(error):
            raise
        return _raised(generator, error)
    if len(given) > 1:
        return Failure("the generator gave more than one answer to one case", technical=True)
    return _checked(given[0]) if given else Failure(NO_ANSWER, technical=True)


def _checked(answer: object) -> Video | Failure:
    if isinstance(answer, Video | Failure):
        return answer
    return Failure(f"the generator gave a {type(answer).__name__}, a Video or a Failure is needed", technical=True)


def _raised(generator: Generator, error: BaseException) -> Failure:
    return Failure(f"the generator {generator.name} raised {one_line(error)}", technical=True)


def _fatal(error: BaseException) -> bool:
    """Return whether an exception of a generator ends the run: the user stops it, it can't be used at all, or nothing can be written."""
    return (
        is_interrupt(error)
        or isinstance(error, ConfigError | ManifestError)
        or (isinstance(error, OSError) and error.errno in _FULL)
    )
