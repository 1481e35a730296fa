"""YOLOv3-tiny: boxes of the 80 COCO classes in a frame, by OpenCV's own inference.

Source: Redmon and Farhadi 2018, "YOLOv3: An Incremental Improvement".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from sora_eval.tracking.natural import weights
from sora_eval.types import Box, Frames

CLASSES: tuple[str, ...] = (
    "person",
    "bicycle",
    "car",
    "motorbike",
    "aeroplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "sofa",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv monitor",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)
"""Names of the classes, in the order of the network's outputs."""
LEAST_SCORE = 0.15
"""Boxes below are not even candidates of a link."""
_SIDE = 416
_SAME = 0.45
_ANCHORS = "10,14,23,27,37,58,81,82,135,169,344,319"


@dataclass(frozen=True)
class Detection:
    """An object in a frame."""

    label: str
    """Its class."""
    score: float
    """Probability, 0 to 1."""
    box: Box
    """x0, y0, x1, y1 in pixels of the frame."""


def _architecture() -> str:
    """Return the layers in Darknet's format, in which the published weights are read."""

    def layer(kind: str, **values: object) -> str:
        return "\n".join([f"[{kind}]", *(f"{name}={value}" for name, value in values.items())])

    def convolution(filters: int, kernel: int = 3) -> str:
        norm = {"batch_normalize": 1}
        return layer("convolutional", **norm, filters=filters, size=kernel, stride=1, pad=1, activation="leaky")

    # Boxes of masks 1, 2, 3 are in place, of 0, 1, 2 as in the published file too small by half: it was trained so.
    def heads(mask: str) -> list[str]:
        out = layer("convolutional", filters=255, size=1, stride=1, pad=1, activation="linear")
        return [out, layer("yolo", mask=mask, anchors=_ANCHORS, classes=len(CLASSES), num=6)]

    down = [layer("net", width=_SIDE, height=_SIDE, channels=3)]
    for filters in (16, 32, 64, 128, 256, 512):
        down += [convolution(filters), layer("maxpool", size=2, stride=1 if filters == 512 else 2)]
    coarse = [convolution(1024), convolution(256, 1), convolution(512), *heads("3,4,5")]
    up = [layer("route", layers="-4"), convolution(128, 1), layer("upsample", stride=2), layer("route", layers="-1, 8")]
    return "\n".join([*down, *coarse, *up, convolution(256), *heads("1,2,3"), ""])


@cache
def _network() -> tuple[cv2.dnn.Net, tuple[str, ...]]:
    file = weights.locate(weights.YOLO)
    text = np.frombuffer(_architecture().encode(), dtype=np.uint8)
    network = cv2.dnn.readNetFromDarknet(text, np.fromfile(file, dtype=np.uint8))
    return network, tuple(network.getUnconnectedOutLayersNames())


def detect(frame: Frames) -> list[Detection]:
    """Return the objects in a frame uint8 [H, W, 3] RGB, the surest first.

    The frame is padded to a square with grey, not squeezed.

    Raises:
        AbsentNaturalWeightsError: the weights are not on this machine.
    """
    network, names = _network()
    height, width = frame.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 128, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = frame
    square = cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    network.setInput(cv2.dnn.blobFromImage(square, 1 / 255))
    rows = np.concatenate(list(network.forward(names)))  # [n, 5 + 80]
    scores = rows[:, 5:]
    boxes, sure, kinds = [], [], []
    for i, kind in zip(*np.nonzero(scores > LEAST_SCORE), strict=True):
        x, y, w, h = rows[i, :4] * side
        boxes.append([float(x - w / 2 - left), float(y - h / 2 - top), float(w), float(h)])
        sure.append(float(scores[i, kind]))
        kinds.append(int(kind))
    best = cv2.dnn.NMSBoxesBatched(boxes, sure, kinds, LEAST_SCORE, _SAME) if boxes else []
    kept = np.ravel(best).astype(int).tolist()
    found = []
    for i in kept:
        x, y, w, h = boxes[i]
        x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + w, width - 1.0), min(y + h, height - 1.0)
        if x1 > x0 and y1 > y0:
            found.append(Detection(CLASSES[kinds[i]], sure[i], (x0, y0, x1, y1)))
    return sorted(found, key=lambda d: -d.score)
