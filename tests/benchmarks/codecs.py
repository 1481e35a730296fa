"""What a stored clip costs, by codec: CPU seconds to write and to read it and its size. `python -m benchmarks.codecs` prints the tables.

The codecs are those that PyAV's FFmpeg encodes RGB with without loss, and H.264 4:4:4 with loss. Clips: the simulated world as it is, and
with sensor noise, which is what codecs find hardest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from sora_eval.types import Frames
from sora_eval.video.decoding import decode
from sora_eval.video.display import SCALER, reformat
from sora_eval.video.limits import Limits
from sora_eval.world import clip
from sora_eval.world.families import family

SIZES = ((64, 64, 16), (480, 832, 81))
NOISE = 3.0
"""Standard deviation of the noise, in grey levels: what a camera has in dim light, or a model that imitates one."""


@dataclass(frozen=True)
class Codec:
    """An encoder with its options."""

    label: str
    """Its row's name."""
    name: str
    """FFmpeg's name."""
    pixels: str
    """FFmpeg's pixel format."""
    options: Mapping[str, str] = field(default_factory=dict)
    """FFmpeg's options."""
    interval: int = 1
    """Frames from one key frame to the next."""
    threads: int = 1
    """Threads of encoder and decoder."""


_FFV1 = {"level": "3", "slicecrc": "1", "slices": "4"}
_X264 = {"preset": "ultrafast", "qp": "0"}
_VISUAL = {"preset": "veryfast", "x264-params": "mbtree=0:psy=0:aq-mode=0"}
CODECS = (
    Codec("**H.264 RGB, lossless, ultrafast**", "libx264rgb", "bgr24", _X264, 250),
    Codec("H.264 RGB, lossless, superfast", "libx264rgb", "bgr24", {**_X264, "preset": "superfast"}, 250),
    Codec("FFV1, key frames only", "ffv1", "bgr0", _FFV1),
    Codec("FFV1, key frame every 16", "ffv1", "bgr0", _FFV1, 16),
    Codec("FFV1, range coder", "ffv1", "bgr0", {**_FFV1, "coder": "1"}),
    Codec("FFV1, 2 threads", "ffv1", "bgr0", _FFV1, 1, 2),
    Codec("UT Video", "utvideo", "gbrp"),
    Codec("HuffYUV", "ffvhuff", "gbrp"),
    Codec("MagicYUV", "magicyuv", "gbrp"),
    Codec("**H.264 4:4:4, crf 10**", "libx264", "yuv444p", {**_VISUAL, "crf": "10"}, 250),
    Codec("H.264 4:4:4, crf 10, x264's tuning", "libx264", "yuv444p", {"preset": "veryfast", "crf": "10"}, 250),
    Codec("H.264 4:4:4, crf 18", "libx264", "yuv444p", {**_VISUAL, "crf": "18"}, 250),
)
"""In bold what run folders hold: `sora_eval.video.write_stored`."""


def clips(size: Sequence[int]) -> dict[str, Frames]:
    """Return clips [T, H, W, 3] by name. size: height, width, frames."""
    height, width, frames = size
    kind = family("pass_behind")
    scene = kind.build(kind.sample(np.random.default_rng(0)), 2.0)
    world = clip(scene, (height, width), frames / 2.0, frames).video.frames
    noise = np.random.default_rng(0).normal(0, NOISE, world.shape).astype(np.float32)
    return {"world": world, "noisy": np.clip(np.rint(world + noise), 0, 255).astype(np.uint8)}


def encode(frames: Frames, codec: Codec) -> bytes:
    """Return a clip as a file: Matroska, or NUT for what Matroska can't hold."""
    file = BytesIO()
    height, width = frames.shape[1:3]
    with av.open(
        file, "w", format="nut" if codec.pixels in ("gbrp", "rgb24") else "matroska", options={"fflags": "bitexact"}
    ) as container:
        options = {**codec.options, **({"slices": "1"} if codec.name == "ffv1" and min(height, width) < 8 else {})}
        stream = container.add_stream(codec.name, rate=16, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, codec.pixels
        context = stream.codec_context
        context.thread_count, context.gop_size = codec.threads, codec.interval
        if codec.pixels == "yuv444p":
            context.colorspace, context.color_range = 1, ColorRange.MPEG
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if codec.pixels == "yuv444p":
                to = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
                frame = reformat(frame, format="yuv444p", interpolation=SCALER, **to)
            else:
                frame = reformat(frame, format=codec.pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def read(data: bytes) -> Frames:
    """Return the frames of an encoded clip, as they are read from a run folder."""
    return decode(BytesIO(data), len(data), Limits())[0]


def least(work: Callable[[], object], repeats: int) -> float:
    """Return the least CPU seconds of several runs; of several threads, all of them."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def table(size: Sequence[int], repeats: int = 3) -> str:
    """Return a Markdown table of all codecs on clips of a size."""
    heads = ("codec", "clip", "write, s", "read, s", "MB", "of the frames", "PSNR, dB", "largest error")
    lines = [f"| {' | '.join(heads)} |", "|---|---|--:|--:|--:|--:|--:|--:|"]
    for name, frames in clips(size).items():
        for codec in CODECS:
            written = least(partial(encode, frames, codec), repeats)
            data = encode(frames, codec)
            decoded = least(partial(read, data), repeats)
            off = np.abs(read(data).astype(np.int16) - frames)
            error = float(np.mean(np.square(off, dtype=np.float32)))
            exact = "lossless" if not error else f"{10 * np.log10(255**2 / error):.1f}"
            share = len(data) / frames.nbytes
            cells = (
                f"{written:.3f}",
                f"{decoded:.3f}",
                f"{len(data) / 1e6:.2f}",
                f"{share:.1%}",
                exact,
                str(off.max()),
            )
            lines.append(f"| {codec.label} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    for chosen in SIZES if len(sys.argv) < 2 else [tuple(int(n) for n in sys.argv[1].split("x"))]:
        print(f"\n{chosen[1]} x {chosen[0]} x {chosen[2]}\n")
        print(table(chosen), flush=True)
