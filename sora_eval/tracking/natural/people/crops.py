"""Turned squares of a frame, which networks get upright, and the way of points back into the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats, Frames


@dataclass(frozen=True)
class Square:
    """A square of a frame."""

    x: float
    """Its middle, pixels."""
    y: float
    """Its middle, pixels."""
    side: float
    """Pixels."""
    angle: float = 0.0
    """How far it is turned clockwise, as the viewer sees it, radians."""

    def to_frame(self, points: Floats) -> Floats:
        """Return the place in the frame [n, 2], pixels, of points [n, 2] given as shares of the square, 0 to 1."""
        return self._middle() + (np.asarray(points, float) - 0.5) * self.side @ self._turn().T

    def from_frame(self, points: Floats) -> Floats:
        """Return points of the frame [n, 2], pixels, as shares of the square."""
        return (np.asarray(points, float) - self._middle()) @ self._turn() / self.side + 0.5

    def cut(self, frame: Frames, size: int) -> NDArray[np.float32]:
        """Return the square, upright, float32 [size, size, 3] from 0 to 1; black outside of the frame. frame: uint8 [H, W, 3]."""
        corners = self.to_frame(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).astype(np.float32)
        target = np.array([[0, 0], [size, 0], [0, size]], dtype=np.float32)
        # Places are of the pixels' corners here and of their middles in OpenCV.
        matrix = cv2.getAffineTransform(corners - 0.5, target - 0.5)
        # Without this every n-th pixel alone would be read.
        shrink = self.side / size
        if shrink > 2:
            frame = np.asarray(cv2.blur(frame, (int(shrink), int(shrink))), dtype=np.uint8)
        square = cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR)
        return np.asarray(square.astype(np.float32) / 255, dtype=np.float32)

    def _middle(self) -> Floats:
        return np.array([self.x, self.y])

    def _turn(self) -> Floats:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])


def whole(frame: Frames) -> Square:
    """Return the smallest square around a frame."""
    height, width = frame.shape[:2]
    return Square(width / 2, height / 2, float(max(height, width)))


def upright(base: Floats, above: Floats) -> float:
    """Return the angle of the square in which a point [2] lies straight above another one."""
    x, y = above - base
    return float(np.arctan2(x, -y))
