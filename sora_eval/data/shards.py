"""Training sets: shards of world clips of one size each, with captions and actions, rendered in parallel processes.

A set is a folder of shards. `NAME.npy` holds the frames, uint8 [N, T, H, W, 3], read through memory maps; `NAME.json` has
for every clip its family, number, captions and actions. Clip `number` of a family is the same clip in every set of a seed. The streams
"training" and "heldout" draw from different seeds, and both from others than the probes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sora_eval.errors import ConfigError
from sora_eval.files import read_json, replacing, write_json
from sora_eval.processes import pool
from sora_eval.types import Frames
from sora_eval.world import VERSION, clip, families
from sora_eval.world.families.params import with_look
from sora_eval.world.looks import PLAIN, LookOptions
from sora_eval.world.scene import Scene

FPS = 8.0
"""Frames per second of every training clip."""
ACTIONS: tuple[str, ...] = ("none", "forward", "turn left", "turn right", "break", "place")
"""Actions of a figure in the world of blocks; a frame's action is its index here."""
_TURNED = {"turn left": "turn right", "turn right": "turn left"}
_WORDINGS = 3
IMAGE_SCENE_S = 2.0
"""Length of the scene of which a single image is the first frame, seconds."""


@dataclass(frozen=True)
class Bucket:
    """A size of clips."""

    frames: int
    """Frame count."""
    height: int
    """Pixels."""
    width: int
    """Pixels."""
    share: float
    """Share of the shards that have this size."""


BUCKETS: tuple[Bucket, ...] = (
    Bucket(17, 64, 64, 0.62),
    Bucket(17, 64, 96, 0.10),
    Bucket(17, 96, 64, 0.10),
    Bucket(33, 64, 64, 0.05),
    Bucket(9, 96, 96, 0.06),
    Bucket(1, 128, 128, 0.07),
)
MIXTURE: tuple[str, ...] = (
    "single", "room", "pass_behind", "covered", "leave_and_return", "evolves_unseen", "count", "two_shots", "relation", "motion",
    "opposite_motion", "camera_pan", "hands", "bite", "candle", "shatter", "brush", "free_fall_bounce", "two_drops", "projectile",
    "collision", "ramp", "topple", "voxel",
)  # fmt: skip
"""The families of a set by default. Their number and order decide which clip each draw gives: a new one makes every set another."""
FOCUS: Mapping[str, float] = {
    "single": 0.18, "room": 0.16, "relation": 0.10, "voxel": 0.08, "camera_pan": 0.05, "evolves_unseen": 0.05, "motion": 0.05,
    "two_shots": 0.04, "opposite_motion": 0.03,
}  # fmt: skip
"""Shares of some families in a set; the others share the rest evenly.

Simple scenes, on which words are learnt, and those that were hardest for models trained on few of them: a moving camera and blocks.
"""


@dataclass(frozen=True)
class Item:
    """Metadata of one clip."""

    family: str
    """Name of the scene family."""
    number: int
    """Number within the family's stream."""
    params: Mapping[str, Any]
    """Parameters of the scene, JSON values."""
    short: tuple[str, ...]
    """Short captions, several wordings."""
    long: tuple[str, ...]
    """Descriptive captions, several wordings."""
    actions: tuple[int, ...] = ()
    """Index into ACTIONS per frame, empty outside the world of blocks."""


@dataclass(frozen=True)
class Shard:
    """Some clips of one size on disk."""

    path: Path
    """File of the frames (npy), uint8 [N, T, H, W, 3]."""
    items: tuple[Item, ...]
    """Metadata of the N clips, in order."""

    @property
    def name(self) -> str:
        """The file's stem."""
        return self.path.stem

    def frames(self) -> Frames:
        """Return the clips as a memory map, uint8 [N, T, H, W, 3]."""
        return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]


def prepare(
    folder: Path,
    shards: int,
    size: int,
    seed: int,
    workers: int,
    stream: str = "training",
    looks: tuple[str, ...] = (PLAIN,),
    families: tuple[str, ...] = (),
) -> list[Shard]:
    """Render the shards of a set that are not there yet, `size` clips each, and return all of them.

    looks: dealt out in turn over the clips; ("plain", "indoor") gives as many of either, with captions that say which. families: as many
    clips of each; () is those of MIXTURE in the shares of FOCUS.

    Raises:
        ConfigError: the folder holds a set that was made with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shares = {"focus": dict(FOCUS), "buckets": [list(astuple(b)) for b in BUCKETS]}
    settings = {"size": size, "seed": seed, "stream": stream, "fps": FPS, "world": VERSION, **shares}
    chosen = {} if looks == (PLAIN,) else {"looks": list(looks)}
    _same_settings(folder, settings | chosen | ({"families": list(families)} if families else {}))
    missing = [i for i in range(shards) if not (folder / f"{_name(i)}.json").exists()]
    if missing:
        from tqdm import tqdm

        with pool(workers) as executor:
            jobs = [executor.submit(render_shard, folder, i, size, seed, stream, looks, families) for i in missing]
            for job in tqdm(jobs, unit="shard", desc=f"rendering {stream}"):
                job.result()
    return read(folder)[:shards]


def count(folder: Path) -> int:
    """Return how many shards of a set are complete, without reading them."""
    return len(list(folder.glob("shard-*.json")))


def read(folder: Path) -> list[Shard]:
    """Return the shards of a set that are complete, in order of their names.

    Raises:
        ConfigError: there is none.
    """
    files = sorted(folder.glob("shard-*.json"))
    if not files:
        raise ConfigError(
            f"{folder} holds no training set: make one with sora-eval train stage=data data.folder={folder.parent}"
        )
    return [Shard(path.with_suffix(".npy"), tuple(_items(read_json(path)["clips"]))) for path in files]


def _items(rows: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    for row in rows:
        yield Item(
            row["family"],
            row["number"],
            row["params"],
            tuple(row["short"]),
            tuple(row["long"]),
            tuple(row["actions"]),
        )


def _name(i: int) -> str:
    return f"shard-{i:05d}"


def _same_settings(folder: Path, settings: dict[str, Any]) -> None:
    path = folder / "settings.json"
    if path.exists() and (stored := read_json(path)) != settings:
        raise ConfigError(f"{folder} holds a set made with {stored}, not with {settings}; name another folder")
    write_json(path, settings)


def plan(shard: int, size: int, seed: int, families: tuple[str, ...] = ()) -> tuple[Bucket, list[tuple[str, int]]]:
    """Return the size of the clips of a shard, and which they are: (family, number)."""
    rng = np.random.default_rng([seed, *b"mix", shard])
    bucket = BUCKETS[int(rng.choice(len(BUCKETS), p=[b.share for b in BUCKETS]))]
    names, focus = (families, {}) if families else (MIXTURE, FOCUS)
    rest = (1 - sum(focus.values())) / (len(names) - len(focus))
    drawn = rng.choice(len(names), size=size, p=[focus.get(name, rest) for name in names])
    return bucket, [(names[int(k)], shard * size + i) for i, k in enumerate(drawn)]


def render_shard(
    folder: Path,
    shard: int,
    size: int,
    seed: int,
    stream: str,
    looks: tuple[str, ...] = (PLAIN,),
    families: tuple[str, ...] = (),
) -> None:
    """Render one shard and write it, the frames first: its JSON file marks it as complete."""
    bucket, members = plan(shard, size, seed, families)
    clips, rows = zip(*(_render(f, n, seed, stream, bucket, looks) for f, n in members), strict=True)
    path = folder / f"{_name(shard)}.npy"
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, np.stack(clips))
    write_json(path.with_suffix(".json"), {"clips": list(rows)})


def in_turn(params: Any, looks: tuple[str, ...], number: int, seed: int) -> Any:
    """Return the parameters of clip `number` in its look of those that are dealt out in turn."""
    look = LookOptions(looks[number % len(looks)])
    return replace(params, style=with_look(params.style, look, seed * 1_000_003 + number))


def _render(
    family: str, number: int, seed: int, stream: str, bucket: Bucket, looks: tuple[str, ...]
) -> tuple[Frames, dict[str, Any]]:
    scenes = families.family(family)
    params, rng = families.draw(family, number, seed, stream)
    params = in_turn(params, looks, number, seed)
    short = [scenes.caption(params, rng) for _ in range(_WORDINGS)]
    long = [scenes.caption(params, rng, long=True) for _ in range(_WORDINGS)]
    still = bucket.frames == 1
    scene = scenes.build(params, IMAGE_SCENE_S if still else (bucket.frames - 1) / FPS)
    # Physics wants two moments at least; an image is the first.
    made = clip(scene, (bucket.height, bucket.width), FPS, max(bucket.frames, 2)).video.frames[: bucket.frames]
    row = {"family": family, "number": number, "params": params.to_json(), "short": short, "long": long}
    return made, {**row, "actions": actions_of(scene, bucket.frames)}


def actions_of(scene: Scene, frames: int) -> list[int]:
    """Return the action during the step that leads to each frame, [T] indices into ACTIONS; [] when the scene has none."""
    script = scene.facts.get("actions", ())
    if not script:
        return []
    starts = np.array([t for t, _ in script])
    middles = (np.arange(frames) - 0.5) / FPS
    at = np.searchsorted(starts, middles, side="right") - 1
    return [0 if k < 0 else ACTIONS.index(script[k][1]) for k in at]


def mirrored(item: Item, seed: int = 0) -> Item:
    """Return what is known of a clip seen in a mirror: left and right exchanged in its parameters, captions and actions.

    A lamp that is neither left nor right throws its shadows to the other side then; no caption names that side.
    """
    scenes = families.family(item.family)
    params = scenes.mirrored(scenes.read(item.params))
    rng = np.random.default_rng([seed, *b"mirrored", *item.family.encode(), item.number])
    short = tuple(scenes.caption(params, rng) for _ in item.short)
    long = tuple(scenes.caption(params, rng, long=True) for _ in item.long)
    turned = {ACTIONS.index(a): ACTIONS.index(b) for a, b in _TURNED.items()}
    return Item(item.family, item.number, params.to_json(), short, long, tuple(turned.get(a, a) for a in item.actions))
