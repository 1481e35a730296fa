"""Evaluation of continuations: seams of extensions, long videos, rollouts under actions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sora_eval.data.heldout import FRAMES, SIZE, Member, members
from sora_eval.data.shards import ACTIONS, FPS, actions_of
from sora_eval.generator.reference.evaluation.judges import single
from sora_eval.generator.reference.evaluation.prompts import true_and_frozen
from sora_eval.generator.reference.evaluation.rows import Row, mean_rows, relative_rows
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.metrics.similarity import psnr
from sora_eval.metrics.transitions.steps import ordinary, seam
from sora_eval.types import Frames
from sora_eval.world import scene_of


def extend(s: Sampler, count: int) -> Iterator[Row]:
    """Measure extensions forward and backward."""
    clips = members("single", count, 33, wanted=lambda p: p["motion"] in ("left", "right", "still"))
    for backward in (False, True):
        task, cut = f"extend {'backward' if backward else 'forward'}", 16 if backward else 17

        def score(whole: Frames, m: Member, cut: int = cut, backward: bool = backward) -> dict[str, float]:
            # Of the new part alone, with the frame that it begins from: the given part is right already.
            scores = single(whole[: cut + 1] if backward else whole[cut - 1 :], m.params)
            moves = {} if m.params["motion"] == "still" else {"direction": scores["direction"]}
            return {"seam": seam(whole[:cut], whole[cut:]), **{k: scores[k] for k in ("one object", "shape")}, **moves}

        part = slice(cut, None) if backward else slice(0, cut)
        generated = [s.extend(m.frames[part], m.caption, 16, m.number, backward).frames for m in clips]
        still = [_held(m.frames[part], 16, backward) for m in clips]
        trio = [
            [score(f, m) for f, m in zip(fs, clips, strict=True)]
            for fs in (generated, [m.frames for m in clips], still)
        ]
        usual = [ordinary(m.frames[cut - 4 : cut + 4]) for m in clips]
        yield from relative_rows(task, ["seam"], usual, *trio)
        yield from mean_rows(task, ["one object", "direction", "shape"], *trio)
        if not backward:
            again = "seam, the truth redrawn by the autoencoder"
            best = [{again: seam(m.frames[:cut], s.rejoin(m.frames, cut)[cut:])} for m in clips]
            yield from relative_rows(task, [again], usual, best, [], [])


def _held(part: Frames, more: int, backward: bool) -> Frames:
    edge = np.repeat(part[:1] if backward else part[-1:], more, axis=0)
    return np.concatenate([edge, part] if backward else [part, edge])


def long(s: Sampler, count: int) -> Iterator[Row]:
    """Measure the end of a minute by extension."""
    frames = round(60 * FPS)
    clips = members("single", max(1, count // 10), wanted=lambda p: p["motion"] == "still")

    def score(whole: Frames, m: Member) -> dict[str, float]:
        last = whole[-FRAMES:]
        scores = single(last, m.params)
        drift = np.abs(whole[:FRAMES].mean(axis=(0, 1, 2)) - last.mean(axis=(0, 1, 2))).mean()
        return {
            "colour in the last 2 s": scores["colour"],
            "one object in the last 2 s": scores["one object"],
            "mean colour drift (levels)": float(drift),
        }

    generated = [score(np.concatenate(list(s.long_video(m.caption, frames, SIZE, m.number))), m) for m in clips]
    held = [score(np.repeat(m.frames[:1], frames, axis=0), m) for m in clips]
    yield from mean_rows("one minute by extension", held[0], generated, held, held)


def actions(s: Sampler, count: int) -> Iterator[Row]:
    """Measure rollouts under actions."""
    clips = members("voxel", count)
    scripts = []
    for m in clips:
        scene = scene_of({"family": "voxel", "params": m.params}, (FRAMES - 1) / FPS)
        scripts.append([ACTIONS[k] for k in actions_of(scene, FRAMES)][1:])
    generated = []
    # Control: another member's script, as likely but wrong.
    for m, own, other in zip(clips, scripts, [*scripts[1:], scripts[0]], strict=True):
        right, wrong = (psnr(s.rollout(m.frames[0], acts, "", m.number).frames, m.frames) for acts in (own, other))
        generated.append(
            {
                "PSNR to the true clip (dB, mean over frames)": right,
                "better than with another's actions": float(right > wrong),
            }
        )
    true, held = (
        [
            {
                "PSNR to the true clip (dB, mean over frames)": psnr(f, m.frames),
                "better than with another's actions": chance,
            }
            for f, m in zip(fs, clips, strict=True)
        ]
        for fs, chance in zip(true_and_frozen(clips), (1.0, 0.5), strict=True)
    )
    yield from mean_rows("actions (walk, turn, break, place)", held[0], generated, true, held)
