"""Worker processes, one thread each, that end with the process that started them."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path


def cores() -> int:
    """Return how many cores this process may use: a batch system may have lent it a few of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes.

    Linux hands the `ru_maxrss` of whoever started a process down to it; the peak of its own is told by /proc alone.
    """
    status = Path("/proc/self/status")
    own = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if own:
        return int(own[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of `workers` processes; no process starts before there is work.

    Spawned, because forking a process with threads can hang. One thread each: processes are the parallelism here.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with ProcessPoolExecutor(max(1, workers), mp_context=get_context("spawn"), initializer=_begin) as executor:
            yield executor
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread, and afterwards as many as before.

    How a sum is split among threads decides how it is rounded: with another number of them the same network gives other bytes.
    Of the whole process, so not for several threads at once.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _begin() -> None:
    import cv2

    cv2.setNumThreads(1)
    end_with_parent()


def end_with_parent() -> None:
    """End this process, if another started it to work for it, when that one does.

    A parent that was killed tells nobody, and its workers would go on. A process that nobody started in this way goes on.
    """
    parent = parent_process()
    if parent is None:
        return
    started_by = os.getppid()

    def wait() -> None:
        # Joblib's workers know their parent by its number only.
        if getattr(parent, "_sentinel", None) is not None:
            parent.join()
        while os.getppid() == started_by and getattr(parent, "_sentinel", None) is None:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
