"""Worker processes, one thread each, that end with the process that started them."""

from __future__ import annotations

import ctypes
import gc
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
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.context import BaseContext
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

from sora_eval.errors import KILLED, ConfigError, SoraEvalError

T = TypeVar("T")
_LARGE = 16 << 20
CHUNK = 8
"""Items that a process gets at once, at most."""
_GUARD = 'put what the script does under `if __name__ == "__main__":`, or set workers=1'
_NO_START = f"worker processes end as soon as they start: {_GUARD}"


class WorkerKilledError(SoraEvalError):
    """A worker process ended in the midst of its work, as one does that the system kills when memory runs out."""


def check_main_guard() -> None:
    """Raise where a worker process imports the script that started it, and the script is about to start workers there again.

    Raises:
        ConfigError: it is; the worker ends with it, and the script's own process says the same.
    """
    # What multiprocessing itself goes by before it starts a process.
    if getattr(current_process(), "_inheriting", False):
        raise ConfigError(f"worker processes import this script: {_GUARD}")


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


def release_memory(held: int) -> None:
    """Give what was freed back to the system after work on a clip of so many bytes: glibc keeps it where a small piece behind it is in use.

    A process that worked on large clips one by one grew from 200 MB to 1,500 without.
    """
    if held < _LARGE:
        return
    # PyAV's containers and their decoders hold each other.
    gc.collect()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's function; None where there is another library."""
    try:
        return cast("Callable[[int], int]", ctypes.CDLL(None).malloc_trim)
    except (OSError, AttributeError, TypeError):
        return None


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
    with _one_thread_each():
        # What workers are forked from keeps the environment of its own start.
        begin = partial(_begin, dict(os.environ) if preload else None)
        with ProcessPoolExecutor(max(1, workers), mp_context=_context(preload), initializer=begin) as executor:
            yield executor


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that are started meanwhile use one thread each."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
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
                raise WorkerKilledError(_NO_START) from error
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


@dataclass(frozen=True)
class Work(Generic[T]):
    """A call for a worker process, and what becomes of its result in this one."""

    call: Callable[[], T]
    """The call; it is pickled."""
    done: Callable[[T | WorkerKilledError], None]
    """Receives the result, or the error of a call that is killed even when it is alone; in the thread of the queue."""
    size: int = 0
    """Bytes that the call holds while it waits."""
    dropped: Callable[[], object] | None = None
    """Called where the work was never started, because the queue was left with an exception."""
    again: Callable[[], Sequence[Work[T]]] | None = None
    """Returns what is to be tried of it, one by one, after a worker was killed; None for all of it at once."""


class WorkQueue:
    """Worker processes behind a bounded queue: whoever makes their work waits only while too much of it is waiting.

    Work is started in the order of `put`; that of `later` where a worker is free and none of `put` waits. When a worker is killed, each
    call that was in work is tried again alone. Leaving the context waits for all; with an exception, for what was started.
    """

    def __init__(self, workers: int, most: int, most_bytes: int) -> None:
        """Set the number of processes, and how much may wait: so many calls, and so many bytes, but always one call."""
        self._workers, self._most, self._most_bytes = workers, most, most_bytes
        self._waiting: deque[Work[object]] = deque()
        self._later: deque[Work[object]] = deque()
        self._running: dict[Future[object], Work[object]] = {}
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._closed = self._stopped = False
        # A worker was killed: nothing is started until what was in work then has been tried alone.
        self._busy = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="work queue", daemon=True)

    def __enter__(self) -> Self:
        """Start the workers."""
        self._thread.start()
        # Until then OMP_NUM_THREADS is theirs: what is imported now would go by it.
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for the workers; raise what a call raised."""
        with self._changed:
            self._closed, self._stopped = True, error is not None
            self._changed.notify_all()
        self._thread.join()
        for work in [*self._waiting, *self._later]:
            if work.dropped is not None:
                work.dropped()
        if error is None and self._error is not None:
            raise self._error

    def put(self, work: Work[T]) -> None:
        """Add work; wait while too much is waiting. Raises what a call raised."""

        def has_room() -> bool:
            waiting = sum(w.size for w in self._waiting)
            small = len(self._waiting) < self._most and waiting + work.size <= self._most_bytes
            return not self._waiting or small or self._error is not None

        self._when(has_room)
        self._add(self._waiting, work)

    def later(self, work: Work[T]) -> None:
        """Add work that has no hurry; its number is not bounded."""
        self._add(self._later, work)

    def drain(self) -> None:
        """Wait until all work is done. Raises what a call raised."""

        def is_done() -> bool:
            return not (self._waiting or self._later or self._running or self._busy)

        self._when(lambda: is_done() or self._error is not None)

    def _when(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(condition)
        if self._error is not None:
            raise self._error

    def _add(self, queue: deque[Work[object]], work: Work[T]) -> None:
        with self._changed:
            queue.append(work)  # type: ignore[arg-type]
            self._changed.notify_all()

    def _serve(self) -> None:
        try:
            while True:
                for work in self._until_killed():
                    self._alone(work)
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
                    if self._stopped or (self._closed and not self._waiting and not self._later):
                        return
        except BaseException as error:
            self._error = error
        finally:
            self._busy = False
            self._ready.set()
            with self._changed:
                self._running.clear()
                self._changed.notify_all()

    def _until_killed(self) -> list[Work[object]]:
        """Serve until all is done, or a worker is killed; return what was in work then."""
        with ProcessPoolExecutor(self._workers, mp_context=get_context("spawn"), initializer=_begin) as executor:
            with _one_thread_each():
                started = [executor.submit(os.getpid) for _ in range(self._workers)]
            self._ready.set()
            try:
                started[0].result()
            except BrokenProcessPool as error:
                raise WorkerKilledError(_NO_START) from error
            suspects: list[Work[object]] = []
            with self._changed:
                while True:
                    while not self._busy and self._startable():
                        self._start(executor)
                    self._changed.notify_all()
                    ended = [future for future in self._running if future.done()]
                    if not ended and not self._running and (self._busy or self._stopped or self._closed):
                        return suspects
                    for future in ended:
                        suspects += self._finished(future)
                    if not ended:
                        self._changed.wait()

    def _startable(self) -> bool:
        return not self._stopped and len(self._running) < self._workers and bool(self._waiting or self._later)

    def _start(self, executor: ProcessPoolExecutor) -> None:
        queue = self._waiting or self._later
        try:
            future = executor.submit(queue[0].call)
        except BrokenProcessPool:  # an idle worker was killed: this call waits for others
            self._busy = True
            return
        self._running[future] = queue.popleft()
        future.add_done_callback(lambda _: self._wake())

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _finished(self, future: Future[object]) -> list[Work[object]]:
        work = self._running.pop(future)
        try:
            result = future.result()
        except BrokenProcessPool:
            self._busy = True
            return [work]
        work.done(result)
        return []

    def _alone(self, work: Work[object]) -> None:
        for part in [work] if work.again is None else work.again():
            for _, result in completed(1, [part.call]):
                part.done(result)


def chunks(items: Sequence[T], workers: int = 1, least: int = 1) -> Iterator[Sequence[T]]:
    """Yield items in chunks that shrink towards the end, so that no process has long to go when the others are done.

    Source: Polychronopoulos and Kuck 1987, "Guided self-scheduling".
    """
    i = 0
    while i < len(items):
        size = max(CHUNK, least) if workers == 1 else max(least, min(CHUNK, (len(items) - i) // (2 * workers)))
        yield items[i : i + size]
        i += size


class NoQueue:
    """In place of a `WorkQueue` where there are no worker processes: work is done in this process, at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def put(self, work: Work[T]) -> None:
        """Do work."""
        work.done(work.call())

    later = put

    def drain(self) -> None:
        """Return: all is done."""


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


def _begin(environment: Mapping[str, str] | None = None) -> None:
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
        # The collector's first pass over what the fork shares would write into all of it, and so copy it.
        gc.freeze()
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
