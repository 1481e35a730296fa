"""Finished runs for the gate's tests: cases of a few probes, the values that a model is given, and clips where they are wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np

from sora_eval import registry
from sora_eval.files import write_json, write_lines
from sora_eval.tracking.base import HUE_VERSION as TRACKER
from sora_eval.types import Case, Frames, Profile, ScoreRow, Video
from sora_eval.video import write_stored
from sora_eval.world import VERSION as WORLD

SMALL = Profile("small", 64, 64, 17, 8, 5)
PROBES = ("count", "covered", "bite")
Values = Callable[[Case], float | None]


@lru_cache
def cases_of(count: int, probes: tuple[str, ...] = PROBES, seed: int = 0) -> list[Case]:
    return [c for p in probes for c in registry.probe(p).cases(count, SMALL, "t2v", seed)]


def write_run(folder: Path, cases: Sequence[Case], value: Values, name: str = "model") -> Path:
    """Write what a finished run leaves, but its clips: a model's values, beside an oracle that is always right."""
    rows = []
    for who, kind in ((name, "model"), ("oracle", "oracle")):
        for c in cases:
            found = value(c) if kind == "model" else 1.0
            reason = "" if found is not None else "nothing was seen"
            chance = 0.5 if c.suite == "left_right" else 0.0
            row = ScoreRow(
                c.id,
                c.suite,
                c.probe,
                c.mode,
                who,
                kind,
                found,
                reason,
                {},
                chance,
                c.prompt,
                c.cluster,
                c.twin,
                c.seed,
                "",
                "",
            )
            rows.append(row)
    probes = {c.probe: registry.probe(c.probe).version for c in cases}
    manifest = {
        "tool_version": "0.1.0",
        "created": "2026-11-25T10:00:00+00:00",
        "command": "sora-eval run",
        "config": {"out": "somewhere"},
        "suite": "gate",
        "profile": "small",
        "seed": 0,
        "generators": [{"name": name, "kind": "model", "fingerprint": "00"}, {"name": "oracle", "kind": "oracle"}],
        "hashes": {"cases": "00", "probes": probes},
        "versions": {"tracker": str(TRACKER), "world": str(WORLD), "python": "3.11"},
        "problems": [],
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / "cases.jsonl", (c.to_json() for c in cases))
    write_lines(folder / "scores.jsonl", (asdict(r) for r in rows))
    write_json(folder / "manifest.json", manifest)
    return folder


def right(case: Case) -> float:
    return 1.0


def half_right(case: Case) -> float:
    return float(int(case.id[-4:]) % 4 < 2)


def noise(rng: np.random.Generator, side: int = 64) -> Frames:
    return rng.integers(0, 256, (3, side, side, 3), dtype=np.uint8)


def with_clips(folder: Path, clips: dict[int, Frames]) -> Path:
    """Return a run with clips of its first cases, by number."""
    run = write_run(folder, cases_of(24), right)
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    for i, frames in clips.items():
        lines[i]["video"] = f"videos/model/{i}.mkv"
        write_stored(run / "videos" / "model" / f"{i}.mkv", Video(frames, 8.0))
    (run / "scores.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return run
