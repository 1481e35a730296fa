"""The latents of a whole set."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from sora_eval.data.shards import Shard, read
from sora_eval.files import replacing
from sora_eval.generator.reference import model
from sora_eval.generator.reference.autoencoder import Autoencoder
from sora_eval.processes import pool
from sora_eval.training import loop
from sora_eval.training.tensors import to_tensor

_AT_ONCE = 16


def encode(folder: Path, autoencoder: Path, workers: int = 1) -> Path:
    """Write the latents of every shard, float16 [2, N, K, C, h, w], beside the set and return their folder; those there are kept.

    The first half are the clips as they are, the second half the clips in a mirror: twice the set for no rendering, and as many ways to the
    left as to the right. The folder's name has the hash of the encoder, so that latents of different ones are never mixed.

    autoencoder: its file. workers: processes, on a CPU.
    """
    from tqdm import tqdm

    out = folder / f"latents-{model.load_autoencoder(autoencoder)[1][:12]}"
    out.mkdir(exist_ok=True)
    missing = [s for s in read(folder) if not (out / s.path.name).exists()]
    with pool(1 if torch.cuda.is_available() else workers) as executor:
        jobs = [executor.submit(_encode, s, autoencoder, out / s.path.name) for s in missing]
        for job in tqdm(jobs, unit="shard", desc="encoding"):
            job.result()
    return out


def _encode(shard: Shard, autoencoder: Path, path: Path) -> None:
    network, where = _loaded(autoencoder), loop.device()
    with torch.no_grad(), loop.autocast(where):
        clips = np.array_split(shard.frames(), -(-len(shard.items) // _AT_ONCE))
        halves = [
            np.concatenate([network.encode(to_tensor(c).to(where), at_once=2).half().cpu().numpy() for c in some])
            for some in (clips, [c[..., ::-1, :] for c in clips])
        ]
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, np.stack(halves))


@lru_cache(maxsize=1)
def _loaded(autoencoder: Path) -> Autoencoder:
    return model.load_autoencoder(autoencoder)[0].to(loop.device())
