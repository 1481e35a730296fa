"""What flows through sora-eval: videos, cameras, tracks, cases and scores.

Everything here is frozen. Arrays are NumPy; time comes before height and width, channels come last; `xy` is in
pixels, x to the right and y down, with (0, 0) the centre of the top-left pixel.
"""

from sora_eval.types.cases import ALL_MODES, MODES, Case, Mode, Profile, first_sample
from sora_eval.types.clips import Alignment, AlignmentKind, Audio, Bools, Box, Camera, Floats, Frames, Video, Window
from sora_eval.types.scores import Failure, FailureKind, Measure, Score, ScoreRow
from sora_eval.types.tracks import Finding, Tracks
from sora_eval.types.values import check_name, check_part, digest, plain

__all__ = [
    "ALL_MODES",
    "MODES",
    "Alignment",
    "AlignmentKind",
    "Audio",
    "Bools",
    "Box",
    "Camera",
    "Case",
    "Failure",
    "FailureKind",
    "Finding",
    "Floats",
    "Frames",
    "Measure",
    "Mode",
    "Profile",
    "Score",
    "ScoreRow",
    "Tracks",
    "Video",
    "Window",
    "check_name",
    "check_part",
    "digest",
    "first_sample",
    "plain",
]
