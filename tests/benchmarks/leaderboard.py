"""How long a leaderboard over many runs and the report of a large run take, on made-up scores and clips; for `make bench`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sora_eval.files import write_json, write_lines
from sora_eval.types import MODES, Case, Floats, ScoreRow, Video
from sora_eval.video import write_ffv1

SUITES = {"consistency_3d": 4, "object_permanence": 6, "physics": 10, "left_right": 5}
"""Probes per suite: as many as there are."""
REFERENCES = {"oracle": ("oracle", 1.0), "frozen": ("control", 0.05), "shuffled": ("control", 0.02)}
SIZE, FRAMES, FPS = 64, 17, 8.0


def made_up_cases(per_mode: int, seed: int = 0) -> list[Case]:
    """Return cases of 25 probes in three modes, in pairs that share a scene."""
    probes = [(s, f"{s}_{i}") for s, count in SUITES.items() for i in range(count)]
    return [
        Case(
            f"{suite}.{probe}.{mode}.{i:04d}",
            suite,
            probe,
            mode,
            f"A red ball rolls, {i}.",
            (SIZE, SIZE),
            FPS,
            FRAMES,
            0,
            seed * 100_000 + i,
            {"family": probe, "params": {"seed": seed, "i": i}},
            {},
            f"{suite}.{probe}.{seed}.{i // 2}",
        )
        for suite, probe in probes
        for mode in MODES
        for i in range(per_mode)
    ]


def made_up_run(
    folder: Path, name: str, skill: float, cases: Sequence[Case], seed: int = 0, clips: bool = False
) -> Path:
    """Write a run folder of one model and its references. skill: its mean score. clips: whether to store a clip and tracks for each row."""
    rng = np.random.default_rng([*name.encode(), seed])
    rows = []
    for generator, (kind, level) in {name: ("model", skill), **REFERENCES}.items():
        for c in cases:
            value: float | None = level if kind != "model" else float(np.clip(rng.normal(level, 0.25), 0, 1))
            if kind == "model" and rng.uniform() < 0.1:
                value = None
            reason = "" if value is not None else "no object was found in the first frame"
            rows.append(
                ScoreRow(
                    *(c.id, c.suite, c.probe, c.mode, generator, kind, value, reason),
                    components={} if value is None else {"path error, px": 3.25, "reappears": 0.5},
                    chance=0.0,
                    prompt=c.prompt,
                    cluster=c.cluster,
                    twin="",
                    seed=c.seed,
                    video=f"videos/{generator}/{c.id}.mkv" if clips else "",
                    tracks=f"tracks/{generator}/{c.id}.npz" if clips else "",
                )
            )
    write_lines(folder / "cases.jsonl", (c.to_json() for c in cases))
    write_lines(folder / "scores.jsonl", (asdict(r) for r in rows))
    if clips:
        _store_clips(folder, rows)
    generators = [{"name": name, "kind": "model", "fingerprint": f"weights of {name}"}]
    generators += [{"name": g, "kind": kind, "fingerprint": g} for g, (kind, _) in REFERENCES.items()]
    about = {
        "command": f"sora-eval run generator={name} suite=made_up seed={seed}",
        "config": {"generator": {"name": name}},
        "suite": "made_up",
        "profile": "small",
        "seed": seed,
        "generators": generators,
        "hashes": {"cases": f"made up {seed}", "probes": {c.probe: 1 for c in cases}},
        "versions": {"tracker": "1", "world": "1"},
        "problems": [],
    }
    write_json(folder / "manifest.json", about)
    return folder


def _store_clips(folder: Path, rows: Sequence[ScoreRow]) -> None:
    """Write clips of a moving square: one is encoded per generator, the others are copies of the file, which reading can't know."""
    for generator in dict.fromkeys(r.generator for r in rows):
        own = [r for r in rows if r.generator == generator]
        x = np.linspace(10, 50, FRAMES)
        xy: Floats = np.stack([x if generator != "frozen" else np.full(FRAMES, 10.0), np.full(FRAMES, 30.0)], axis=1)
        frames = np.full((FRAMES, SIZE, SIZE, 3), 190, np.uint8)
        for frame, (at, y) in zip(frames, xy, strict=True):
            frame[round(y) - 4 : round(y) + 5, round(at) - 4 : round(at) + 5] = (214, 39, 40)
        first = folder / own[0].video
        tracks = folder / own[0].tracks
        first.parent.mkdir(parents=True, exist_ok=True)
        tracks.parent.mkdir(parents=True, exist_ok=True)
        write_ffv1(first, Video(frames, FPS))
        np.savez_compressed(
            tracks,
            colour=np.array(["red"]),
            xy=xy[None],
            visible=np.ones((1, FRAMES), bool),
            area=np.full((1, FRAMES), 81.0),
            box=np.concatenate([xy - 4, xy + 4], axis=1)[None],
            size=np.array([SIZE, SIZE]),
            fps=np.array(FPS),
        )
        for row in own[1:]:
            shutil.copyfile(first, folder / row.video)
            shutil.copyfile(tracks, folder / row.tracks)


def board_table(runs: int = 100, per_mode: int = 4) -> str:
    """Return time and memory of a leaderboard over runs of 25 probes, as Markdown."""
    cases = made_up_cases(per_mode)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folders = [
            made_up_run(folder / f"run{i:03d}", f"model-{i:03d}", 0.2 + 0.5 * i / runs, cases) for i in range(runs)
        ]
        code = (
            "import sys; from pathlib import Path; from sora_eval.reporting.leaderboard.write import write_leaderboard; "
            "write_leaderboard([Path(p) for p in sys.argv[2:]], Path(sys.argv[1]), 'bench')"
        )
        seconds, busy, peak = _measured(code, [folder / "out", *folders])
    per_probe = len(cases) // len({c.probe for c in cases})
    rows = f"| {runs} runs, 25 probes, {per_probe} cases each | {seconds:.1f} | {busy:.1f} | {peak:.2f} |"
    return f"| leaderboard | seconds, from the start of Python | of a processor | peak memory, GiB |\n|---|---:|---:|---:|\n{rows}"


def report_table(per_mode: int = 14) -> str:
    """Return time and memory of the report of a run of about 1,000 cases with clips, its references and its players, as Markdown."""
    cases = made_up_cases(per_mode)
    with tempfile.TemporaryDirectory() as name:
        folder = made_up_run(Path(name) / "run", "model", 0.5, cases, clips=True)
        code = "import sys; from pathlib import Path; from sora_eval.reporting import write_report; write_report(Path(sys.argv[1]))"
        seconds, busy, peak = _measured(code, [folder])
        size = (folder / "report.html").stat().st_size / 1e6
    rows = f"| {len(cases)} cases, {len(cases) * (1 + len(REFERENCES))} clips | {seconds:.1f} | {busy:.1f} | {peak:.2f} | {size:.1f} |"
    head = "| report | seconds, from the start of Python | of a processor | peak memory, GiB | report.html, MB |"
    return f"{head}\n|---|---:|---:|---:|---:|\n{rows}"


def _measured(code: str, arguments: Sequence[Path]) -> tuple[float, float, float]:
    """Run code in a process of its own; return its seconds, those of a processor (other jobs weigh less on them), and peak GiB."""
    usage = "; import time; from sora_eval.processes import peak_memory; print(time.process_time(), peak_memory())"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code + usage, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    busy, peak = done.stdout.split()[-2:]
    return seconds, float(busy), int(peak) / 2**30


def main() -> None:
    """Print both tables."""
    print(f"{board_table()}\n\n{report_table()}")


if __name__ == "__main__":
    main()
