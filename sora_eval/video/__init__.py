"""Video files: what touches a codec is in this room."""

from sora_eval.video.codec import (
    FALLBACK_FPS,
    Limits,
    compress,
    encode_h264,
    encode_png,
    frames_at,
    probe,
    read_video,
    resample,
    resize,
    resized,
    save_gif,
    write_ffv1,
    write_h264,
    write_h264_pieces,
    write_png,
    write_stored,
)
from sora_eval.video.options import VideoOptions
from sora_eval.video.sources import Source, clip_size, read_clip

__all__ = [
    "FALLBACK_FPS",
    "Limits",
    "Source",
    "VideoOptions",
    "clip_size",
    "compress",
    "encode_h264",
    "encode_png",
    "frames_at",
    "probe",
    "read_clip",
    "read_video",
    "resample",
    "resize",
    "resized",
    "save_gif",
    "write_ffv1",
    "write_h264",
    "write_h264_pieces",
    "write_png",
    "write_stored",
]
