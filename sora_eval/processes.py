"""Worker processes, one thread each, that end with the process that started them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process


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


def _begin() -> None:
    import cv2

    cv2.setNumThreads(1)
    end_with_parent()


def end_with_parent() -> None:
    """End this process when the one that started it does: a parent that was killed tells nobody, and its workers would go on."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
