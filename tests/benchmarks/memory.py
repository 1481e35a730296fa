"""Peak memory of a command and all processes that it starts: `python tests/benchmarks/memory.py COMMAND ...` (Linux)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INTERVAL_S = 0.2


@dataclass(frozen=True)
class Peak:
    """Memory that a tree of processes held at most."""

    pss: int
    """Bytes, the sum of proportional set sizes: pages that several processes share count once."""
    seconds: float
    """How long the command took."""
    cpu_s: float
    """CPU seconds of the command and the processes that it waited for."""
    at_s: float
    """When the peak was, after the start."""
    processes: tuple[int, ...]
    """Bytes of each process at the peak, the largest first."""
    returncode: int
    """Exit code of the command."""


def peak_of(command: Sequence[str], interval_s: float = INTERVAL_S) -> Peak:
    """Run a command and return the peak of its process tree, sampled every `interval_s` seconds."""
    start, before = time.perf_counter(), _children_s()
    best: tuple[int, ...] = ()
    at = 0.0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            began = time.perf_counter()
            now = tuple(sorted((_pss(p) for p in tree(process.pid)), reverse=True))
            if sum(now) > sum(best):
                best, at = now, began - start
            # A sum over the pages of large processes takes a while: no more than a twentieth of a core goes into it.
            time.sleep(max(interval_s, 20 * (time.perf_counter() - began)))
    seconds = time.perf_counter() - start
    return Peak(sum(best), seconds, _children_s() - before, at, best, process.returncode)


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            found += [int(child) for child in _read(task).split()]
    return found


def _pss(pid: int) -> int:
    """Return the proportional set size of a process in bytes, 0 for one that has ended."""
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


def _children_s() -> float:
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    peak = peak_of(sys.argv[1:])
    parts = " + ".join(f"{p / 2**20:.0f}" for p in peak.processes if p > 2**20)
    print(
        f"peak {peak.pss / 2**20:.0f} MiB at {peak.at_s:.0f} s ({parts}); {peak.seconds:.0f} s, {peak.cpu_s:.0f} CPU s"
    )
    sys.exit(peak.returncode)
