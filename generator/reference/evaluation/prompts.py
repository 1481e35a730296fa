"""Evaluation of what is sampled from prompts: text, images, edits, variations, and the autoencoder below them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sora_eval.data.heldout import FIRST, FRAMES, SIZE, Member, member, members
from sora_eval.data.shards import MIXTURE
from sora_eval.generator.reference.evaluation.judges import framed, sided, single
from sora_eval.generator.reference.evaluation.rows import Row, mean_rows
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.metrics.similarity import psnr, ssim
from sora_eval.types import Frames

_ASPECTS: Mapping[str, tuple[int, int]] = {"wide": (64, 96), "tall": (96, 64)}


def autoencoder(s: Sampler, count: int) -> Iterator[Row]:
    """Measure reconstructions by the autoencoder."""
    clips = [member(MIXTURE[i % len(MIXTURE)], FIRST + i) for i in range(count)]
    singles = members("single", count)

    def quality(true: Member) -> dict[str, float]:
        video, image = s.reconstruct(true.frames), s.reconstruct(true.frames[:1])
        return {
            "PSNR, videos (dB, mean over frames)": psnr(video, true.frames),
            "PSNR, images (dB)": psnr(image, true.frames[:1]),
            "SSIM, videos": ssim(video, true.frames),
            "SSIM, images": ssim(image, true.frames[:1]),
        }

    def shape(frames: Frames, true: Member) -> dict[str, float]:
        return {"shape, seen by the tracker": single(frames, true.params)["shape"]}

    keys = ["PSNR, videos (dB, mean over frames)", "PSNR, images (dB)", "SSIM, videos", "SSIM, images"]
    frozen = [
        {"PSNR, videos (dB, mean over frames)": psnr(c.frozen, c.frames), "SSIM, videos": ssim(c.frozen, c.frames)}
        for c in clips
    ]
    perfect = [dict.fromkeys(keys, 1.0) | {k: psnr(c.frames, c.frames) for k in keys if "PSNR" in k} for c in clips]
    yield from mean_rows("autoencoder", keys, [quality(c) for c in clips], perfect, frozen)
    generated = [shape(s.reconstruct(c.frames), c) for c in singles]
    true = [shape(c.frames, c) for c in singles]
    yield from mean_rows("autoencoder", ["shape, seen by the tracker"], generated, true, [])


def text(s: Sampler, count: int) -> Iterator[Row]:
    """Measure text to video and text to image."""
    clips = members("single", count)
    generated = [single(s.text_to_video(m.caption, FRAMES, SIZE, m.number).frames, m.params) for m in clips]
    true, held = ([single(f, m.params) for f, m in zip(fs, clips, strict=True)] for fs in true_and_frozen(clips))
    yield from mean_rows("text to video", true[0], generated, true, held)
    pairs = members("relation", count)
    two = [sided(s.text_to_video(m.caption, FRAMES, SIZE, m.number).frames, m.params) for m in pairs]
    true, held = ([sided(f, m.params) for f, m in zip(fs, pairs, strict=True)] for fs in true_and_frozen(pairs))
    yield from mean_rows("text to video, two things", ["side"], two, true, held)
    images = [single(np.repeat(s.text_to_image(m.caption, SIZE, m.number)[None], 5, 0), m.params) for m in clips]
    stills = [single(m.frozen[:5], m.params) for m in clips]
    yield from mean_rows("text to image", ["colour", "one object", "shape"], images, stills, [])


def aspect(s: Sampler, count: int) -> Iterator[Row]:
    """Measure text to video at other aspect ratios."""
    for name, size in _ASPECTS.items():
        clips = members("single", count, size=size)
        generated = [framed(s.text_to_video(m.caption, FRAMES, size, m.number).frames, m.params) for m in clips]
        true, held = ([framed(f, m.params) for f, m in zip(fs, clips, strict=True)] for fs in true_and_frozen(clips))
        yield from mean_rows(f"text to video, {name}", ["one object", "whole in view"], generated, true, held)


def image(s: Sampler, count: int) -> Iterator[Row]:
    """Measure image to video, with and without text."""

    def score(frames: Frames, m: Member) -> dict[str, float]:
        scores = single(frames, m.params)
        return {
            "first frame (dB)": psnr(frames[:1], m.frames[:1]),
            "the next four, to the true ones (dB, mean over frames)": psnr(frames[1:5], m.frames[1:5]),
            "direction": scores["direction"],
            "shape": scores["shape"],
        }

    clips = members("single", count)
    generated = [score(s.continue_video(m.frames[:1], m.caption, FRAMES, m.number).frames, m) for m in clips]
    without = [score(s.continue_video(m.frames[:1], "", FRAMES, m.number).frames, m) for m in clips]
    true, held = ([score(f, m) for f, m in zip(fs, clips, strict=True)] for fs in true_and_frozen(clips))
    yield from mean_rows("image and text to video", true[0], generated, true, held)
    yield from mean_rows("image to video, no text", ["first frame (dB)"], without, true, held)


def variations(s: Sampler, count: int) -> Iterator[Row]:
    """Measure how much clips of other seeds differ."""
    clips = members("single", max(2, count // 4))

    def spread(clips: Sequence[Frames]) -> dict[str, float]:
        pairs = [(a, b) for i, a in enumerate(clips) for b in clips[:i]]
        return {"PSNR between seeds (dB, mean over frames)": float(np.mean([psnr(a, b) for a, b in pairs]))}

    generated = [spread([s.text_to_video(m.caption, FRAMES, SIZE, k).frames for k in range(3)]) for m in clips]
    again = [spread([m.frames] * 2) for m in clips]
    yield from mean_rows("variations by seed", ["PSNR between seeds (dB, mean over frames)"], generated, [], again)


def true_and_frozen(clips: Sequence[Member]) -> tuple[list[Frames], list[Frames]]:
    """Return the frames of clips, and their first frames held."""
    return [m.frames for m in clips], [m.frozen for m in clips]
