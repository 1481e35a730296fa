"""Sets of world clips on disk: frames, captions and truth, rendered in parallel processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sora_eval.data.shards import in_turn
from sora_eval.errors import ConfigError, unknown
from sora_eval.files import read_json, replacing, write_json, write_lines
from sora_eval.processes import pool
from sora_eval.types import Floats, Profile, plain
from sora_eval.video import write_ffv1
from sora_eval.world import VERSION, Clip, clip, families
from sora_eval.world.families import FAMILIES
from sora_eval.world.looks import PLAIN

Level = Literal["none", "states", "full"]
LEVELS: tuple[Level, ...] = ("none", "states", "full")


def render_set(
    family: str,
    count: int,
    profile: Profile,
    out: Path,
    seed: int,
    truth: str,
    workers: int,
    looks: tuple[str, ...] = (PLAIN,),
) -> int:
    """Write `count` clips of a family, or of every family ("all"), and an index; return how many clips there are.

    out/FAMILY/000000.mkv holds the frames, .json captions, parameters and events, .npz the truth. A clip that is there is not made
    again, so a set that was stopped goes on; settings.json holds the settings of the set. An event's `frame` is the nearest one.
    looks: dealt out in turn over the clips of a family.

    Raises:
        ConfigError: the family or the level of truth is unknown, or the folder holds clips that were made with other settings.
    """
    check_names(family, truth)
    if count < 1:
        raise ConfigError(f"count must be at least 1, got {count}")
    _same_settings(out, profile, seed, truth, looks)
    jobs = [(f, i) for f in (FAMILIES if family == "all" else [family]) for i in range(count)]
    rows = list(_progress(_rendered(jobs, profile, out, seed, truth, workers, looks), len(jobs)))
    write_lines(out / "index.jsonl", sorted(rows, key=lambda r: str(r["video"])))
    return len(rows)


def check_names(family: str, truth: str) -> None:
    """Refuse an unknown family or level of truth.

    Raises:
        ConfigError: with the nearest known names.
    """
    if family != "all":
        families.family(family)
    if truth not in LEVELS:
        raise unknown("level of truth", truth, LEVELS)


def _same_settings(out: Path, profile: Profile, seed: int, truth: str, looks: tuple[str, ...]) -> None:
    """Note what a set is made with; a clip that is there is kept, so it must be one of this set."""
    path = out / "settings.json"
    sizes = {f"profile.{key}": value for key, value in asdict(profile).items() if key not in ("name", "given")}
    settings: dict[str, Any] = {**sizes, "seed": seed, "truth": truth, "world": VERSION}
    if looks != (PLAIN,):
        settings["looks"] = list(looks)
    if path.exists():
        stored = read_json(path)
        if differing := [key for key in {**stored, **settings} if stored.get(key) != settings.get(key)]:
            pairs = ", ".join(f"{key}={stored.get(key)} (now: {settings.get(key)})" for key in differing)
            raise ConfigError(f"{out} holds clips made with {pairs}; name another folder with out=...")
    write_json(path, settings)


def _rendered(
    jobs: list[tuple[str, int]],
    profile: Profile,
    out: Path,
    seed: int,
    truth: str,
    workers: int,
    looks: tuple[str, ...],
) -> Iterator[dict[str, Any]]:
    if workers <= 1 or len(jobs) < 4:
        yield from (render_one(f, i, profile, out, seed, truth, looks) for f, i in jobs)
        return
    with pool(workers) as executor:
        waiting = [executor.submit(render_one, f, i, profile, out, seed, truth, looks) for f, i in jobs]
        for job in waiting:
            yield job.result()


def _progress(rows: Iterator[dict[str, Any]], total: int) -> Iterator[dict[str, Any]]:
    from tqdm import tqdm

    yield from tqdm(rows, total=total, unit="clip")


def render_one(
    family: str, number: int, profile: Profile, out: Path, seed: int, truth: str, looks: tuple[str, ...] = (PLAIN,)
) -> dict[str, Any]:
    """Render clip `number` of a family, unless it is there, and return its line of the index."""
    scenes = families.family(family)
    params, rng = families.draw(family, number, seed)
    params = in_turn(params, looks, number, seed)
    short, long = scenes.caption(params, rng), scenes.caption(params, rng, long=True)
    path = out / family / f"{number:06d}.mkv"
    row = {"video": f"{family}/{number:06d}.mkv", "family": family, "caption": short, "long_caption": long}
    if path.exists():
        return row
    scene = scenes.build(params, profile.duration_s)
    made = clip(scene, (profile.height, profile.width), profile.fps, profile.frames, full_truth=truth == "full")
    if truth != "none":
        with replacing(path.with_suffix(".npz")) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays(made))
    last = profile.frames - 1
    events = [{**asdict(e), "frame": min(round(e.t_s * profile.fps), last)} for e in made.truth.states.events]
    bodies = [{"name": b.name, "shape": b.shape, "colour": b.colour, "size": b.size} for b in scene.bodies]
    write_json(
        path.with_suffix(".json"),
        {**row, "params": params.to_json(), "bodies": bodies, "events": events, "facts": _plain(scene.facts)},
    )
    # The clip is written last: its presence marks the member as complete.
    write_ffv1(path, made.video)
    return row


def arrays(made: Clip) -> dict[str, Any]:
    """Return the truth of a clip as named arrays; masks and depth only where they are requested.

    Of T frames and N bodies: K [T, 3, 3] (pixels), R [T, 3, 3] and t [T, 3] (world to camera, metres); xy [T, N, 2] (pixels);
    z [T, N] (metres); t_s [T] (seconds); pos and velocity [T, N, 3] (metres, and per second); quat [T, N, 4] (w, x, y, z); shown [T, N];
    ids and depth [T, H, W]; amodal [T, N, H, W]; visible [T, N].
    """
    truth, states = made.truth, made.truth.states
    named: dict[str, Floats | Any] = {
        "K": truth.camera.K,
        "R": truth.camera.R,
        "t": truth.camera.t,
        "xy": truth.xy,
        "z": truth.z,
        "t_s": states.t_s,
        "pos": states.pos,
        "quat": states.quat,
        "velocity": states.velocity,
        "shown": states.shown,
    }
    masks = {"ids": truth.ids, "depth": truth.depth, "amodal": truth.amodal, "visible": truth.visible}
    return {**named, **{name: values for name, values in masks.items() if values is not None}}


def _plain(facts: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dict(facts), default=plain))
    return values
