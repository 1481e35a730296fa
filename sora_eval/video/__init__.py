"""Video files: what touches a codec is in this room."""

from sora_eval.video.codec import (
    FALLBACK_FPS,
    Limits,
    compress,
    encode_h264,
    encode_png,
    probe,
    read_video,
    resample,
    resize,
    save_gif,
    write_ffv1,
    write_h264,
    write_h264_pieces,
    write_png,
)

__all__ = [
    "FALLBACK_FPS",
    "Limits",
    "compress",
    "encode_h264",
    "encode_png",
    "probe",
    "read_video",
    "resample",
    "resize",
    "save_gif",
    "write_ffv1",
    "write_h264",
    "write_h264_pieces",
    "write_png",
]
