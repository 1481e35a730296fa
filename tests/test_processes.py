import sys

import numpy as np
import pytest

from sora_eval.processes import peak_memory, pool


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
