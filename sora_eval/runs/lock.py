"""A lock on a folder that a process holds while it writes there; the system frees it when the process ends, however it does."""

from __future__ import annotations

import errno
import os
import platform
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from sora_eval.errors import ConfigError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems say that know no locks, as some network mounts do."""


def warn(line: str) -> None:
    """Print a line to standard error."""
    print(f"sora-eval: {line}", file=sys.stderr)


@contextmanager
def held(path: Path, say: Callable[[str], None] = warn) -> Iterator[bool]:
    """Hold the lock file `path`, which stays afterwards; wait while another process holds it, and print who does.

    Gives whether the lock is held: a file system without locks has none, with a note. Waiting is right for all: the holder does the same
    work, and whoever comes second finds it done. Locks of NFS belong to a client; when that dies, the server frees them after a while.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path) as file:
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


def _opened(path: Path) -> TextIO:
    """Return the lock file, made where there is none. A link is refused: what it leads to would be emptied.

    Raises:
        ConfigError: it is a link, or no plain file.
    """
    try:
        number = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
        )
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise ConfigError(f"{path} is a link or no plain file, and can't be a lock: remove it") from error
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ConfigError(f"{path} is a link or no plain file, and can't be a lock: remove it")
    return os.fdopen(number, "a+", encoding="utf-8", errors="replace")


def _lock(file: TextIO, path: Path, say: Callable[[str], None]) -> None:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        say(f"{path.parent} is being written by {file.read().strip() or 'another process'}; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)
