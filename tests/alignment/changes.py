"""Changes of a clip's geometry, as models and their pipelines make them."""

import cv2
import numpy as np

from sora_eval.types import Video


def _resized(frames, size):
    height, width = size
    how = cv2.INTER_AREA if height <= frames.shape[1] and width <= frames.shape[2] else cv2.INTER_CUBIC
    return np.array([cv2.resize(f, (width, height), interpolation=how) for f in frames])


def crop(video, share=0.1, at=(0.5, 0.5)):
    """Cut a share of the longer side off."""
    _, height, width, _ = video.frames.shape
    h, w = (height, round(width * (1 - share))) if width >= height else (round(height * (1 - share)), width)
    y, x = round((height - h) * at[1]), round((width - w) * at[0])
    return Video(video.frames[:, y : y + h, x : x + w], video.fps)


def pad(video, share=0.12, colour=(90, 60, 30)):
    """Add a border of a colour on all sides."""
    _, height, width, _ = video.frames.shape
    y, x = round(share * height), round(share * width)
    out = np.empty((len(video), height + 2 * y, width + 2 * x, 3), np.uint8)
    out[:] = colour
    out[:, y : y + height, x : x + width] = video.frames
    return Video(out, video.fps)


def letterbox(video, size):
    """Fit the clip into another size (height, width), with black bars."""
    _, height, width, _ = video.frames.shape
    scale = min(size[0] / height, size[1] / width)
    h, w = round(height * scale), round(width * scale)
    out = np.zeros((len(video), *size, 3), np.uint8)
    y, x = (size[0] - h) // 2, (size[1] - w) // 2
    out[:, y : y + h, x : x + w] = _resized(video.frames, (h, w))
    return Video(out, video.fps)


def shift(video, share=0.04):
    """Move the picture to the right and down; what comes in repeats the border."""
    _, height, width, _ = video.frames.shape
    move = np.array([[1, 0, share * width], [0, 1, share * height]])
    frames = [cv2.warpAffine(f, move, (width, height), borderMode=cv2.BORDER_REPLICATE) for f in video.frames]
    return Video(np.array(frames), video.fps)


def zoom(video, factor=1.1):
    """Enlarge the middle to the clip's size."""
    _, height, width, _ = video.frames.shape
    move = np.array([[factor, 0, (1 - factor) * (width - 1) / 2], [0, factor, (1 - factor) * (height - 1) / 2]])
    frames = [cv2.warpAffine(f, move, (width, height), flags=cv2.INTER_CUBIC) for f in video.frames]
    return Video(np.array(frames), video.fps)


def stretch(video, factor=1.2):
    """Resize to another aspect ratio."""
    _, height, width, _ = video.frames.shape
    return Video(_resized(video.frames, (height, round(width * factor))), video.fps)


def other_aspect(size):
    """Return a size of about as many pixels whose aspect ratio is another one, by a third."""
    height, width = size
    return (round(height * 4 / 3), width) if width >= height else (height, round(width * 4 / 3))


CHANGES = {
    "none": lambda v: v,
    "crop": crop,
    "pad": pad,
    "letterbox": lambda v: letterbox(v, other_aspect(v.size)),
    "shift": shift,
    "zoom": zoom,
    "resize": stretch,
}
ASPECTS = {"16:9": (64, 112), "9:16": (112, 64), "1:1": (64, 64), "4:3": (72, 96)}
