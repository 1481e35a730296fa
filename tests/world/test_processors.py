"""The same scene has the same bytes in every process, and on processors with and without vector instructions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SHOW = """
import hashlib, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from sora_eval.world import clip
from sora_eval.world.families import FAMILIES, draw
from world.test_looks import in_look
h = hashlib.sha256()
for family in ("room", "camera_pan", "hands", "shatter", "brush", "voxel", "free_fall_bounce"):
    made = clip(FAMILIES[family].build(draw(family, 0, 0)[0], 1.0), (48, 80), 4, 4, full_truth=True)
    for array in (made.video.frames, made.truth.ids, made.truth.depth, made.truth.amodal):
        h.update(np.ascontiguousarray(array).tobytes())
print(h.hexdigest())
for look in ("studio", "indoor", "outdoor"):
    for seed, name in enumerate(("room", "shatter", "voxel", "hands")):
        h.update(clip(in_look(name, look, seed), (48, 80), 4, 3).video.frames.tobytes())
print(h.hexdigest())
"""


def _shown(**environment):
    env = {**os.environ, **environment}
    words = [sys.executable, "-c", _SHOW, str(Path(__file__).parents[1])]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=env).stdout


# Kernels are compiled for another processor: half a minute on an idle one.
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("cpu", ["generic", "x86-64-v3"])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processors are named for x86 on Linux")
def test_the_same_bytes_without_vector_instructions(cpu, tmp_path):
    # Neither Numba's code nor NumPy's nor the C library's may use what only some processors have; nor do threads matter.
    less = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    if cpu == "generic":
        less |= {
            "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
            "OMP_NUM_THREADS": "3",
            "NUMBA_NUM_THREADS": "3",
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-AVX512VL",
        }
    assert _shown(**less) == _shown()
