"""Clips as one picture: contact sheets, with and without words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sora_eval.types import Frames
from sora_eval.video import resize

_GAP, _LINE, _FONT = 4, 24, 16


def contact_sheet(clips: Sequence[Frames], columns: int = 8, gap: int = 2) -> Frames:
    """Return one picture with a row per clip, `columns` frames each, evenly spread from first to last.

    A clip shorter than `columns` leaves the rest of its row white. Clips of other sizes are scaled to the first's.

    Args:
        clips: frames uint8 [T, H, W, 3] each.
        columns: pictures per row.
        gap: white pixels between pictures.

    Returns:
        uint8 [rows * (H + gap) - gap, columns * (W + gap) - gap, 3].

    """
    if not clips or columns < 1:
        raise ValueError(f"a contact sheet needs a clip and a column, got {len(clips)} clips, {columns} columns")
    height, width = clips[0].shape[1:3]
    sheet = np.full((len(clips) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for row, clip in enumerate(clips):
        shown = np.unique(np.linspace(0, len(clip) - 1, columns).round().astype(int))
        for column, frame in enumerate(resize(clip[shown], (height, width))):
            y, x = row * (height + gap), column * (width + gap)
            sheet[y : y + height, x : x + width] = frame
    return sheet


def labelled_sheet(rows: Sequence[tuple[str, Frames | None]], columns: int = 9, zoom: int = 2) -> Frames:
    """Return one picture: words and below them `columns` frames of a clip, evenly spread, for every row.

    Args:
        rows: (words, one line or several; frames uint8 [T, H, W, 3] or None where there are only words).
        columns: frames per row.
        zoom: how many times as large, a whole factor, so that every pixel is seen as it is.

    Returns:
        uint8 [H', W', 3].

    """
    texts = [_LINE * (1 + words.count("\n")) for words, _ in rows]
    heights = [t + (0 if f is None else zoom * f.shape[1] + 2 * _GAP) for t, (_, f) in zip(texts, rows, strict=True)]
    width = max((columns * (zoom * f.shape[2] + _GAP) for _, f in rows if f is not None), default=_GAP)
    sheet = Image.new("RGB", (width, sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    y = 0
    for (words, frames), text, height in zip(rows, texts, heights, strict=True):
        draw.text((2, y + 2), words, "black", ImageFont.load_default(_FONT), spacing=_LINE - _FONT)
        if frames is not None:
            for k, i in enumerate(np.linspace(0, len(frames) - 1, columns).round().astype(int)):
                large = frames[i].repeat(zoom, axis=0).repeat(zoom, axis=1)
                sheet.paste(Image.fromarray(large), (k * (large.shape[1] + _GAP), y + text))
        y += height
    return np.asarray(sheet)
