import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.evaluation import evaluate
from sora_eval.files import FileCache
from sora_eval.generator.simulator import Control, Oracle
from sora_eval.runs import store
from sora_eval.runs.plan import ClipCounts
from sora_eval.types import Failure, Profile, Video
from sora_eval.video import VideoOptions, read_video

SMALL = Profile("small", 64, 64, 17, 8, 5)


def _cases(count=2, probe="relation", mode="t2v"):
    return registry.probe(probe).cases(count, SMALL, mode)


class Counting(Oracle):
    """An oracle that counts its clips and fails on one case."""

    made = 0

    def generate(self, cases):
        for case, video in zip(cases, super().generate(cases), strict=True):
            Counting.made += 1
            yield Failure("out of memory") if case.id.endswith("0001") else video


def test_missing_clips_stay_in_the_denominator_with_their_reason(tmp_path):
    rows = evaluate(_cases(), {"relation": registry.probe("relation")}, [Counting()], tmp_path, progress=False).rows
    assert [r.value for r in rows] == [1.0, None]
    assert rows[1].reason == "out of memory"
    assert np.mean([r.counted for r in rows]) == 0.5
    assert rows[1].video == ""


def test_a_second_run_makes_nothing_and_gives_the_same_rows(tmp_path):
    probes = {"relation": registry.probe("relation")}
    Counting.made = 0
    first = evaluate(_cases(), probes, [Counting()], tmp_path, progress=False)
    again = evaluate(_cases(), probes, [Counting()], tmp_path, progress=False)
    assert (first.scored, again.scored, Counting.made) == (2, 0, 2)
    assert first.rows == again.rows


def test_a_lost_score_is_made_from_the_stored_clip(tmp_path):
    probes = {"relation": registry.probe("relation")}
    evaluate(_cases(), probes, [Counting()], tmp_path, progress=False)
    Counting.made = 0
    for score in (tmp_path / "scores").rglob("*.json"):
        score.unlink()
    made = evaluate(_cases(), probes, [Counting()], tmp_path, progress=False).scored
    assert (made, Counting.made) == (2, 0)


def test_stored_clips_are_lossless(tmp_path):
    cases = _cases(1)
    rows = evaluate(cases, {"relation": registry.probe("relation")}, [Oracle()], tmp_path, progress=False).rows
    assert np.array_equal(read_video(tmp_path / rows[0].video).frames, next(Oracle().generate(cases)).frames)


def test_two_processes_give_the_rows_of_one(tmp_path):
    cases = _cases(10)
    probes = {"relation": registry.probe("relation")}
    one = evaluate(cases, probes, [Oracle(), Control("mirrored")], tmp_path / "one", workers=1, progress=False).rows
    two = evaluate(cases, probes, [Oracle(), Control("mirrored")], tmp_path / "two", workers=2, progress=False).rows
    assert one == two


def _files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*.json*")
        if p.name not in ("manifest.json", "card.json")
    }


RUN = [
    "run",
    "generator=oracle",
    "suite.probes=[relation,motion]",
    "suite.modes=[t2v]",
    "references=[frozen]",
    "workers=1",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert main([*RUN, f"out={folder}"]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("scored", [1, 3, 6])
def test_a_killed_run_is_completed_by_the_same_command(tmp_path, whole, scored):
    command = [sys.executable, "-m", "sora_eval.commands.cli", *RUN, f"out={tmp_path / 'killed'}"]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Whatever is being written when so many clips are scored: the outcome must be the same.
    while len(list((tmp_path / "killed" / "scores").rglob("[!.]*.json"))) < scored and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert main([*RUN, f"out={tmp_path / 'killed'}"]) == 0
    assert _files(tmp_path / "killed") == _files(whole)
    assert json.loads((tmp_path / "killed" / "summary.json").read_text())


@pytest.mark.parametrize("lost", [b"", b'{"value": 1.0', b"[]", b'{"value": null, "reason": "", "components": {}}'])
def test_damaged_artefacts_are_made_again(tmp_path, lost):
    probes = {"relation": registry.probe("relation")}
    first = evaluate(_cases(), probes, [Counting()], tmp_path, progress=False).rows
    (clip,) = (tmp_path / "videos").rglob("*.mkv")
    clip.write_bytes(clip.read_bytes()[:500])
    (failed,) = (tmp_path / "videos").rglob("*.failed.json")
    failed.write_bytes(lost)
    for score in (tmp_path / "scores").rglob("*.json"):
        score.write_bytes(lost)
    Counting.made = 0
    again = evaluate(_cases(), probes, [Counting()], tmp_path, progress=False)
    assert (again.scored, Counting.made) == (2, 2)
    assert again.rows == first
    assert np.isfinite(read_video(clip).frames).all()


def test_a_fault_of_ours_costs_one_clip_and_is_tried_again(tmp_path, monkeypatch):
    probe = registry.probe("relation")
    true = type(probe).score

    def faulty(self, case, video, tracks):
        if case.id.endswith("0001"):
            raise ZeroDivisionError("by\nzero")
        return true(self, case, video, tracks)

    monkeypatch.setattr(type(probe), "score", faulty)
    rows = evaluate(_cases(), {"relation": probe}, [Oracle()], tmp_path, progress=False).rows
    assert [r.value for r in rows] == [1.0, None]
    assert rows[1].reason == "internal error: ZeroDivisionError: by zero"
    monkeypatch.undo()
    again = evaluate(_cases(), {"relation": probe}, [Oracle()], tmp_path, progress=False)
    assert ([r.value for r in again.rows], again.scored) == ([1.0, 1.0], 1)


def test_workers_end_with_the_process_that_started_them():
    script = (
        "import os, time\n"
        "from sora_eval.processes import pool\n"
        "def main():\n"
        "    with pool(1) as executor:\n"
        "        print(executor.submit(os.getpid).result(), flush=True)\n"
        "        time.sleep(60)\n"
        "main() if __name__ == '__main__' else None\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    for _ in range(100):
        state = Path(f"/proc/{worker}/stat")
        # A zombie that nobody reaps has ended as well.
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the worker lives on")


def _bytes(folder, kind):
    return {p.relative_to(folder): p.read_bytes() for p in sorted((folder / kind).rglob("*.*"))}


class Model(Oracle):
    """A model whose clips are black."""

    name = "model"
    kind = "model"

    def generate(self, cases):
        for case in cases:
            yield Video(np.zeros((case.frames, *case.size, 3), np.uint8), case.fps)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(store.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_references_are_made_once_for_all_runs_and_models_in_each(tmp_path, cache, monkeypatch):
    probes = {"relation": registry.probe("relation")}
    generators = [Model(), Oracle(), Control("frozen")]
    first = evaluate(_cases(), probes, generators, tmp_path / "one", progress=False)
    monkeypatch.setattr("sora_eval.generator.simulator._rendered", None)
    second = evaluate(_cases(), probes, generators, tmp_path / "two", progress=False)
    assert (first.scored, second.scored) == (6, 2)
    assert second.clips["oracle"] == second.clips["frozen"] == ClipCounts(reused=2)
    assert second.rows == first.rows
    for kind in ("videos", "tracks", "scores"):
        assert _bytes(tmp_path / "one", kind) == _bytes(tmp_path / "two", kind)
    assert {p.parent.name for p in cache.rglob("*.mkv")} == {"oracle", "frozen"}


def test_references_of_other_code_are_not_used(tmp_path, cache, monkeypatch):
    probes = {"relation": registry.probe("relation")}
    evaluate(_cases(), probes, [Oracle()], tmp_path / "one", progress=False)
    monkeypatch.setattr(store, "_code_hash", lambda *parts: "another")
    assert evaluate(_cases(), probes, [Oracle()], tmp_path / "two", progress=False).scored == 2


@pytest.mark.parametrize("kind", ["videos", "tracks", "scores"])
def test_a_damaged_cache_costs_time_and_no_score(tmp_path, cache, kind):
    probes = {"relation": registry.probe("relation")}
    first = evaluate(_cases(), probes, [Oracle()], tmp_path / "one", progress=False)
    for path in [p for p in cache.rglob("*.*") if f"/{kind}/" in str(p)]:
        path.unlink()
        path.write_bytes(b"damaged")
    again = evaluate(_cases(), probes, [Oracle()], tmp_path / "two", progress=False)
    assert again.scored == 2 and again.rows == first.rows
    assert evaluate(_cases(), probes, [Oracle()], tmp_path / "three", progress=False).scored == 0


def test_the_cache_keeps_its_size_and_drops_what_was_used_longest_ago(tmp_path):
    cache = FileCache(tmp_path / "cache", "1", max_bytes=250)
    for i in range(3):
        (tmp_path / f"{i}").write_bytes(bytes([i]) * 100)
        cache.add(f"kind/{i}", tmp_path / f"{i}")
        os.utime(tmp_path / "cache" / "1" / "kind" / f"{i}", (i, i))
    assert cache.fetch("kind/0", tmp_path / "out")
    cache.trim()
    assert [cache.fetch(f"kind/{i}", tmp_path / "out") for i in range(3)] == [True, False, True]
    assert (tmp_path / "out").read_bytes() == bytes([2]) * 100
    assert (tmp_path / "1").exists()


def test_a_clip_that_continues_given_frames_is_made_again_when_the_world_draws_otherwise(tmp_path, monkeypatch):
    probes = {"relation": registry.probe("relation")}
    cases = [*_cases(1), *_cases(1, mode="i2v")]
    evaluate(cases, probes, [Model()], tmp_path, progress=False)
    monkeypatch.setattr("sora_eval.generator.base.WORLD_VERSION", 0)
    assert evaluate(cases, probes, [Model()], tmp_path, progress=False).scored == 1


def test_with_loss_the_score_is_that_of_the_stored_clip_and_lossless_ones_are_not_taken_for_it(tmp_path):
    probes = {"relation": registry.probe("relation")}
    lossless = evaluate(_cases(1), probes, [Oracle()], tmp_path, progress=False)
    lossy = VideoOptions(codec="h264", crf=30)
    first = evaluate(_cases(1), probes, [Oracle()], tmp_path, progress=False, video=lossy)
    assert first.scored == 1 and first.rows[0].video != lossless.rows[0].video
    tracks = (tmp_path / first.rows[0].tracks).read_bytes()
    assert tracks != (tmp_path / lossless.rows[0].tracks).read_bytes()
    for path in (tmp_path / "scores").rglob("*.json"):
        path.unlink()
    again = evaluate(_cases(1), probes, [Oracle()], tmp_path, progress=False, video=lossy)
    assert again.rows == first.rows and (tmp_path / again.rows[0].tracks).read_bytes() == tracks


class Batched(Model):
    """A model that works on several cases at once."""

    batch = 16
    calls: ClassVar[list[int]] = []

    def generate(self, cases):
        Batched.calls.append(len(cases))
        yield from super().generate(cases)


def test_a_generator_gets_as_many_cases_at_once_as_it_works_on(tmp_path):
    probe = registry.probe("relation")
    cases = probe.cases(20, Profile("tiny", 32, 32, 9, 8, 4), "t2v")
    Batched.calls = []
    evaluate(cases, {"relation": probe}, [Batched()], tmp_path, progress=False)
    assert Batched.calls == [16, 4]
