"""Timings of the Frechet distance beside what else computes it, and of reading clips for every metric."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sora_eval.data.heldout import member
from sora_eval.encoders import clip as text_encoders
from sora_eval.encoders import perceptual
from sora_eval.encoders import video as encoders
from sora_eval.fidelity.extractors import clip_motion
from sora_eval.metrics.frechet import frechet_distance
from sora_eval.types import Floats, Video
from sora_eval.video import read_video, write_ffv1, write_h264

SIZES: tuple[tuple[int, int], ...] = ((400, 64), (400, 2048), (768, 256), (2048, 512))
"""(features, clips)."""
_CLIPS = 16
_SWEEPS = 30


def frechet_table() -> str:
    """Return times and relative errors of four ways to the same number, in one run; at n < d a covariance has no full rank."""
    ways: Mapping[str, Callable[[Floats, Floats], float]] = {
        "ours": frechet_distance,
        "scipy sqrtm": _sqrtm,
        "torchmetrics": _torchmetrics,
        "numpy eigvals": _eigvals,
    }
    lines = [
        f"| features, clips | {' | '.join(ways)} | ours faster than the best |",
        "|---|" + "---:|" * (len(ways) + 1),
    ]
    for d, n in SIZES:
        x, y = _features(d, n)
        true = _extended(x, y)
        times, cells = [], []
        for work in ways.values():
            seconds, found = _timed(partial(work, x, y))
            times.append(seconds)
            cells.append(f"{1e3 * seconds:.1f} ms, {abs(found - true) / true:.0e}")
        lines.append(f"| {d}, {n} | {' | '.join(cells)} | {min(times[1:]) / times[0]:.1f} times |")
    return "\n".join(lines)


def _features(d: int, n: int) -> tuple[Floats, Floats]:
    """Return two sets of features whose spread falls over the directions, as that of real features does."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, d + 1) ** -0.7
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return rng.normal(size=(n, d)) * scale @ turn, 0.05 + rng.normal(size=(n, d)) * scale @ np.roll(turn, 1, axis=0)


def _timed(work: Callable[[], float]) -> tuple[float, float]:
    """Return the least of some runs, of one run where it takes seconds, and the result."""
    times: list[float] = []
    while len(times) < 5 and sum(times) < 2:
        start = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - start)
    return min(times), found


def _sqrtm(x: Floats, y: Floats) -> float:
    root: Any = import_module("scipy.linalg").sqrtm(np.cov(x.T) @ np.cov(y.T))
    gap = x.mean(axis=0) - y.mean(axis=0)
    return float(gap @ gap + x.var(axis=0, ddof=1).sum() + y.var(axis=0, ddof=1).sum() - 2 * np.trace(root).real)


def _torchmetrics(x: Floats, y: Floats) -> float:
    compute: Any = import_module("torchmetrics.image.fid")._compute_fid
    parts = [torch.from_numpy(a) for v in (x, y) for a in (v.mean(axis=0), np.cov(v.T))]
    return float(compute(*parts))


def _eigvals(x: Floats, y: Floats) -> float:
    roots = np.sqrt(np.linalg.eigvals(np.cov(x.T) @ np.cov(y.T)).astype(complex)).real
    gap = x.mean(axis=0) - y.mean(axis=0)
    return float(gap @ gap + x.var(axis=0, ddof=1).sum() + y.var(axis=0, ddof=1).sum() - 2 * roots.sum())


def _extended(x: Floats, y: Floats) -> float:
    """Return the distance in 80-bit floats, by Gram-Schmidt and one-sided Jacobi rotations (Hestenes 1958): slow and sure."""
    parts = []
    gap = x.astype(np.longdouble).mean(axis=0) - y.astype(np.longdouble).mean(axis=0)
    for v in (x, y):
        centred = v.astype(np.longdouble)
        centred = (centred - centred.mean(axis=0)) / np.sqrt(np.longdouble(len(v) - 1))
        parts.append(_factor(centred) if len(v) > v.shape[1] else centred)
    a, b = parts
    return float(gap @ gap + (a * a).sum() + (b * b).sum() - 2 * _nuclear(np.einsum("id,jd->ij", a, b)))


def _factor(rows: NDArray[np.longdouble]) -> NDArray[np.longdouble]:
    """Return R with R^T R = rows^T rows, by modified Gram-Schmidt."""
    q, d = rows.copy(), rows.shape[1]
    r = np.zeros((d, d), np.longdouble)
    for k in range(d):
        r[k, k] = np.sqrt((q[:, k] * q[:, k]).sum())
        q[:, k] /= r[k, k]
        r[k, k + 1 :] = (q[:, k, None] * q[:, k + 1 :]).sum(axis=0)
        q[:, k + 1 :] -= q[:, k, None] * r[k, k + 1 :]
    return r


def _nuclear(m: NDArray[np.longdouble]) -> np.longdouble:
    """Return the sum of the singular values of a square matrix: its columns are turned, many pairs at once, until all are orthogonal."""
    u = np.ascontiguousarray(m.T)
    n = len(u)
    order = np.arange(n + n % 2)
    for _ in range(_SWEEPS):
        most = np.longdouble(0)
        for _ in range(len(order) - 1):
            i, j = order[: len(order) // 2], order[: len(order) // 2 - 1 : -1]
            keep = (i < n) & (j < n)
            p, q = u[i[keep]], u[j[keep]]
            alpha, beta, gamma = (p * p).sum(axis=1), (q * q).sum(axis=1), (p * q).sum(axis=1)
            most = max(most, np.abs(gamma / np.maximum(np.sqrt(alpha * beta), np.finfo(np.longdouble).tiny)).max())
            zeta = (beta - alpha) / np.where(gamma == 0, 1, 2 * gamma)
            t = np.where(gamma == 0, 0, np.where(zeta < 0, -1, 1) / (np.abs(zeta) + np.sqrt(1 + zeta * zeta)))
            c = 1 / np.sqrt(1 + t * t)
            u[i[keep]], u[j[keep]] = c[:, None] * (p - t[:, None] * q), c[:, None] * (q + t[:, None] * p)
            order = np.concatenate([order[:1], order[-1:], order[1:-1]])
        if most < 1e-15:
            break
    found: np.longdouble = np.sqrt((u * u).sum(axis=1)).sum()
    return found


def reading_table() -> str:
    """Return clips of 64 x 64 x 17 per second for every reading at 1 and 2 threads, beside the cost of decoding them."""
    clips = [Video(member("motion", 90_000 + i).frames, 8.0) for i in range(_CLIPS)]
    video, words = encoders.load("world-video"), text_encoders.load("world-clip")
    distance = perceptual.load("lpips-world")
    lines = ["| reading | clips / s, 1 thread | clips / s, 2 threads |", "|---|---:|---:|"]
    with TemporaryDirectory() as folder:
        lossless, coded = Path(folder) / "a.mkv", Path(folder) / "a.mp4"
        write_ffv1(lossless, clips[0])
        write_h264(coded, clips[0], 18)
        works: Mapping[str, Callable[[], object]] = {
            "decoding, FFV1": lambda: [read_video(lossless) for _ in clips],
            "decoding, H.264": lambda: [read_video(coded) for _ in clips],
            "world-video": lambda: list(video.features(clips)),
            "motion": lambda: [clip_motion(v) for v in clips],
            "world-clip": lambda: [words.images(v.frames) for v in clips],
            "lpips-world": lambda: [distance.distance(v.frames, clips[0].frames) for v in clips],
        }
        before = torch.get_num_threads()
        for name, work in works.items():
            rates = []
            for threads in (1, 2):
                torch.set_num_threads(threads)
                seconds, _ = _timed(lambda w=work: float(bool(w())))  # type: ignore[misc]
                rates.append(_CLIPS / seconds)
            lines.append(f"| {name} | {rates[0]:.0f} | {rates[1]:.0f} |")
        torch.set_num_threads(before)
    return "\n".join(lines)
