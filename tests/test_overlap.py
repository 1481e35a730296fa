"""The model does not wait for what judges its clips, on one device or on several; what fails costs what it cost without that."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.evaluation import Evaluated, evaluate
from sora_eval.generator.base import Capabilities
from sora_eval.generator.devices import Devices, device_names
from sora_eval.probes.base import Probe
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Case, Failure, Profile, Tracks, Video

TINY = Profile("tiny", 16, 16, 6, 8, 1)
PROBES: dict[str, Probe] = {"relation": registry.probe("relation")}
STEP_S = 0.2
"""Time of generating a clip, and of judging it, where they are measured."""


def cases(count: int) -> list[Case]:
    return list(PROBES["relation"].cases(count, TINY, "t2v"))


@dataclass(frozen=True)
class Model:
    """A model that can't be copied: a GPU is busy and this process is not. device: where it pretends to run."""

    wait_s: float = 0.0
    device: str = "cpu"
    ends_at: tuple[str, ...] = ()
    full_at: tuple[str, ...] = ()
    full_on: tuple[str, ...] = ()
    name: str = "model"
    kind: str = "model"
    capabilities: Capabilities = Capabilities()

    def fingerprint(self, case: Case) -> str:
        return "model"

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        for case in cases:
            time.sleep(self.wait_s)
            if case.id in self.ends_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if case.id in self.full_at or self.device in self.full_on:
                raise MemoryError(f"no memory on {self.device}")
            frames = np.random.default_rng(case.seed).integers(0, 256, (case.frames, *case.size, 3), np.uint8)
            yield Video(frames, case.fps)


class Slow(WorldTracker):
    """A tracker that takes a while; it ends its process at some cases."""

    def __init__(self, wait_s: float = 0.0, kills: tuple[str, ...] = ()) -> None:
        self.wait_s, self.kills = wait_s, kills

    def track(self, video: Video, case: Case) -> Tracks:
        if case.id in self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.wait_s)
        return super().track(video, case)


def run(folder: Path, own: Sequence[Case], model: Model, workers: int, **more: object) -> Evaluated:
    tracker = more.pop("tracker", None) or WorldTracker()
    return evaluate(own, PROBES, [model], folder, workers, False, tracker, **more)  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*") if p.is_file()}


class Waiting(Model):
    """A model that notes how long it is kept waiting after each clip."""

    waited: ClassVar[list[float]] = []

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        for video in super().generate(cases):
            since = time.perf_counter()
            yield video
            self.waited.append(time.perf_counter() - since)


@pytest.mark.slow
def test_the_model_does_not_wait_for_what_judges_its_clips_and_these_are_the_same_bytes(tmp_path: Path) -> None:
    waits = []
    for workers in (1, 2):
        Waiting.waited.clear()
        found = run(tmp_path / f"{workers}", cases(16), Waiting(wait_s=STEP_S), workers, tracker=Slow(STEP_S))
        assert found.clips["model"].made == 16 and not any(r.failure for r in found.rows)
        # The first clips meet workers that are still starting.
        waits.append(float(np.median(Waiting.waited[8:])))
    in_turn, beside = waits
    # None where the machine is idle; where others use it, two workers take half as long as one process at least.
    assert in_turn > STEP_S and beside < 0.75 * in_turn
    assert files(tmp_path / "1") == files(tmp_path / "2")


class Interrupted(Model):
    """A user who presses Ctrl-C at the ninth clip."""

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        for i, video in enumerate(super().generate(cases)):
            if cases[i].id.endswith("0008"):
                raise KeyboardInterrupt
            yield video


def test_a_clip_that_kills_its_judge_fails_alone_and_an_interrupt_loses_no_clip_that_was_made(tmp_path: Path) -> None:
    own = cases(12)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, own, Interrupted(), 2, tracker=Slow(0.05, kills=(own[1].id,)))
    scores = {p.name: json.loads(p.read_text()) for p in (tmp_path / "scores").rglob("*.json")}
    (name,) = (name for name, score in scores.items() if score["failure"])
    assert name.startswith(own[1].id) and "was killed" in scores[name]["reason"]
    # Clips that nobody had judged are stored.
    assert len(list((tmp_path / "videos").rglob("*.mkv"))) == 8
    found = run(tmp_path, own, Model(), 1)
    assert (found.clips["model"].made, found.clips["model"].reused) == (4, 8)
    assert not any(r.failure for r in found.rows)


def test_two_devices_make_the_bytes_of_one(tmp_path: Path) -> None:
    alone = run(tmp_path / "alone", cases(12), Model(), 1)
    found = run(tmp_path / "two", cases(12), Model(), 2, devices=("cpu", "cpu"))
    assert found.rows == alone.rows and not found.problems and files(tmp_path / "two") == files(tmp_path / "alone")


def test_a_device_that_ends_is_named_and_others_take_its_cases() -> None:
    own = cases(12)
    devices = Devices(Model(ends_at=(own[0].id,)), ["cpu", "cpu", "mps"])
    found = {case.id: answer for case, answer in devices.answers([own[:4], own[4:8], own[8:]])}
    # Two devices ended at one case: it is given to no other.
    failed = [name for name, answer in found.items() if isinstance(answer, Failure)]
    assert failed == [own[0].id] and len(found) == len(own)
    assert len(devices.problems) == 2 and all("ended (exit code -9)" in line for line in devices.problems)


def test_a_device_without_memory_is_named_and_a_case_too_large_for_all_fails_alone() -> None:
    own = cases(8)
    devices = Devices(Model(full_at=(own[2].id,), full_on=("mps",)), ["mps", "cpu"])
    found = {case.id: answer for case, answer in devices.answers([[case] for case in own])}
    assert [name for name, answer in found.items() if isinstance(answer, Failure)] == [own[2].id]
    assert len(found) == 8 and "no memory on " in found[own[2].id].reason
    assert "device mps ran out of memory; others were given the case" in devices.problems


def test_devices_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sora_eval.generator.devices._gpus", lambda: 2)
    assert device_names("all") == device_names([0, 1]) == ("cuda:0", "cuda:1")
    assert (
        device_names(1) == ("cuda:1",) and device_names(["cpu", "cpu"]) == ("cpu", "cpu") and device_names(None) == ()
    )
    for wrong in ([], [2], "gpu", ["cuda:2"], True, 0.5, [None]):
        with pytest.raises(ConfigError, match="devices="):
            device_names(wrong)
    monkeypatch.setattr("sora_eval.generator.devices._gpus", lambda: 0)
    with pytest.raises(ConfigError, match="no GPU is there"):
        device_names("all")
    with pytest.raises(ConfigError, match="has no option device"):
        Devices(registry.generator({"_target_": "sora_eval.generator.simulator.Oracle"}), ["cpu"])
