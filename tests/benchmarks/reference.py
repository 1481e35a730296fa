"""Timings of the reference generator for `make bench`, each beside something it can be compared with in the same run."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sora_eval.data.shards import FPS
from sora_eval.data.vocabulary import world_vocabulary
from sora_eval.generator.reference import diffusion, losses
from sora_eval.generator.reference.autoencoder import STRIDE, Autoencoder, chunks_of
from sora_eval.generator.reference.options import Options
from sora_eval.generator.reference.recipe import transformer_recipe
from sora_eval.generator.reference.sampler import TRAINED_FRAMES, WINDOW, PromptWarning, Sampler
from sora_eval.generator.reference.train import optimisers_of
from sora_eval.generator.reference.transformer import PATCH, Transformer, TransformerConfig
from sora_eval.processes import one_torch_thread, peak_memory
from sora_eval.training import loop
from sora_eval.training.muon import product_dtype

PROMPT = "A red ball rolls to the left."
_BATCH = 16


def least(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least time of several runs in seconds, after one that warms up."""
    work()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def peak(dtype: torch.dtype, side: int = 1536) -> float:
    """Return this machine's operations per second in a large matrix product."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return 2 * side**3 / least(lambda: a @ b, 5)


def sampling_table(sampler: Sampler) -> str:
    """Return clips per second at 64 x 64 x 17, and the share of the machine's peak in matrix products, by steps."""
    with one_torch_thread():
        top = peak(torch.float32)
    lines = [
        f"Peak of a matrix product, float32, 1 thread as in sampling: {top / 1e9:.0f} GFLOP/s.\n",
        "| steps | s / clip | clips / s | share of peak |",
        "|---:|---:|---:|---:|",
    ]
    for steps in (4, 8, 16, 32):
        s = Sampler(sampler.model, Options(steps=steps))
        seconds = least(lambda s=s: s.text_to_video(PROMPT))  # type: ignore[misc]
        done = loop.operations(lambda s=s: s.text_to_video(PROMPT))  # type: ignore[misc]
        lines.append(f"| {steps} | {seconds:.2f} | {1 / seconds:.1f} | {done / seconds / top:.0%} |")
    return "\n".join(lines)


def growth_table(sampler: Sampler) -> str:
    """Return time and memory as duration and size grow; clips of more than 4 s are made by extension, in constant memory."""
    lines = ["| frames | size | tokens at once | s | peak memory of the process, MB |", "|---:|---|---:|---:|---:|"]
    for frames, side in ((17, 64), (33, 64), (17, 128), (17, 256), (round(60 * FPS), 64), (round(60 * FPS), 128)):
        # The peak of a process never falls: each row has its own.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            seconds, memory = alone.submit(_grown, sampler, frames, side).result()
        tokens = min(chunks_of(frames), WINDOW) * (side // STRIDE // PATCH) ** 2
        lines.append(f"| {frames} | {side} x {side} | {tokens} | {seconds:.1f} | {memory:.0f} |")
    return "\n".join(lines)


def _grown(sampler: Sampler, frames: int, side: int) -> tuple[float, float]:
    """Return the seconds that a clip takes, and this process's peak of memory in MB."""
    warnings.simplefilter("ignore", PromptWarning)
    start = time.perf_counter()
    if frames <= TRAINED_FRAMES:
        sampler.text_to_video(PROMPT, frames, (side, side))
    else:
        for _ in sampler.long_video(PROMPT, frames, (side, side)):
            pass
    return time.perf_counter() - start, peak_memory() / 1e6


def block_table() -> str:
    """Return our transformer against diffusers' Latte and CogVideoX blocks: same width, depth, heads, tokens, text; random weights."""
    ours = Transformer(TransformerConfig(words=len(world_vocabulary()))).eval().requires_grad_(False)
    c, tokens = ours.config, 80
    lines = ["| network | parameters, M | ms per call, 2 x 80 tokens | ratio to ours |", "|---|---:|---:|---:|"]
    z, t = torch.randn(2, 5, c.channels, 8, 8), torch.rand(2, 5)
    ids = world_vocabulary().encode([PROMPT, PROMPT], c.text_length)
    with torch.inference_mode():
        text, given = ours.text_encoder(ids), torch.zeros(2, 5, dtype=torch.bool)
        base = least(lambda: ours.denoise(z, t, given, text), 20)
        body = sum(p.numel() for p in ours.parameters()) - sum(p.numel() for p in ours.text_encoder.parameters())
        lines.append(f"| ours | {body / 1e6:.1f} | {1e3 * base:.1f} | 1.00 |")
        for name, network, call in _others(c, tokens):
            seconds = least(call, 20)
            size = sum(p.numel() for p in network.parameters()) / 1e6
            lines.append(f"| {name} | {size:.1f} | {1e3 * seconds:.1f} | {seconds / base:.2f} |")
    return "\n".join(lines)


def _others(c: TransformerConfig, tokens: int) -> list[tuple[str, nn.Module, Callable[[], object]]]:
    try:
        library: Any = importlib.import_module("diffusers")
    except ImportError:
        return []
    common = {"num_attention_heads": c.heads, "attention_head_dim": c.width // c.heads, "in_channels": c.channels}
    latte = library.LatteTransformer3DModel(
        **common,
        num_layers=c.depth,
        sample_size=8,
        patch_size=PATCH,
        out_channels=c.channels,
        video_length=5,
        caption_channels=c.text_width,
        cross_attention_dim=c.width,
        activation_fn="gelu-approximate",
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
    ).eval()
    cog = library.CogVideoXTransformer3DModel(
        **common,
        num_layers=c.depth,
        sample_width=8,
        sample_height=8,
        sample_frames=17,
        patch_size=PATCH,
        out_channels=c.channels,
        text_embed_dim=c.text_width,
        max_text_seq_length=c.text_length,
        time_embed_dim=c.width,
    ).eval()
    words, level = torch.randn(2, c.text_length, c.text_width), torch.tensor([500, 500])
    z: Tensor = torch.randn(2, c.channels, 5, 8, 8)
    return [
        ("diffusers Latte", latte, lambda: latte(z, level, words, enable_temporal_attentions=True)),
        ("diffusers CogVideoX", cog, lambda: cog(z.transpose(1, 2), words, level)),
    ]


def training_table() -> str:
    """Return training clips per second and core, and the share of the machine's peak, without compilation."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    dtype = product_dtype(torch.device("cpu"))
    top = peak(dtype)
    network = Transformer(TransformerConfig(words=len(world_vocabulary())))
    optimisers = optimisers_of(network, transformer_recipe())
    ids = world_vocabulary().encode([PROMPT] * _BATCH, network.config.text_length)
    z = torch.randn(_BATCH, 5, 16, 8, 8)
    t, given = diffusion.noise_levels(_BATCH, 5, torch.Generator().manual_seed(0))

    def step() -> None:
        with loop.autocast(torch.device("cpu")):
            predicted = network(diffusion.add_noise(z, torch.randn_like(z), t), t, given, ids)
        losses.velocity_loss(predicted, z, t, given).backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()
        network.zero_grad()

    eyes = Autoencoder()
    chunks = torch.rand(4, 3, 12, 64, 64)

    def see() -> None:
        with loop.autocast(torch.device("cpu")):
            out, _ = eyes.decoder(eyes.encode_chunks(chunks))
        (out - chunks).abs().mean().backward()
        eyes.zero_grad()

    lines = [
        f"Peak of a matrix product, {str(dtype).removeprefix('torch.')}, 1 thread of {os.cpu_count()}: {top / 1e9:.0f} GFLOP/s.\n",
        "| network | clips / s | share of peak |",
        "|---|---:|---:|",
    ]
    for name, work, clips in (
        ("transformer, with its optimisers", step, _BATCH),
        ("autoencoder (3 chunks a clip)", see, 4),
    ):
        seconds, done = least(work), loop.operations(work)
        lines.append(f"| {name} | {clips / seconds:.1f} | {done / seconds / top:.0%} |")
    torch.set_num_threads(before)
    return "\n".join(lines)


def steps_table(sampler: Sampler, count: int = 24) -> str:
    """Return what fewer steps cost in quality: single things that come out right, by steps."""
    from sora_eval.data.heldout import FRAMES, SIZE, members
    from sora_eval.generator.reference.evaluation.judges import single

    some = members("single", count)
    lines = ["| steps | colour | one object | direction | shape |", "|---:|---:|---:|---:|---:|"]
    for steps in (2, 4, 8, 16, 32):
        s = Sampler(sampler.model, Options(steps=steps))
        found = [single(s.text_to_video(m.caption, FRAMES, SIZE, m.number).frames, m.params) for m in some]
        cells = [f"{np.mean([f[k] for f in found]):.2f}" for k in ("colour", "one object", "direction", "shape")]
        lines.append(f"| {steps} | {' | '.join(cells)} |")
    return "\n".join(lines)
