"""A lock on a folder that a process holds while it writes there; the system frees it when the process ends, however it does."""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems say that know no locks, as some network mounts do."""


def warn(line: str) -> None:
    """Print a line to standard error."""
    print(f"sora-eval: {line}", file=sys.stderr)


@contextmanager
def held(path: Path, say: Callable[[str], None] = warn) -> Iterator[bool]:
    """Hold the lock file `path`, which stays afterwards; wait while another process holds it, and say who does.

    Gives whether the lock is held: a file system without locks has none, and says so. Waiting is right for all: the holder does the same
    work, and whoever comes second finds it done. Locks of NFS belong to a client; when that dies, the server frees them after a while.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            _lock(file, path, say)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            say(f"{path.parent} can't be locked ({error.strerror}): let no other process write there")
            yield False
            return
        file.truncate(0)
        file.write(
            f"process {os.getpid()} on {platform.node()}, since {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}\n"
        )
        file.flush()
        # Closing the file frees the lock.
        yield True


def _lock(file: TextIO, path: Path, say: Callable[[str], None]) -> None:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        say(f"{path.parent} is being written by {file.read().strip() or 'another process'}; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)
