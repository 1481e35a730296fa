"""Which clips are shown, at what size, and what is said where there is none."""

from __future__ import annotations

import base64
import os
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from sora_eval.reporting.components import players as players_module
from sora_eval.reporting.components.clips import LONG_SIDE, SHORT_SIDE, fit, make_clip, trail
from sora_eval.reporting.components.players import beside_truth, choose, choose_references, clips_of, worst_first
from sora_eval.runs.reader import read_run
from sora_eval.types import Video
from sora_eval.video import write_ffv1


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((48, 48), (192, 192)),
        ((64, 100), (192, 300)),
        ((1080, 1920), (216, 384)),
        ((300, 300), (300, 300)),
        ((2, 400), (2, 384)),
    ],
)
def test_small_clips_grow_by_whole_pixels_and_large_ones_shrink(size: tuple[int, int], shown: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    fitted = fit(frames)
    assert fitted.shape == (2, *shown, 3)
    if shown[0] > size[0]:
        factor = shown[0] // size[0]
        assert np.array_equal(fitted[:, ::factor, ::factor], frames)
    assert max(shown) <= max(2 * LONG_SIDE, SHORT_SIDE)


def test_clip_is_h264_of_the_source_s_length_and_rate(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (9, 31, 45, 3), dtype=np.uint8)
    write_ffv1(tmp_path / "odd.mkv", Video(frames, 7.5))
    clip = make_clip(tmp_path / "odd.mkv", "clip0")
    with av.open(BytesIO(clip.mp4)) as container:
        stream = container.streams.video[0]
        decoded = list(container.decode(stream))
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (len(decoded), float(stream.average_rate or 0)) == (9, 7.5)
        assert decoded[0].height % 2 == decoded[0].width % 2 == 0
    assert (clip.size, clip.fps, clip.frames, clip.note) == ((31, 45), 7.5, 9, "")
    assert base64.b64decode(clip.poster).startswith(b"\xff\xd8")


def test_long_clip_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sora_eval.reporting.components.clips.MAX_FRAMES", 5)
    write_ffv1(tmp_path / "long.mkv", Video(np.zeros((6, 16, 16, 3), np.uint8), 8.0))
    clip = make_clip(tmp_path / "long.mkv", "clip0")
    assert (clip.frames, clip.note) == (5, "first 5 frames")


def test_trail_breaks_where_the_object_is_hidden() -> None:
    xy = np.array([[1, 2], [3, 4], [np.nan, np.nan], [5, 6]], dtype=np.float64)
    found = trail("red", xy, np.array([True, True, False, True]))
    assert found.path == "M1.0 2.0L3.0 4.0M5.0 6.0"
    assert found.points == "1.0,2.0;3.0,4.0;;5.0,6.0"
    assert found.stroke == "#de2826"


def test_worst_of_each_probe_comes_before_any_second_worst(finished_run: Path) -> None:
    rows = read_run(finished_run).rows
    chosen = choose(rows, per_probe=3)
    groups = {(r.suite, r.probe, r.generator) for r in rows if r.kind == "model"}
    assert len(chosen) == 3 * len(groups)
    assert {(r.suite, r.probe, r.generator) for r in chosen[: len(groups)]} == groups
    assert choose(rows, per_probe=3, limit=4) == chosen[:4]
    for key in groups:
        mine = [r for r in rows if (r.suite, r.probe, r.generator) == key]
        assert [r for r in chosen if (r.suite, r.probe, r.generator) == key] == worst_first(mine)[:3]
        assert max(r.counted for r in worst_first(mine)[:3]) <= min(r.counted for r in worst_first(mine)[3:])


def test_references_are_a_couple_each(finished_run: Path) -> None:
    chosen = choose_references(read_run(finished_run).rows)
    assert sorted(r.generator for r in chosen) == ["frozen", "frozen", "oracle", "oracle"]


def test_truth_stands_beside_the_model_and_is_encoded_once(small_run: Path) -> None:
    rows = read_run(small_run).rows
    twice = [r for r in rows if r.kind != "oracle" and r.case.endswith("t2v.0000")]
    players, _ = beside_truth(small_run, twice, [], rows)
    assert all([s.label for s in sides] == [row.generator, "truth"] for row, sides in players)
    assert all(sides[0].expected == sides[1].overlay for _, sides in players)
    assert len(clips_of(sides for _, sides in players)) == len(twice) + len({r.case for r in twice})


def test_missing_broken_and_absent_videos_say_why(small_run: Path) -> None:
    rows = [r for r in read_run(small_run).rows if r.kind == "model"]
    with_video = [r for r in rows if r.video]
    (small_run / with_video[0].video).unlink()
    (small_run / with_video[1].video).write_bytes(b"nonsense")
    absent = next(r for r in rows if not r.video)
    sides = [s[0] for _, s in beside_truth(small_run, [*with_video[:2], absent], [], rows)[0]]
    assert [s.clip for s in sides] == [None] * 3
    assert sides[0].missing == "no clip: the file is missing"
    assert sides[1].missing.startswith("no clip: ") and "\n" not in sides[1].missing
    assert sides[2].missing == "no clip: the generator returned none"


def test_page_has_a_budget_of_which_references_keep_a_share(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = read_run(small_run).rows
    models = [r for r in rows if r.kind == "model" and r.video]
    one = beside_truth(small_run, models[:1], [], rows)[0][0][1]
    pixels = sum(s.clip.frames * s.clip.shown_size[0] * s.clip.shown_size[1] for s in one if s.clip)
    monkeypatch.setattr(players_module, "MAX_SHOWN", 3 * pixels)
    players, references = beside_truth(small_run, models, [r for r in rows if r.kind == "control"], rows)
    assert [row for row, _ in players] == models[:3]
    assert len(references) == 0
    monkeypatch.setattr(players_module, "MAX_SHOWN", 3.1 * pixels)
    players, references = beside_truth(small_run, models, [r for r in rows if r.kind == "control"], rows)
    assert len(players) == 3
    assert len(references) == 1


def test_worker_processes_make_the_same_players(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = read_run(small_run).rows
    shown, references = choose(rows, 1)[:4], choose_references(rows)[:2]
    alone = beside_truth(small_run, shown, references, rows)
    monkeypatch.setattr(players_module, "_LARGE", 1)
    assert beside_truth(small_run, shown, references, rows, workers=2) == alone
    monkeypatch.setattr(players_module, "MAX_DECODED", 1)
    assert beside_truth(small_run, shown, references, rows, workers=2) == beside_truth(
        small_run, shown, references, rows
    )


def test_a_worker_process_that_is_killed_costs_no_player(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = read_run(small_run).rows
    shown = choose(rows, 1)[:2]
    alone = beside_truth(small_run, shown, [], rows)
    monkeypatch.setattr(players_module, "_LARGE", 1)
    monkeypatch.setattr(players_module, "_encoded_clip", _end)
    assert beside_truth(small_run, shown, [], rows, workers=2) == alone


def _end(path: Path) -> None:
    os._exit(9)
