import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from sora_eval.commands import sweep
from sora_eval.files import write_json
from sora_eval.reporting.sweep.scaling import points
from sora_eval.runs.measures import write_measures
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
        measure = Measure("world-FVD", value, value - 0.5, value + 0.5, (8, 8), "p", False)
        exact = Measure("world-FVD", 0.0, 0.0, 0.0, (8, 8), "p", False)
        write_measures(run, {"": {run.name: [measure], "oracle": [exact]}})
    assert [p.frechet.value for p in points(runs)[0]] == [6.0, 1.5]
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
