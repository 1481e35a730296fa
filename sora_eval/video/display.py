"""How a decoded frame is shown: colours, shape of pixels, turned and mirrored as the file declares. What ffplay shows is what is judged.

* Transparent pixels are shown over black; grey becomes R = G = B.
* YUV without a colour tag is BT.601, whatever its size: that is what FFmpeg, OpenCV and imageio write by default. Full and limited
  range are as tagged; without a tag, limited.
* Pixels that aren't square are made so by growing the frame's shorter pixel side: nothing that was there is lost.
* The display matrix turns by multiples of 90 degrees and mirrors. Another turn, and HDR (transfer PQ or HLG), is refused: shown without
  tone mapping, its colours would be wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from sora_eval.errors import VideoError
from sora_eval.types import Frames

SCALER = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_HDR = {16: "PQ", 18: "HLG"}  # AVCOL_TRC_SMPTE2084 and AVCOL_TRC_ARIB_STD_B67
_SKEW = 0.05
"""Share of a display matrix off its axes from which on it turns by something else than 90 degrees."""
_LOCAL = threading.local()


def refuse_hdr(transfer: int) -> None:
    """Raise VideoError for a transfer characteristic (ITU-T H.273, table 3) of HDR."""
    if transfer in _HDR:
        raise VideoError(f"HDR ({_HDR[transfer]}) is not supported; convert it to SDR with tone mapping")


def square(size: tuple[int, int], pixel: Fraction | None) -> tuple[int, int]:
    """Return the size (height, width) at which a frame of `size` has square pixels. pixel: width / height of one."""
    height, width = size
    if not pixel or pixel <= 0:
        return size
    return (height, round(width * pixel)) if pixel >= 1 else (round(height / pixel), width)


def shown(frame: VideoFrame, pixel: Fraction | None = None) -> Frames:
    """Return a decoded frame as it is shown, uint8 [H, W, 3].

    Raises:
        VideoError: it is HDR, or turned by something else than multiples of 90 degrees.

    """
    # Older versions of PyAV know it of the stream only.
    refuse_hdr(int(getattr(frame, "color_trc", 0)))
    alpha = any(component.is_alpha for component in frame.format.components)
    space = Colorspace.ITU601 if frame.colorspace == _UNSPECIFIED else None
    size = square((frame.height, frame.width), pixel)
    grown = {} if size == (frame.height, frame.width) else {"height": size[0], "width": size[1]}
    converted = reformat(
        frame, format="rgba" if alpha else "rgb24", src_colorspace=space, interpolation=SCALER, **grown
    )
    image: Frames = np.asarray(converted.to_ndarray(), dtype=np.uint8)
    if alpha:
        image = over_black(image)
    return _turned(image, frame)


def over_black(image: Frames) -> Frames:
    """Return a picture [..., 4] over black [..., 3]."""
    seen: Frames = ((image[..., :3].astype(np.uint16) * image[..., 3:] + 127) // 255).astype(np.uint8)
    return seen


def reformat(frame: VideoFrame, **options: Any) -> VideoFrame:
    """Convert a frame as VideoFrame.reformat does, on one thread."""
    # A frame's own reformat() builds a scaler with threads for every frame: 2 to 5 ms instead of 0.1 ms.
    if not hasattr(_LOCAL, "reformatter"):
        _LOCAL.reformatter = VideoReformatter()
    converted: VideoFrame = _LOCAL.reformatter.reformat(frame, threads=1, **options)
    return converted


def resize(frames: Frames, size: tuple[int, int]) -> Frames:
    """Return the frames at another size; the aspect ratio is not kept.

    Area averaging when neither side grows (no aliasing), bicubic otherwise.

    Args:
        frames: uint8 [T, H, W, 3].
        size: (height, width) in pixels.

    """
    height, width = size
    if frames.shape[1:3] == (height, width):
        return frames
    shrinks = height <= frames.shape[1] and width <= frames.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    out = np.empty((len(frames), height, width, 3), np.uint8)
    for i, frame in enumerate(frames):
        out[i] = cv2.resize(frame, (width, height), interpolation=how)
    return out


def resized(frames: Frames, chosen: Iterable[int], size: tuple[int, int]) -> Frames:
    """Return the frames of some numbers as `resize` does, [n, height, width, 3]: no copy of them is made at their own size."""
    numbers = list(chosen)
    out = np.empty((len(numbers), *size, 3), np.uint8)
    for k, i in enumerate(numbers):
        out[k] = resize(frames[i : i + 1], size)[0]
    return out


def _turned(image: Frames, frame: VideoFrame) -> Frames:
    """Apply the display matrix: x' = a x + c y, y' = b x + d y (ISO 14496-12, section 6.2.2)."""
    # PyAV's type hints know no keys but strings.
    sides: Any = frame.side_data
    side = sides.get(Type.DISPLAYMATRIX)
    if side is None or side.buffer_size < 36:
        return image
    a, b, _, c, d = np.frombuffer(bytes(side), dtype="=i4")[:5].astype(float)
    straight, crossed = abs(a) + abs(d), abs(b) + abs(c)
    if straight == crossed == 0:
        return image
    if min(straight, crossed) > _SKEW * max(straight, crossed):
        raise VideoError("turned by something else than multiples of 90 degrees, which is not supported")
    if crossed > straight:
        image, across, down = image.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
