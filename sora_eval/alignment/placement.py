"""The fit: where one image lies in another, up to two scales and a shift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from sora_eval.types import Bools, Box, Floats, Frames

_WORK_SIDE = 96
"""Shorter side in pixels to which images are reduced for the fit: a hundredth of it is seen, and a fit takes 0.1 s."""
_BLUR_PX = 1.0
"""Standard deviation of the blur of both images in pixels of the working size."""
_ZOOMS = (1.0, 1.06, 1.12, 1.2, 1.3, 0.94, 0.88, 0.8)
"""Scales that are tried around those that fill or fit the clip."""
_TEMPLATE = 0.7
"""Share of the sides that both images have in common of which the search for a shift takes a template."""
_REACH = 0.2
"""Share of the sides by which a shift may lead out of the clip."""
_REFINED = 3
"""Best places of the search that are refined."""
_EXACT, _CLEAR = 1e-3, 0.01
"""Residual up to which a suggested place needs no search, and a refined one no other beside it."""
_LEAST_OVERLAP = 0.3
"""Share of the given frame that must lie in the clip."""
_DETAIL = 0.3
"""Grey levels (standard deviation less each row's mean) below which an image shows nothing that could be aligned."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Placement:
    """Where the given frame lies in a clip's frame."""

    box: Box
    """Where its edges are: x0, y0, x1, y1 in pixels of the clip's frame; partly outside where the clip shows a part of it."""
    residual: float
    """1 less the correlation of what both show; each row's mean is subtracted, for floor and sky would correlate any two scenes."""


class Pair:
    """A given frame and the frame that came back, at working size."""

    def __init__(self, given: Frames, made: Frames) -> None:
        """Take two images uint8 [H, W, 3] of any sizes."""
        self.given_size, self.made_size = given.shape[:2], made.shape[:2]
        self._given, self._made = _small(given), _small(made)
        height, width = self._given.shape[:2]
        self._y, self._x = (a.astype(np.float32) for a in np.mgrid[:height, :width])

    @property
    def blank(self) -> bool:
        """Whether the given frame shows nothing that could be aligned."""
        return float(_detail(self._given).std()) < _DETAIL

    def residual(self, box: Box) -> float:
        """Return the residual of a place (`Placement.residual`), 1 where both have less in common than a fit needs."""
        shown, inside = self._shown(self._scaled(np.array(box)))
        if inside.mean() < _LEAST_OVERLAP:
            return 1.0
        given, shown = (_blurred(image) for image in (self._given, shown))
        return 1.0 - _correlation(_detail(given, inside), _detail(shown, inside), inside)

    def best(self, boxes: Iterable[Box]) -> Placement | None:
        """Return the best place near those that are suggested, None where none is better than chance.

        boxes: where the given frame may lie in the clip: exactly, up to a shift, or up to a zoom and a shift.
        """
        rough = [self._rated(box) for box in boxes]
        exact = min(rough, key=lambda p: p.residual, default=None)
        if exact is None or exact.residual <= _EXACT:
            return exact
        searched = [self._rated(box) for p in rough for box in self._searched(p.box)]
        fits: list[Placement] = []
        for place in _apart([*rough, *searched], 0.01 * min(self.made_size))[:_REFINED]:
            fits.append(self.refined(place.box))
            if fits[-1].residual <= _CLEAR:
                break
        return min(fits, key=lambda p: p.residual)

    def refined(self, box: Box) -> Placement:
        """Return the best place around a box: one scale and a shift, or two scales where these fit much better."""
        start = self._rated(box)
        one, two = (self._rated(self._fitted(box, isotropic)) for isotropic in (True, False))
        best = two if two.residual < 0.8 * one.residual - 0.002 else one
        return best if best.residual <= start.residual else start

    def _rated(self, box: Box) -> Placement:
        return Placement(box, self.residual(box))

    def _scaled(self, box: Floats) -> Floats:
        height, width = self._made.shape[:2]
        return np.asarray(box * np.tile([width / self.made_size[1], height / self.made_size[0]], 2))

    def _shown(self, box: Floats) -> tuple[Image, Bools]:
        """Return the clip's pixels at those of the given frame [h, w, 3] where that lies in a box of the working image, and
        which are inside.
        """
        (height, width), (h, w) = self._made.shape[:2], self._given.shape[:2]
        x0, y0, x1, y1 = box
        x = ((self._x + 0.5) * ((x1 - x0) / w) + x0 - 0.5).astype(np.float32)
        y = ((self._y + 0.5) * ((y1 - y0) / h) + y0 - 0.5).astype(np.float32)
        inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
        shown = cv2.remap(self._made, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(shown, np.float32), np.asarray(inside)

    def _fitted(self, box: Box, isotropic: bool) -> Box:
        """Return the place at which robust differences are least (`scipy.optimize.least_squares`), brightness and contrast aside."""
        start = self._scaled(np.array(box))
        size = np.array([start[2] - start[0], start[3] - start[1]])
        inside = self._shown(start)[1]
        if inside.mean() < _LEAST_OVERLAP:
            return box
        weight = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
        given = _normal(self._given, weight)

        def moved(p: Floats) -> Floats:
            # Shifts and logarithms of scales about the middle, in shares of the size, about 1: steps are relative to the variables.
            q = p - 1
            grown = size * np.exp([q[2], q[2] if isotropic else q[3]])
            middle = (start[:2] + start[2:]) / 2 + q[:2] * size
            return np.concatenate([middle - grown / 2, middle + grown / 2])

        def difference(p: Floats) -> Floats:
            return np.asarray((_normal(self._shown(moved(p))[0], weight) - given).ravel(), np.float64)

        # Steps of a tenth of a pixel: less is lost in the interpolation.
        n = 3 if isotropic else 4
        found: Any = least_squares(
            difference, np.ones(n), loss="soft_l1", f_scale=0.3, diff_step=[1e-3] * n, x_scale=0.01, bounds=(0.88, 1.12),
            max_nfev=20, xtol=1e-5, ftol=1e-5,
        )  # fmt: skip
        fitted = moved(found.x) / np.tile(
            [self._made.shape[1] / self.made_size[1], self._made.shape[0] / self.made_size[0]], 2
        )
        x0, y0, x1, y1 = (float(v) for v in fitted)
        return x0, y0, x1, y1

    def _searched(self, box: Box) -> Iterator[Box]:
        """Yield the best shifts of zooms of a box, by normalised cross-correlation of a template from its middle."""
        x0, y0, x1, y1 = self._scaled(np.array(box))
        height, width = self._made.shape[:2]
        for zoom in _ZOOMS:
            w, h = (x1 - x0) * zoom, (y1 - y0) * zoom
            scaled = cv2.resize(self._given, (max(8, round(w)), max(8, round(h))), interpolation=cv2.INTER_AREA)
            sides = [max(6, int(_TEMPLATE * min(a, b))) for a, b in zip(scaled.shape[:2], (height, width), strict=True)]
            top, left = ((a - b) // 2 for a, b in zip(scaled.shape[:2], sides, strict=True))
            template = scaled[top : top + sides[0], left : left + sides[1]]
            pad = round(_REACH * min(height, width))
            field = cv2.copyMakeBorder(self._made, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
            if template.std() < 1 or sides[0] > field.shape[0] or sides[1] > field.shape[1]:
                continue
            _, _, _, (u, v) = cv2.minMaxLoc(cv2.matchTemplate(field, template, cv2.TM_CCOEFF_NORMED))
            corner = np.array([u - pad - left, v - pad - top], dtype=float)
            ends = np.concatenate([corner, corner + scaled.shape[1::-1]])
            a, b, c, d = ends / np.tile([width / self.made_size[1], height / self.made_size[0]], 2)
            yield float(a), float(b), float(c), float(d)


def suggested(size: tuple[int, int], content: Box) -> Iterator[Box]:
    """Yield where a frame of `size` (height, width) may lie in a box: over all of it, fitted into it, or filling it, in the middle or at a
    side.
    """
    x0, y0, x1, y1 = content
    yield content
    width, height = x1 - x0, y1 - y0
    scales = sorted({width / size[1], height / size[0]})
    if scales[-1] / scales[0] < 1.01:
        return
    for scale in scales:
        w, h = size[1] * scale, size[0] * scale
        ways = product(
            (0.5,) if abs(w - width) < 1 else (0.5, 0.0, 1.0), (0.5,) if abs(h - height) < 1 else (0.5, 0.0, 1.0)
        )
        for across, down in ways:
            left, top = x0 + across * (width - w), y0 + down * (height - h)
            yield left, top, left + w, top + h


def _apart(places: Sequence[Placement], gap: float) -> list[Placement]:
    """Return places, the best first, without those that lie within `gap` pixels of a better one."""
    kept: list[Placement] = []
    for place in sorted(places, key=lambda p: p.residual):
        if all(np.abs(np.subtract(place.box, k.box)).max() > gap for k in kept):
            kept.append(place)
    return kept


def _small(image: Frames) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, _WORK_SIDE / min(height, width))
    if scale < 1:
        image = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA).astype(
            np.uint8
        )
    return np.asarray(image, np.float32)


def _blurred(image: Image) -> Image:
    """Return an image without what a resampling by a fraction of a pixel takes away: that is no difference of place."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR_PX), np.float32)


def _detail(image: Image, inside: Bools | None = None) -> Image:
    """Return an image [h, w, 3] less each row's mean over the pixels inside."""
    weight = np.ones(image.shape[:2]) if inside is None else inside.astype(float)
    share = np.maximum(weight.sum(axis=1), 1.0)
    return np.asarray(image - ((image * weight[..., None]).sum(axis=1) / share[:, None])[:, None], np.float32)


def _normal(image: Image, weight: Bools) -> Image:
    """Return an image [h, w, 3] with mean 0 and deviation 1 in each channel over the pixels of `weight`, 0 elsewhere."""
    pixels = image[weight]
    return np.asarray(
        np.where(weight[..., None], (image - pixels.mean(axis=0)) / (pixels.std(axis=0) + 1.0), 0), np.float32
    )


def _correlation(a: Image, b: Image, inside: Bools) -> float:
    x, y = a[inside].ravel().astype(float), b[inside].ravel().astype(float)
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 1e-6 else float(np.allclose(x, y, atol=2))
