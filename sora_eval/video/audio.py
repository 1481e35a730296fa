"""The audio track of a video file: read where it is asked for, and written beside frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame

from sora_eval.errors import MachineError, VideoError, is_of_machine
from sora_eval.types import Audio, Video
from sora_eval.video.codec import _configure, _frame, _rate
from sora_eval.video.decoding import opened
from sora_eval.video.display import reformat
from sora_eval.video.limits import Limits

_LIMITS = Limits()
RATE = 16_000
"""Samples per second that tracks are read at: what hits something is heard below 8 kHz."""


def read_audio(path: str | Path, limits: Limits = _LIMITS) -> Audio | None:
    """Return the first audio track of a video file as one channel of 16,000 samples per second, None where it has none.

    Times are those of the video: 0 is when its first frame is shown.

    Raises:
        VideoError: one line that names the file: it is missing, no video, its track can't be decoded, or plays for too long.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, opened(file, limits) as (container, video):
            tracks = container.streams.audio
            if not tracks or getattr(tracks[0], "codec_context", None) is None:
                return None
            first = float((video.start_time or 0) * (video.time_base or 0))
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            parts: list[Any] = []
            start: float | None = None
            length = 0
            for frame in container.decode(tracks[0]):
                if start is None:
                    start = float(frame.time or 0.0)
                parts += [made.to_ndarray()[0] for made in resampler.resample(frame)]
                length += frame.samples
                limits.check_seconds(length / max(frame.sample_rate, 1))
            parts += [made.to_ndarray()[0] for made in resampler.resample(None)]
    except (av.FFmpegError, OSError, VideoError) as error:
        kind = MachineError if is_of_machine(error) and not isinstance(error, av.FFmpegError) else VideoError
        raise kind(f"{path}: its audio can't be read: {error}") from error
    if start is None or not parts:
        return None
    return Audio(np.concatenate(parts).astype(np.float32), float(RATE), start - first)


def write_with_audio(path: str | Path, video: Video, audio: Audio) -> None:
    """Write a clip with an audio track as Matroska: FFV1, and PCM of 16 bits, which begins with the first frame."""
    samples = np.asarray(audio.samples, dtype=float)
    shift = round(audio.start_s * audio.rate)
    samples = np.pad(samples, (shift, 0)) if shift >= 0 else samples[-shift:]
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    # FFmpeg would take a name such as 12:30.mkv for a protocol.
    with Path(path).open("wb") as file, av.open(file, mode="w", format="matroska") as container:
        pictures = container.add_stream("ffv1", rate=_rate(video.fps))
        _configure(pictures, video.size[1], video.size[0], "bgr0")
        sound = container.add_stream("pcm_s16le", rate=int(audio.rate), layout="mono")
        for image in video.frames:
            container.mux(pictures.encode(reformat(_frame(image), format="bgr0")))
        container.mux(pictures.encode(None))
        block = AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        block.sample_rate, block.pts = int(audio.rate), 0
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))
