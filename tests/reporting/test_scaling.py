import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from sora_eval.commands import sweep
from sora_eval.files import write_json
from sora_eval.reporting.sweep.scaling import Point, frechet_distances, points, scored, write_scaling
from sora_eval.runs.measures import write_measures
from sora_eval.runs.reader import Run
from sora_eval.stats.summary import summarise
from sora_eval.types import Measure


def ended(runs: list[Path], out: Path) -> dict[str, Path]:
    pages, notes = sweep.compare(runs, out, "sora-eval run -m")
    assert notes == []
    return dict(pages)


def test_a_sweep_over_checkpoints_ends_with_a_curve(tmp_path: Path, checkpoint_run: Callable[..., Path]) -> None:
    runs = [
        checkpoint_run(tmp_path / name, name, c, k) for k, (name, c) in enumerate({"big": 4e15, "small": 1e14}.items())
    ]
    for run, value in zip(runs, (1.5, 6.0), strict=True):
        measure = Measure("world-FVD", value, value - 0.5, value + 0.5, (8, 8), "frechet p", False)
        exact = Measure("world-FVD", 0.0, 0.0, 0.0, (8, 8), "frechet p", False)
        write_measures(run, {"": {run.name: [measure], "oracle": [exact]}})
    assert [(c, m.value) for c, m in frechet_distances(points(runs)[0])] == [(1e14, 6.0), (4e15, 1.5)]
    page = ended(runs, tmp_path / "sweep")["scores over compute"]
    assert "| world-FVD | lower | 6 [5.5, 6.5] | 1.5 [1, 2] | 0 [0, 0] |" in page.read_text()
    assert page == tmp_path / "sweep" / "scaling.md"
    text = page.read_text()
    head = next(line for line in text.splitlines() if line.startswith("| suite"))
    assert head.index("small") < head.index("big") < head.index("oracle")
    overall = next(line for line in text.splitlines() if line.startswith("| overall"))
    assert "| 1.00 [" in overall
    for name in ("scaling.png", "clips.png"):
        with Image.open(page.parent / name) as picture:
            assert np.asarray(picture).std() > 5


def of_points(*measured: list[Measure]) -> list[tuple[float, float | None]]:
    """Return the distances over compute of made-up checkpoints."""
    runs = [Run(Path(), {}, (), (), ()) for _ in measured]
    group = [
        Point(r, "m", 10.0**i, summarise([]), {"m": own}) for i, (r, own) in enumerate(zip(runs, measured, strict=True))
    ]
    return [(c, m.value) for c, m in frechet_distances(group)]


def frechet(value: float, interval: bool = True, n: int = 8, protocol: str = "frechet p") -> Measure:
    ends = (value - 1, value + 1) if interval else (None, None)
    name = "world-FVD" if interval else "world-FVD, plug-in"
    return Measure(name, value, *ends, (n, n), f"{protocol}{' jackknife=8' * interval}", False)


def test_the_frechet_panel_is_of_one_metric_and_protocol() -> None:
    kernel = Measure("world-KVD", 0.3, 0.2, 0.4, (8, 8), "mmd p", False)
    motion = Measure("motion distance", 0.7, 0.6, 0.8, (8, 8), "frechet flow jackknife=8", False)
    both = [frechet(9.0, False), frechet(6.0), kernel, motion]
    assert of_points(both, [frechet(5.0, False), frechet(2.0)]) == [(1.0, 6.0), (10.0, 2.0)]
    # One checkpoint has too few clips for an interval: the plug-in of both where they are of as many, never another metric.
    assert of_points(both, [motion, kernel, frechet(5.0, False)]) == [(1.0, 9.0), (10.0, 5.0)]
    assert of_points(both, [kernel, frechet(5.0, False, n=4)]) == []
    assert of_points(both, [frechet(2.0, protocol="frechet q")]) == []
    # A checkpoint without any is left out.
    assert of_points(both, [kernel], [frechet(1.0)]) == [(1.0, 6.0), (100.0, 1.0)]
    assert of_points(both, [kernel]) == []


def test_a_checkpoint_that_failed_is_no_point_and_moves_no_other(
    tmp_path: Path, checkpoint_run: Callable[..., Path]
) -> None:
    runs = [checkpoint_run(tmp_path / name, name, c) for name, c in (("a", 1e14), ("b", 2e14), ("c", 3e14))]
    lines = [json.loads(line) for line in (runs[1] / "scores.jsonl").read_text().splitlines()]
    for line in lines:
        if line["generator"] == "b":
            line.update(value=None, reason="service down", components={}, failure="technical", video="", tracks="")
    (runs[1] / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (group,) = points(runs)
    for suite in ("", *group[0].summary.suites):
        assert [(x, c.generator) for x, c in scored(group, suite)] == [(1e14, "a"), (3e14, "c")]
    assert write_scaling(group, tmp_path / "out", "").exists()


def test_no_curve_without_compute_or_over_other_cases(tmp_path: Path, checkpoint_run: Callable[..., Path]) -> None:
    runs = [checkpoint_run(tmp_path / "a", "a", 1e14), checkpoint_run(tmp_path / "b", "b", None)]
    assert points(runs) == []
    other = checkpoint_run(tmp_path / "c", "c", 1e15)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["hashes"]["cases"] = "of another seed"
    write_json(other / "manifest.json", manifest)
    assert points([*runs, other]) == []
    assert set(ended(runs[:1], tmp_path / "sweep")) == {"leaderboard"}
    # Of two models in no order of training there is a leaderboard and no curve.
    assert set(ended(runs, tmp_path / "sweep")) == {"leaderboard"}


def test_a_clip_that_is_gone_is_no_error(tmp_path: Path, checkpoint_run: Callable[..., Path]) -> None:
    runs = [checkpoint_run(tmp_path / name, name, c) for name, c in (("a", 1e14), ("b", 2e14))]
    for video in tmp_path.glob("b/videos/**/*.mkv"):
        video.unlink()
    assert len(points(runs)[0]) == 2
    assert set(ended(runs, tmp_path / "sweep")) == {"leaderboard", "curves", "scores over compute"}


def test_with_other_sampler_steps_it_is_another_curve(tmp_path: Path, checkpoint_run: Callable[..., Path]) -> None:
    runs = [checkpoint_run(tmp_path / f"{n}{c}", f"{n}", c) for n in ("8", "16") for c in (1e14, 2e14)]
    for run in runs:
        manifest = json.loads((run / "manifest.json").read_text())
        manifest["config"] = {"generator": {"checkpoint": run.name, "steps": int(manifest["generators"][0]["name"])}}
        write_json(run / "manifest.json", manifest)
    assert [[p.name for p in group] for group in points(runs)] == [["8", "8"], ["16", "16"]]
