"""Training data: windows of pixels for the autoencoder, latents with captions, actions and grounding targets for the transformer.

A batch depends on nothing but the seed, the step and the process: a run that was stopped resumes with the batches that it would have had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sora_eval.data import shards
from sora_eval.data.cameras import POSE, POSE_VERSION, item_poses, mirrored_poses
from sora_eval.data.shards import ACTIONS, Item, Shard, mirrored
from sora_eval.files import replacing
from sora_eval.generator.reference import model
from sora_eval.generator.reference.autoencoder import CHUNK, Autoencoder, to_chunks
from sora_eval.generator.reference.recipe import Phase, TransformerRecipe
from sora_eval.generator.reference.transformer import GROUNDING, PATCH
from sora_eval.processes import pool
from sora_eval.tracking.colours import states_of
from sora_eval.training import loop
from sora_eval.training.tensors import to_tensor
from sora_eval.world import palette
from sora_eval.world.families import common, family

_ENCODE_AT_ONCE = 16
_GROUNDING_VERSION = 1
"""Raised whenever `grounding_targets` makes other numbers: they are kept beside the latents."""
_USUAL_CHUNKS = 5
"""Clips of more chunks are long ones."""


@dataclass(frozen=True)
class PixelDataset:
    """Windows of chunks of the clips of some shards."""

    shards: Sequence[Shard]
    """Training clips."""
    seed: int
    """Seed of the draws."""
    window: int
    """Chunks of a window."""
    pixels: int
    """Height times width times windows of a batch."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Shares of some scene families; clips of the others share the rest evenly. Empty: as in the set."""

    @cached_property
    def _chances(self) -> tuple[NDArray[np.float64], ...]:
        """Weight of each clip, by shard."""
        counts = Counter(i.family for s in self.shards for i in s.items)
        weights = family_weights(self.shares, counts) if self.shares else dict.fromkeys(counts, 1.0)
        return tuple(np.array([weights[i.family] for i in s.items]) for s in self.shards)

    @cached_property
    def _by_size(self) -> list[NDArray[np.int64]]:
        """Indices of the shards of each size (T, H, W)."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, shard in enumerate(self.shards):
            groups.setdefault(shard.frames().shape[1:4], []).append(i)
        return [np.array(indices) for indices in groups.values()]

    def batch(self, step: int, rank: int = 0) -> Tensor:
        """Return windows (B, window, 12, H, W) of one size; images give windows of one chunk.

        Processes that train together draw different windows of one size at a step, so that none waits for another.
        """
        rng = np.random.default_rng([self.seed, *b"autoencoder", step, 0])
        totals = np.array([chance.sum() for chance in self._chances])
        shares = np.array([totals[group].sum() for group in self._by_size])
        group = self._by_size[int(rng.choice(len(shares), p=shares / shares.sum()))]
        if rank:
            rng = np.random.default_rng([self.seed, *b"autoencoder", step, rank])
        number = int(rng.choice(group, p=totals[group] / totals[group].sum()))
        clips, chance = self.shards[number].frames(), self._chances[number]
        n, t, h, w, _ = clips.shape
        size = max(1, round(self.pixels / (h * w))) * (1 if t > 1 else self.window)
        windows = []
        for i in rng.choice(n, size=min(n, size), replace=False, p=chance / chance.sum()):
            first = int(rng.integers(0, max(1, (t - 1) // CHUNK - self.window + 2)))
            if first == 0:
                # A window that begins with chunk 0 has frame 0 four times; the others begin after it.
                chunks = to_chunks(to_tensor(clips[i])[None])[0]
            else:
                begin = 1 + (first - 1) * CHUNK
                chunks = to_tensor(clips[i, begin : begin + self.window * CHUNK]).reshape(-1, 3 * CHUNK, h, w)
            windows.append(chunks[: self.window])
        return torch.stack(windows)


@dataclass(frozen=True)
class Batch:
    """Clips of one size for the transformer."""

    latents: Tensor
    """(B, K, C, h, w), clean."""
    captions: list[str]
    """"" for a caption that is left out."""
    actions: Tensor
    """(B, K, 4) index per frame, 0 where a clip isn't conditioned on its actions."""
    targets: Tensor
    """(B, 8, 6) grounding targets of each colour: x, y and size in the first and the last frame, NaN where it isn't there."""
    camera: Tensor
    """(B, K, 4, 8) camera pose per frame, 0 where a clip isn't conditioned on it."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        parts = (self.latents, self.actions, self.targets, self.camera)
        latents, actions, targets, camera = (part.to(device) for part in parts)
        return Batch(latents, self.captions, actions, targets, camera)


@dataclass(frozen=True)
class Bucket:
    """All clips of one size."""

    latents: NDArray[np.float16]
    """(N, K, C, h, w)."""
    targets: NDArray[np.float32]
    """(N, 8, 6) grounding targets."""
    cameras: NDArray[np.float32]
    """(N, K, 4, 8) camera pose per frame."""
    items: tuple[Item, ...]
    """Metadata of the N clips, in order."""
    chance: tuple[NDArray[np.float64], ...]
    """Per phase: the probability of each clip within a batch (N,)."""
    share: tuple[float, ...]
    """Per phase: the share of batches, not yet normalised."""


class LatentDataset:
    """Latents of a set of clips and of their mirror images, drawn by the curriculum of a recipe.

    training: shards of the sets. latents: name of the folder of latents beside each.
    unit: steps of a unit of the curriculum. tokens: patches of a batch. square: crop to the middle square.
    """

    def __init__(
        self,
        training: Sequence[Shard],
        latents: str,
        recipe: TransformerRecipe,
        seed: int,
        unit: int,
        tokens: int,
        square: bool = False,
    ) -> None:
        self.recipe, self.seed, self.unit, self.tokens, self.square = recipe, seed, unit, tokens, square
        self.buckets = buckets_of(training, latents, recipe)
        shares = np.array([bucket.share for bucket in self.buckets])  # (buckets, phases)
        self._shares = shares / shares.sum(axis=0)

    def batch(self, step: int, rank: int = 0) -> Batch:
        """Return the batch of a step; processes that train together draw different clips of one size, so that none waits for another."""
        r = self.recipe
        rng = np.random.default_rng([self.seed, *b"diffusion", step, 0])
        phase = r.phase(step, self.unit)
        bucket = self.buckets[int(rng.choice(len(self.buckets), p=self._shares[:, phase]))]
        n, k, _, h, w = bucket.latents.shape
        early, late = r.image_share
        if rng.random() < late + (early - late) * max(0.0, 1 - step / self.unit):
            k = 1
        if rank:
            rng = np.random.default_rng([self.seed, *b"diffusion", step, rank])
        rows, columns = (min(h, w), min(h, w)) if self.square else (h, w)
        size = min(r.max_clips, max(1, round(self.tokens / (k * rows * columns / PATCH**2))))
        chosen = rng.choice(n, size=size, p=bucket.chance[phase])
        top, left = (h - rows) // 2, (w - columns) // 2
        z = bucket.latents[chosen, :k, :, top : top + rows, left : left + columns].astype(np.float32)
        items = [bucket.items[i] for i in chosen]
        acted = [bool(i.actions) and rng.random() < r.action_share for i in items]
        captions = [_caption(i, rng, r.caption_dropout, a) for i, a in zip(items, acted, strict=True)]
        targets = bucket.targets[chosen].copy()
        if self.square:
            targets = crop_targets(targets, h, w)
        if k == 1:
            targets[..., 3:] = np.nan
        shown = rng.random(len(items)) < r.camera_share
        camera = bucket.cameras[chosen, :k] * shown[:, None, None, None].astype(np.float32)
        return Batch(
            torch.from_numpy(z),
            captions,
            _actions(items, acted, k),
            torch.from_numpy(targets),
            torch.from_numpy(camera),
        )

    def phase(self, step: int) -> Phase:
        """Return the phase of the curriculum at a step."""
        return self.recipe.phases[self.recipe.phase(step, self.unit)]


def buckets_of(training: Sequence[Shard], latents: str, recipe: TransformerRecipe) -> list[Bucket]:
    """Group the clips of shards and their mirror images by size; the shares of a phase hold over all.

    latents: name of the folder of latents beside each shard.
    """
    arrays = {s.path: np.concatenate(np.load(s.path.parent / latents / s.path.name)) for s in training}
    doubled = [replace(s, items=(*s.items, *(mirrored(i) for i in s.items))) for s in training]
    groups: dict[tuple[int, ...], list[Shard]] = {}
    for s in doubled:
        groups.setdefault(arrays[s.path].shape[1:], []).append(s)
    counts = Counter(i.family for s in doubled for i in s.items)
    weights = [family_weights(phase.shares, counts) for phase in recipe.phases]
    buckets = []
    for shape, group in groups.items():
        items = tuple(i for s in group for i in s.items)
        chances = [np.array([by_family[i.family] for i in items]) for by_family in weights]
        longer = [phase.long if shape[0] > _USUAL_CHUNKS else 1.0 for phase in recipe.phases]
        buckets.append(
            Bucket(
                np.concatenate([arrays[s.path] for s in group]),
                np.concatenate([grounding_targets(s, s.path.parent / latents) for s in group]),
                np.concatenate([camera_poses(s, s.path.parent / latents) for s in group]),
                items,
                tuple(chance / chance.sum() for chance in chances),
                tuple(float(chance.sum()) * more for chance, more in zip(chances, longer, strict=True)),
            )
        )
    return buckets


def family_weights(shares: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """Return the weight of one clip of each family, so that some families get their share and clips of the others share the rest evenly."""
    named = {f: share for f, share in shares.items() if f in counts}
    rest = 1 - sum(named.values())
    others = sum(n for f, n in counts.items() if f not in named)
    return {f: named[f] / n if f in named else rest / others for f, n in counts.items()}


def grounding_targets(shard: Shard, folder: Path) -> NDArray[np.float32]:
    """Return the grounding targets of clips and then of their mirror images (2 N, 8, 6), made once and kept in `folder`.

    Per colour x, y in -1..1 and size, four times the root of its share of the frame, in the first and the last frame; NaN where absent.
    """
    path = folder / f"{shard.name}.grounding-{_GROUNDING_VERSION}.npy"
    if not path.exists():
        ends = np.stack([states_of(np.asarray(c)[[0, -1]]) for c in shard.frames()])  # (N, 8, 2, 3)
        root, xy = ends[..., :1], 2 * ends[..., 1:] - 1
        targets = np.where(root > 0, np.concatenate([xy, 4 * root], axis=-1), np.nan)
        both = np.concatenate([targets, targets * (-1, 1, 1)])
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, both.reshape(len(both), len(palette.COLOURS), GROUNDING).astype(np.float32))
    kept: NDArray[np.float32] = np.load(path)
    return kept


def camera_poses(shard: Shard, folder: Path) -> NDArray[np.float32]:
    """Return the camera poses of clips and then of their mirror images (2 N, K, 4, 8), made once and kept in `folder`."""
    path = folder / f"{shard.name}.cameras-{POSE_VERSION}.npy"
    if not path.exists():
        _, frames, height, width, _ = shard.frames().shape
        poses = np.stack([item_poses(item, frames, (height, width)) for item in shard.items])  # (N, T, 8)
        head = np.repeat(poses[:, :1], CHUNK, axis=1)
        # As in `to_chunks`: the first frame is a chunk of its own.
        chunks = np.concatenate([head, poses[:, 1:]], axis=1).reshape(len(poses), -1, CHUNK, POSE)
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, np.concatenate([chunks, mirrored_poses(chunks)]).astype(np.float32))
    kept: NDArray[np.float32] = np.load(path)
    return kept


def crop_targets(targets: NDArray[np.float32], h: int, w: int) -> NDArray[np.float32]:
    """Return the grounding targets of frames of h x w in their middle square; NaN for objects whose centre is outside."""
    side = min(h, w)
    scale = np.array([w / side, h / side, (h * w) ** 0.5 / side], dtype=np.float32)
    ends = targets.reshape(*targets.shape[:-1], 2, 3) * scale
    inside = (np.abs(ends[..., :2]) <= 1).all(axis=-1, keepdims=True)
    return np.where(inside, ends, np.float32(np.nan)).reshape(targets.shape)


def _caption(item: Item, rng: np.random.Generator, dropout: float, acted: bool) -> str:
    """Return a caption: long, short, or short with the sentence that ends a probe's prompt; "" to leave it out."""
    if rng.random() < dropout:
        return ""
    if acted and rng.random() < 0.5:
        return f"{common.article(str(item.params['colour']))} figure in a world made of blocks."
    short, long = (wordings[int(rng.integers(len(wordings)))] for wordings in (item.short, item.long))
    kind = rng.random()
    if kind < 0.5:
        return long
    if kind < 0.75:
        return short
    scenes = family(item.family)
    return f"{short} {scenes.setting(scenes.read(item.params))}"


def _actions(items: Sequence[Item], acted: Sequence[bool], k: int) -> Tensor:
    rows = torch.zeros(len(items), k, CHUNK, dtype=torch.long)
    for row, item, used in zip(rows, items, acted, strict=True):
        if used and k > 1:
            row[1:] = torch.tensor(item.actions[1 : 1 + (k - 1) * CHUNK]).reshape(k - 1, CHUNK)
    assert int(rows.max()) < len(ACTIONS)
    return rows


def latents_folder(folder: Path, latent_space: str) -> Path:
    """Return the folder of the latents of a set; its name has the hash of the encoder, so that those of different ones never mix."""
    return folder / f"latents-{latent_space[:12]}"


def encode_set(folder: Path, autoencoder: Path, workers: int = 1) -> Path:
    """Write the latents of every shard, float16 [2, N, K, C, h, w], beside the set and return their folder; existing ones are kept.

    The first half are the clips as they are, the second half mirrored: twice the set without rendering, and as many ways to the left as to
    the right.

    autoencoder: its file. workers: processes, on a CPU.
    """
    from tqdm import tqdm

    out = latents_folder(folder, model.load_autoencoder(autoencoder)[1])
    out.mkdir(exist_ok=True)
    missing = [s for s in shards.read(folder) if not (out / s.path.name).exists()]
    with pool(1 if torch.cuda.is_available() else workers) as executor:
        jobs = [executor.submit(_encode, s, autoencoder, out / s.path.name) for s in missing]
        for job in tqdm(jobs, unit="shard", desc="encoding"):
            job.result()
    return out


def _encode(shard: Shard, autoencoder: Path, path: Path) -> None:
    network, device = _loaded(autoencoder), loop.device()
    with torch.no_grad(), loop.autocast(device):
        clips = np.array_split(shard.frames(), -(-len(shard.items) // _ENCODE_AT_ONCE))
        halves = [
            np.concatenate([network.encode(to_tensor(c).to(device), at_once=2).half().cpu().numpy() for c in half])
            for half in (clips, [c[..., ::-1, :] for c in clips])
        ]
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, np.stack(halves))


@lru_cache(maxsize=1)
def _loaded(autoencoder: Path) -> Autoencoder:
    return model.load_autoencoder(autoencoder)[0].to(loop.device())
