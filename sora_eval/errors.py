"""Exceptions of sora-eval; each message names the thing, the place and the remedy."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterable
from concurrent.futures.process import BrokenProcessPool
from difflib import get_close_matches


class SoraEvalError(Exception):
    """Base of every exception that sora-eval raises on purpose."""


class VideoError(SoraEvalError):
    """A video could not be read or written."""


class MachineError(VideoError):
    """The machine, not the file, is why a video could not be read or written: memory, a disk or a network drive. It may work later."""


class ManifestError(SoraEvalError):
    """A manifest of somebody's videos has a faulty row."""


class ConfigError(SoraEvalError):
    """A configuration value is unknown or out of range."""


_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ESTALE, errno.EMFILE, errno.ENFILE)
_OF_MACHINE = (
    errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ECONNRESET, errno.ECONNABORTED,
    errno.ENOTCONN, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH,
)  # fmt: skip
"""What a failing disk, a network drive and a lack of memory or of handles raise."""


def is_of_machine(error: BaseException) -> bool:
    """Return whether the machine, not the file, is why Python could not read a file: no memory, or an error of a disk or network drive.

    FFmpeg has some of the same numbers for damaged files.
    """
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _OF_MACHINE)


def is_fatal(error: BaseException | None) -> bool:
    """Return whether an exception ends a run rather than one case: the disk is full, failing or closed to us, or was when a codec wrote."""
    while error is not None:
        # FFmpeg's errors have a number too, and are no OSError.
        if getattr(error, "errno", None) in _FATAL:
            return True
        error = error.__cause__
    return False


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception stops the program rather than being a fault of the code that it came through: the user's interrupt, or
    what a signal handler raised there, as that of a batch system does when a job's time is over.
    """
    if isinstance(error, KeyboardInterrupt):
        return True
    handlers = {
        getattr(getattr(h, "__func__", h), "__code__", None) for h in map(signal.getsignal, signal.valid_signals())
    }
    return any(frame.f_code in handlers for frame, _ in traceback.walk_tb(error.__traceback__))


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Return the error for an unknown `name`, with the nearest known names."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return ConfigError(f"unknown {kind} '{name}': {hint}")


TRACEBACK = "SORA_EVAL_TRACEBACK"
"""The environment variable with which tracebacks are shown."""


KILLED = "the worker process was killed, as the system does when memory runs out"


def print_error(error: Exception) -> int:
    """Print one line about an exception to standard error and return the exit code: 2, since the command was not carried out."""
    print(f"sora-eval: {line_of(error)}", file=sys.stderr)
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        traceback.print_exception(error)
    return 2


def line_of(error: Exception) -> str:
    """Return what is printed of an exception: its message where the error is a foreseen one, else that it was not foreseen."""
    text = " ".join(str(error).split())
    if isinstance(error, SoraEvalError | OSError) and text:
        return text
    if isinstance(error, BrokenProcessPool):
        return f"{KILLED}: set a smaller workers=N, such as workers=1"
    if isinstance(error, MemoryError):
        return f"out of memory{f' ({text})' if text else ''}: ask for fewer or smaller clips, or set workers=1"
    if len(text) > 300:
        text = f"{text[:300]}..."
    return (
        f"internal error ({type(error).__name__}{f': {text}' if text else ''}); please report it with what "
        f"{TRACEBACK}=1 shows"
    )
