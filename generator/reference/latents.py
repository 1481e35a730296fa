"""The latents of a whole set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sora_eval.generator.reference.autoencoder import Autoencoder
from sora_eval.learning import training
from sora_eval.learning.shards import read
from sora_eval.learning.tensors import to_tensor
from sora_eval.video import replacing

_AT_ONCE = 16


def encode(folder: Path, network: Autoencoder, tag: str, where: torch.device) -> Path:
    """Write the latents of every shard, float16 [2, N, K, C, h, w], beside the set and return their folder; those there are kept.

    The first half are the clips as they are, the second half the clips in a mirror: twice the set for no rendering, and as many ways to the
    left as to the right.

    network: the autoencoder. tag: names its weights, so that latents of different ones are never mixed.
    """
    from tqdm import tqdm

    out = folder / f"latents-{tag}"
    out.mkdir(exist_ok=True)
    for shard in tqdm(read(folder), unit="shard", desc="encoding"):
        path = out / shard.path.name
        if path.exists():
            continue
        with torch.no_grad(), training.autocast(where):
            clips = np.array_split(shard.frames(), -(-len(shard.items) // _AT_ONCE))
            halves = [
                np.concatenate([network.encode(to_tensor(c).to(where), at_once=2).half().cpu().numpy() for c in some])
                for some in (clips, [c[..., ::-1, :] for c in clips])
            ]
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, np.stack(halves))
    return out
