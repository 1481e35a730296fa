"""The console: what is printed of an exception, with which exit code, and output that nobody reads any more."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class _Unread(io.FileIO):
    """A file descriptor that goes on taking bytes when nobody reads them any more."""

    def write(self, data: Any) -> int:
        """Write bytes; once the pipe is closed, to nowhere."""
        try:
            return super().write(data)
        except BrokenPipeError:
            _discard(self.fileno())
            return memoryview(data).nbytes


def keep_writing() -> None:
    """Let this process finish its work when whoever reads its output stops, as `sora-eval run ... | head` does.

    Standard streams that were closed before the start lead to nowhere: a file that is opened later must not get their number.
    """
    for number in (1, 2):
        try:
            os.fstat(number)
        except OSError:
            _discard(number)
    sys.stdout, sys.stderr = _lasting(sys.stdout, 1), _lasting(sys.stderr, 2)


def finish(code: int) -> int:
    """Write out what is left of the output; return the exit code, 2 when the output could not be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What stays in the buffer would be tried again at the exit, with a traceback.
        _discard(1)
        with suppress(OSError):
            print(f"sora-eval: the output can't be written ({error.strerror or error})", file=sys.stderr)
        return 2
    return code


def _lasting(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None and (stream.isatty() or not isinstance(stream, io.TextIOWrapper)):
        return stream
    if stream is not None:
        with suppress(OSError):
            stream.flush()
    encoding, errors = ("utf-8", "replace") if stream is None else (stream.encoding, stream.errors)
    raw = io.BufferedWriter(_Unread(number, "w", closefd=False))
    # Standard error shows each line at once, as Python's own does.
    return io.TextIOWrapper(raw, encoding, errors, line_buffering=number == 2, write_through=number == 2)


def _discard(number: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    if null != number:
        os.dup2(null, number)
        os.close(null)
