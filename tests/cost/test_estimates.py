"""Memory and disk are said before a run starts, where the machine has less."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from sora_eval import processes, registry
from sora_eval.commands.cli import main
from sora_eval.cost import estimates
from sora_eval.cost.estimates import Estimate, estimate, memory_bytes, shortages
from sora_eval.types import Profile
from sora_eval.video import VideoOptions

LARGE = registry.profile("large")
GIB = 1 << 30


def test_memory_grows_with_workers_and_size_not_with_cases() -> None:
    small = registry.profile("small")
    assert memory_bytes(small, 1) < memory_bytes(small, 2) < memory_bytes(LARGE, 2)
    few, many = (estimate(LARGE, VideoOptions(), n, 4 * n, False, 2) for n in (10, 1000))
    assert few.memory == many.memory and many.disk == 100 * few.disk


def test_files_of_the_user_take_next_to_nothing_and_loss_less() -> None:
    files, lossless, lossy = (
        estimate(LARGE, VideoOptions(codec=codec), 100, 0, files, 1)
        for codec, files in (("lossless", True), ("lossless", False), ("h264", False))
    )
    assert files.disk < 0.05 * lossless.disk and lossy.noisy_disk < 0.6 * lossless.noisy_disk
    assert lossless.disk < lossless.noisy_disk < 100 * 3 * LARGE.height * LARGE.width * LARGE.frames


def test_a_shortage_is_said_with_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = Estimate(memory_bytes(LARGE, 4), 10 * GIB, 100 * GIB)
    disk = namedtuple("disk", "total used free")
    monkeypatch.setattr(estimates.shutil, "disk_usage", lambda path: disk(0, 0, 20 * GIB))
    for free, remedy in (
        (64 * GIB, None),
        (memory_bytes(LARGE, 2) + 1, "set workers=2"),
        (memory_bytes(LARGE, 1) - 1, "set workers=1 and a smaller profile"),
        (None, None),
    ):
        monkeypatch.setattr(estimates, "available_memory", lambda free=free: free)
        lines = shortages(needed, LARGE, tmp_path, 4)
        assert len(lines) == (remedy is not None)
        assert all(line.startswith("memory: ") and line.endswith(str(remedy)) for line in lines)
    monkeypatch.setattr(estimates.shutil, "disk_usage", lambda path: disk(0, 0, 1 * GIB))
    (line,) = shortages(needed, LARGE, tmp_path, 4)
    assert line.startswith(f"disk: {tmp_path} needs some 10.7 GB for clips, and 1.1 GB is free")


def test_a_run_says_it_first_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(estimates, "available_memory", lambda: 1 << 20)
    words = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=1", "fidelity=null", "tracking=false"]
    assert main(["run", *words, "references=[]", "workers=1", f"out={tmp_path}"]) in (0, 1)
    assert capsys.readouterr().out.startswith("memory: the run takes up to ")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "3000", "memory.current": "1000", "memory.stat": "anon 1\ninactive_file 400\n"}, 2400),
        ({"memory.max": "max", "memory.current": "1000", "memory.stat": ""}, None),
        (
            {
                "memory.limit_in_bytes": "3000",
                "memory.usage_in_bytes": "500",
                "memory.stat": "total_inactive_file 100\n",
            },
            2600,
        ),
        ({"memory.limit_in_bytes": str(2**63 - 4096), "memory.usage_in_bytes": "5", "memory.stat": ""}, None),
        ({}, None),
    ],
)
def test_the_limit_of_a_control_group_counts(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert processes._group_memory(tmp_path) == expected


def test_available_memory_is_at_most_the_machine_s() -> None:
    found = processes.available_memory()
    assert found is None or 0 < found < 1 << 50
    assert isinstance(LARGE, Profile)
