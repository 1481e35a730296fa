"""Boxes of things named in words in a frame: Grounding DINO or OWLv2.

Sources: Liu et al. 2024, "Grounding DINO"; Minderer et al. 2023, "Scaling Open-Vocabulary Object Detection" (OWLv2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sora_eval.errors import ConfigError
from sora_eval.metrics.mot import box_iou
from sora_eval.tracking.natural.detector import Detection
from sora_eval.tracking.open_vocab.hub import HubModel, Loaded, load
from sora_eval.types import Box, Floats, Frames

OPTION = "tracker.detector"


@dataclass(frozen=True)
class DetectorKind:
    """How detectors of one kind are loaded, and from which score on their boxes are taken."""

    network: str
    """Class of the network in transformers."""
    processor: str
    """Class of its processor."""
    unsure: float
    """Score from which on a box may be the thing."""
    sure: float
    """Score from which on it is."""


_GROUNDING = DetectorKind("GroundingDinoForObjectDetection", "GroundingDinoProcessor", 0.25, 0.35)
KINDS: Mapping[str, DetectorKind] = {
    "grounding-dino": _GROUNDING,
    "mm-grounding-dino": replace(_GROUNDING, network="MMGroundingDinoForObjectDetection"),
    "owlv2": DetectorKind("Owlv2ForObjectDetection", "Owlv2Processor", 0.1, 0.3),
}
"""Kinds of detectors by model type. The scores are those of the authors' own examples (two thresholds for boxes and words of Grounding
DINO; .1 of OWLv2, which finds much, so that thrice as much is sure); none was measured here."""
_SAME = 0.5
"""Overlap from which on two boxes of one thing are one."""
_CONTESTED = 0.8
"""Overlap from which on boxes of two things are of one object, so that it is not known which of them it is."""


def detect(
    model: HubModel, device: str, frame: Frames, phrases: Sequence[str], unsure: float, sure: float
) -> list[Detection]:
    """Return the boxes of the things that phrases name, the surest first, each with a score of at least `unsure`.

    Args:
        model: the detector.
        device: where it runs.
        frame: uint8 [H, W, 3] RGB.
        phrases: names of things, which become the labels.
        unsure: least score.
        sure: score from which on a box is the thing.

    Raises:
        AbsentModelError, ConfigError: the detector can't be loaded, or a phrase is too long for it.

    """
    if not phrases:
        return []
    kind = KINDS[model.kind]
    loaded = load(model, kind.network, kind.processor, device)
    boxes, scores = (_owl if model.kind == "owlv2" else _grounded)(loaded, frame, phrases)
    return selected(boxes, scores, phrases, frame.shape[:2], unsure, sure)


def selected(
    boxes: Floats, scores: Floats, phrases: Sequence[str], size: tuple[int, ...], unsure: float, sure: float
) -> list[Detection]:
    """Return the detections among boxes [n, 4] in pixels with scores [n, P]: inside the frame, one per object and thing.

    Where two things are both sure of one object, each is as sure as its lead over the other: no more than unsure.
    """
    height, width = size
    found: list[Detection] = []
    for k, phrase in enumerate(phrases):
        kept: list[Detection] = []
        for i in np.argsort(-scores[:, k], kind="stable"):
            if not scores[i, k] >= unsure:
                break
            x0, y0, x1, y1 = (float(v) for v in boxes[i])
            box = (max(x0, 0.0), max(y0, 0.0), min(x1, width - 1.0), min(y1, height - 1.0))
            if box[2] > box[0] and box[3] > box[1] and all(overlap(box, d.box) < _SAME for d in kept):
                kept.append(Detection(phrase, float(scores[i, k]), box))
        found += kept
    halfway = (unsure + sure) / 2
    contested = [
        d.score >= sure
        and any(o.label != d.label and o.score >= sure and overlap(d.box, o.box) >= _CONTESTED for o in found)
        for d in found
    ]
    found = [replace(d, score=halfway) if c else d for d, c in zip(found, contested, strict=True)]
    return sorted(found, key=lambda d: -d.score)


def overlap(a: Box | Floats, b: Box | Floats) -> float:
    """Return the intersection over union of two boxes x0, y0, x1, y1; 0 where one has NaN."""
    return float(box_iou(np.asarray(a), np.asarray(b))[0, 0])


def corners(centred: Floats, scale: tuple[float, float]) -> Floats:
    """Return boxes [n, 4] as x0, y0, x1, y1 of ones as centre and size in shares of `scale`, width and height in pixels."""
    middle, half = centred[:, :2], centred[:, 2:] / 2
    return np.asarray(np.concatenate([middle - half, middle + half], axis=1) * np.tile(scale, 2))


def _grounded(loaded: Loaded, frame: Frames, phrases: Sequence[str]) -> tuple[Floats, Floats]:
    """Return boxes [n, 4] and scores [n, P]: the mean over the words of a phrase, so that a blue ball is no red one."""
    import torch

    text = " ".join(f"{phrase}." for phrase in phrases)
    inputs = loaded.processor(images=frame, text=text, return_tensors="pt").to(loaded.device)
    spans = phrase_spans(inputs["input_ids"][0].tolist(), loaded.processor.tokenizer)
    limit = int(loaded.network.config.max_text_len)
    if len(spans) != len(phrases) or any(span[-1] >= limit for span in spans):
        raise ConfigError(
            f"{OPTION}: the words {', '.join(phrases)} are no {len(phrases)} phrases of at most {limit} tokens to it"
        )
    with torch.inference_mode():
        out = loaded.network(**inputs)
    token = torch.sigmoid(out.logits[0]).double().cpu().numpy()  # (n, 256)
    scores = np.stack([token[:, span].mean(axis=1) for span in spans], axis=1)
    height, width = frame.shape[:2]
    return corners(out.pred_boxes[0].double().cpu().numpy(), (width, height)), scores


def phrase_spans(ids: Sequence[int], tokenizer: Any) -> list[list[int]]:
    """Return the positions of the tokens of each phrase of a text whose phrases end with a full stop."""
    stop, special = tokenizer.convert_tokens_to_ids("."), set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    spans: list[list[int]] = [[]]
    for position, token in enumerate(ids):
        if token == stop:
            spans.append([])
        elif token not in special:
            spans[-1].append(position)
    return [span for span in spans if span]


def _owl(loaded: Loaded, frame: Frames, phrases: Sequence[str]) -> tuple[Floats, Floats]:
    """Return boxes [n, 4] and scores [n, P]."""
    import torch

    texts = [f"a photo of a {phrase}" for phrase in phrases]
    inputs = loaded.processor(text=[texts], images=frame, return_tensors="pt").to(loaded.device)
    limit = int(loaded.network.config.text_config.max_position_embeddings)
    if inputs["input_ids"].shape[1] > limit:
        raise ConfigError(f"{OPTION}: the words {', '.join(phrases)} are too long for it: it takes {limit} tokens")
    with torch.inference_mode():
        out = loaded.network(**inputs)
    scores = torch.sigmoid(out.logits[0]).double().cpu().numpy()  # (n, P)
    height, width = frame.shape[:2]
    # Frames are padded to a square at the right and below before they are scaled.
    padded = bool(loaded.processor.image_processor.do_pad)
    scale = (max(height, width),) * 2 if padded else (width, height)
    return corners(out.pred_boxes[0].double().cpu().numpy(), scale), scores
