"""Worker processes, one thread each, that end with the process that started them."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TypeVar

from sora_eval.errors import KILLED, SoraEvalError

T = TypeVar("T")


class WorkerKilledError(SoraEvalError):
    """A worker process ended in the midst of its work, as one does that the system kills when memory runs out."""


def cores() -> int:
    """Return how many cores this process may use: a batch system may have lent it a few of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes.

    Linux hands the `ru_maxrss` of whoever started a process down to it; its own peak stands in /proc alone.
    """
    status = Path("/proc/self/status")
    own = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if own:
        return int(own[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available_memory() -> int | None:
    """Return how many more bytes of memory this machine, or the control group that this process is in, can give; None where unknown.

    What a group's files hold in the page cache counts as free, as Linux counts it in `MemAvailable`.
    """
    found = [
        n for n in (_machine_memory(Path("/proc/meminfo")), *map(_group_memory, _memory_groups())) if n is not None
    ]
    return min(found, default=None)


def _machine_memory(meminfo: Path) -> int | None:
    try:
        match = re.search(r"MemAvailable:\s*(\d+) kB", meminfo.read_text())
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None


def _memory_groups() -> list[Path]:
    """Return the folders of the control groups that may bound this process's memory, version 1 and 2."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if controllers in ("", "memory"):
            root = Path("/sys/fs/cgroup", controllers)
            # In a container the group may be seen as the root.
            at = root / own.lstrip("/")
            folders += [at, *(p for p in at.parents if p.is_relative_to(root))]
    return folders


def _group_memory(folder: Path) -> int | None:
    """Return the bytes that a control group may still take, None where it has no limit."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = int((folder / limit).read_text()), int((folder / used).read_text())
            match = re.search(rf"^{cached} (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
        except (OSError, ValueError):  # "max": no limit
            continue
        # Version 1 writes "no limit" as a number near 2 ** 63.
        return most - now + (int(match[1]) if match else 0) if most < 1 << 60 else None
    return None


@contextmanager
def pool(workers: int, preload: Sequence[str] = ()) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of `workers` processes; no process starts before there is work.

    Spawned, because forking a process with threads can hang. One thread each: processes are the parallelism here.
    preload: large modules that the workers share in memory, where the system can (Linux): they are forked from a process that has
    imported these and done nothing else.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        # What workers are forked from keeps the environment of its own start.
        begin = partial(_begin, dict(os.environ) if preload else None)
        with ProcessPoolExecutor(max(1, workers), mp_context=_context(preload), initializer=begin) as executor:
            yield executor
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _context(preload: Sequence[str]) -> BaseContext:
    if not preload or not sys.platform.startswith("linux"):
        return get_context("spawn")
    context = get_context("forkserver")
    # Of no effect once the server runs: then its workers import what it lacks.
    context.set_forkserver_preload([*preload])
    return context


def completed(
    workers: int, calls: Sequence[Callable[[], T]], tries: int = 1, preload: Sequence[str] = ()
) -> Iterator[tuple[int, T | WorkerKilledError]]:
    """Carry out calls in `workers` processes; yield the number of each with its result, as they end.

    When a worker is killed, nobody knows which of the calls in work then did it: each of them yields a WorkerKilledError, and the others go
    on in new processes. tries: 2 to try each of these again first, alone, so that only one that is killed again yields the error. What a
    call raises is raised here. preload: see `pool`.

    Raises:
        WorkerKilledError: no process can be started.
    """
    suspects: list[int] = []
    for i, result in _until_killed(workers, calls, preload):
        if isinstance(result, WorkerKilledError) and tries > 1:
            suspects.append(i)
        else:
            yield i, result
    for k, result in _until_killed(1, [calls[i] for i in suspects], preload):
        yield suspects[k], result


def _until_killed(
    workers: int, calls: Sequence[Callable[[], T]], preload: Sequence[str]
) -> Iterator[tuple[int, T | WorkerKilledError]]:
    waiting = deque(range(len(calls)))
    while waiting:
        running: dict[Future[T], int] = {}
        with pool(min(workers, len(waiting)), preload) as executor:
            try:
                # A process that can't even start would be taken for one that was killed at its work.
                executor.submit(os.getpid).result()
            except BrokenProcessPool as error:
                raise WorkerKilledError("worker processes end as soon as they start: set workers=1") from error
            broken = False
            while running or (waiting and not broken):
                # No more than there are workers: what is submitted is in work.
                while waiting and not broken and len(running) < workers:
                    try:
                        running[executor.submit(calls[waiting[0]])] = waiting[0]
                        waiting.popleft()
                    except BrokenProcessPool:
                        broken = True
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    i = running.pop(future)
                    try:
                        yield i, future.result()
                    except BrokenProcessPool:
                        broken = True
                        yield i, WorkerKilledError(KILLED)


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


def _begin(environment: Mapping[str, str] | None) -> None:
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    import cv2

    cv2.setNumThreads(1)
    end_with_parent()


def end_with_parent() -> None:
    """End this process, if another started it to work for it, when that one does.

    A parent that was killed sends no signal, and its workers would go on. A process that was not started in this way goes on.
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
