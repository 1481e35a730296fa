import os
import signal
import sys
import time
from functools import partial

import numpy as np
import pytest

from sora_eval.processes import Work, WorkerKilledError, WorkQueue, peak_memory, pool


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process is told no peak but that of getrusage")
def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it():
    held = np.ones(2**30, np.uint8)
    assert peak_memory() > held.nbytes
    with pool(1) as alone:
        before = alone.submit(peak_memory).result()
        assert before < held.nbytes
        assert alone.submit(_hold, 2**28).result() > before + 2**27


def _hold(size: int) -> int:
    np.ones(size, np.uint8)
    return peak_memory()


def _answer(number: int, kills: bool = False, full: bool = False) -> int:
    if kills:
        os.kill(os.getpid(), signal.SIGKILL)
    if full:
        raise OSError(28, "No space left on device")
    time.sleep(0.02)
    return number


def test_a_queue_is_bounded_in_calls_and_bytes_and_a_killed_call_fails_alone():
    done, waiting = [], []
    with WorkQueue(1, most=2, most_bytes=100) as queue:
        queue.later(Work(partial(_answer, -1), done.append))
        for i, size in enumerate((10, 10, 10, 500, 500, 10)):
            queue.put(Work(partial(_answer, i, kills=i == 2), done.append, size))
            waiting.append([work.size for work in queue._waiting])
        queue.drain()
        assert len(done) == 7
    # That of `later` comes when no other waits.
    assert [d for d in done if isinstance(d, int) and d >= 0] == [0, 1, 3, 4, 5]
    assert -1 in done
    assert [type(d) for d in done if not isinstance(d, int)] == [WorkerKilledError]
    assert all(len(w) <= 2 and (len(w) == 1 or sum(w) <= 100) for w in waiting if w)


def test_what_a_call_raises_is_raised_to_whoever_adds_work_and_what_waits_is_dropped():
    done, dropped = [], []

    def add():
        with WorkQueue(1, most=2, most_bytes=100) as queue:
            for i in range(50):
                queue.put(Work(partial(_answer, i, full=i == 1), done.append, dropped=partial(dropped.append, i)))

    with pytest.raises(OSError, match="No space left"):
        add()
    assert done == [0] and dropped in ([2], [2, 3])
