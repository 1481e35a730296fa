"""Changes of a thing's state: words for the state before and after, compared with pictures of the clip's first and last part.

Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision" (CLIP). A network likes some words
whatever the picture, so that only the shift between the two parts counts; and it must be a shift towards these words, not towards any.
"""

from __future__ import annotations

import numpy as np

from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.types import Finding, Floats, Frames, Tracks

FORWARD, BACKWARD = "forward", "backward"
CHANGE = "change"
"""The question on which there is a finding."""
TEMPLATES = ("a photo of a {thing}, {state}", "a {thing} that is {state}", "a {state} {thing}")
UNRELATED: tuple[tuple[str, str], ...] = (
    ("lit", "unlit"), ("open", "closed"), ("full", "empty"), ("whole", "broken"), ("clean", "dirty"), ("dry", "wet"),
    ("hot", "cold"), ("new", "old"), ("large", "small"), ("near", "far away"), ("bright", "dark"), ("smooth", "rough"),
    ("hard", "soft"), ("straight", "bent"), ("painted", "bare"), ("frozen", "melted"), ("raw", "cooked"), ("fresh", "rotten"),
    ("tied", "loose"), ("folded", "spread out"), ("standing", "lying"), ("covered", "uncovered"), ("red", "green"), ("sharp", "blurred"),
)  # fmt: skip
"""Other pairs of states. The shift between the asked words must be larger than that of nine in ten of these, in either direction: the
camera, the light, or another change would shift them as well."""
_STRONGER = 0.9
_PART, _LOOKED = 0.25, 8
"""Share of the clip that is its first and its last part, and frames of each that are looked at, at most."""
_AROUND = 0.25
"""Margin around the thing's boxes, in their size."""


def change_finding(
    frames: Frames,
    region: tuple[int, int, int, int],
    states: tuple[str, str, str],
    encoder: TextImageEncoder,
    threshold: float,
) -> Finding:
    """Return whether a thing changes from one state to another (forward), the other way (backward), or that this can't be known.

    Args:
        frames: uint8 [T, H, W, 3].
        region: x0, y0, x1, y1 of the part of the frame that shows the thing throughout, the last ones excluded.
        states: the thing, its state before, its state after, in words.
        encoder: of pictures and words.
        threshold: least shift of the log-odds.

    """
    thing, before, after = states
    if unread := [t for t in _texts(thing, before) + _texts(thing, after) if encoder.unread(t)]:
        return Finding("", 0.0, f"{encoder.name} can't read '{unread[0]}'")
    x0, y0, x1, y1 = region
    count = max(2, round(_PART * len(frames)))
    if 2 * count > len(frames):
        return Finding("", 0.0, f"the clip has {len(frames)} frames, too few for a first and a last part")
    looked = np.unique(np.linspace(0, count - 1, min(count, _LOOKED)).round().astype(int))
    index = np.concatenate([looked, len(frames) - count + looked])
    pictures = encoder.images(np.ascontiguousarray(frames[index, y0:y1, x0:x1]))  # (2n, d)
    odds = _log_odds(pictures, thing, before, after, encoder)  # (templates, 2n)
    first, last = np.split(odds, 2, axis=1)
    shifts = np.median(last, axis=1) - np.median(first, axis=1)
    shift = float(shifts.mean())
    confidence = 1 / (1 + float(np.exp(-abs(shift))))
    seen = f"the odds of '{after}' against '{before}' shift by {shift:+.1f} in their logarithm"

    def abstain(why: str) -> Finding:
        return Finding("", confidence, f"the change of the {thing} is not decided: {seen}, {why}")

    if abs(shift) < threshold:
        return abstain(f"less than {threshold:g}")
    if (np.sign(shifts) != np.sign(shift)).any():
        return abstain("not in all wordings alike")
    way = np.sign(shift) * odds.mean(axis=0)
    if way[len(looked) :].min() <= way[: len(looked)].max():
        return abstain("but not in all frames")
    words = {*before.split(), *after.split()}
    others = [pair for pair in UNRELATED if not words & {*" ".join(pair).split()}]
    unrelated = [_shift(pictures, thing, a, b, encoder) for a, b in others]
    if abs(shift) <= float(np.quantile(np.abs(unrelated), _STRONGER)):
        return abstain("but so do those of other states")
    return Finding(FORWARD if shift > 0 else BACKWARD, confidence)


def region_of(tracks: Tracks) -> tuple[int, int, int, int] | None:
    """Return the part of the frame that shows all of some tracks throughout, with a margin; None where nothing was found."""
    boxes = tracks.box[tracks.visible]
    if not len(boxes):
        return None
    (x0, y0), (x1, y1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    dx, dy = _AROUND * (x1 - x0), _AROUND * (y1 - y0)
    height, width = tracks.size
    left, top = int(max(x0 - dx, 0)), int(max(y0 - dy, 0))
    return left, top, int(min(x1 + dx, width - 1)) + 1, int(min(y1 + dy, height - 1)) + 1


def _texts(thing: str, state: str) -> list[str]:
    return [template.format(thing=thing, state=state) for template in TEMPLATES]


def _log_odds(pictures: Floats, thing: str, before: str, after: str, encoder: TextImageEncoder) -> Floats:
    """Return the log-odds [templates, n] of "after" against "before" for pictures [n, d]."""
    a, b = (encoder.texts(_texts(thing, state)) for state in (before, after))
    return np.asarray(encoder.scale * (b - a) @ pictures.T)


def _shift(pictures: Floats, thing: str, before: str, after: str, encoder: TextImageEncoder) -> float:
    first, last = np.split(_log_odds(pictures, thing, before, after, encoder), 2, axis=1)
    return float((np.median(last, axis=1) - np.median(first, axis=1)).mean())
