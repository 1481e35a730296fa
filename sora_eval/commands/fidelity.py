"""`sora-eval fidelity`: fidelity metrics of a folder of videos against a folder of real ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sora_eval.encoders import weights
from sora_eval.errors import ConfigError
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.of_folders import list_folders, of_folders
from sora_eval.fidelity.options import METRICS
from sora_eval.files import write_json, write_text
from sora_eval.reporting.report.fidelity import table


def main(args: Sequence[str]) -> int:
    """Print the measures, with `--out` write them too, and return 1 where one failed or a prompt could not be used."""
    options = _parser().parse_args(args)
    if wrong := [part for part in options.weights if "=" not in part]:
        raise ConfigError(f"--weights {wrong[0]}: write NAME=FILE")
    weights.use(dict(part.split("=", 1) for part in options.weights))
    config = FidelityConfig(
        tuple(options.metrics.split(",")) if options.metrics else METRICS,
        options.video_encoder,
        options.text_image_encoder,
        options.image_distance,
        options.pair_frames or None,
        options.pair_size or None,
        i3d_eps=options.i3d_eps,
    )
    folders = list_folders(options.real, options.fake, options.prompts)
    # Before the clips are read, which may take minutes.
    for note in folders.notes:
        print(f"note: {note}", file=sys.stderr)
    for problem in folders.prompts.problems:
        print(f"problem: {problem}", file=sys.stderr)
    rows = of_folders(folders, config)
    text = table(rows)
    print(text)
    if options.out is not None:
        record = {
            "rows": [asdict(r) for r in rows],
            "problems": list(folders.prompts.problems),
            "notes": list(folders.notes),
        }
        write_json(options.out / "fidelity.json", record)
        write_text(options.out / "fidelity.md", text + "\n")
    # A metric that was set must not be missing in silence; that few clips have no interval is no fault of theirs.
    return 1 if any(r.failed for r in rows) or folders.prompts.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sora-eval fidelity",
        description="Fidelity metrics of a folder of videos against a folder of real ones. Links to files are followed; hidden files and "
        "subfolders are left out.",
    )
    parser.add_argument("real", type=Path, help="folder of real videos")
    parser.add_argument(
        "fake", type=Path, help="folder of generated videos; one of the name of a real one is compared with it"
    )
    parser.add_argument("--metrics", help=f"of {','.join(METRICS)}; all by default")
    parser.add_argument(
        "--video-encoder",
        default=FidelityConfig.video_encoder,
        metavar="NAME",
        help="encoder of clips: world-video, i3d, videomae, vjepa (world-video)",
    )
    parser.add_argument(
        "--text-image-encoder",
        default=FidelityConfig.text_image_encoder,
        metavar="NAME",
        help="encoder of prompts and frames: world-clip, clip-b-32, clip-l-14 (world-clip)",
    )
    parser.add_argument(
        "--image-distance",
        default=FidelityConfig.image_distance,
        metavar="NAME",
        help="perceptual distance of frames: lpips-world, lpips-alex, lpips-vgg, lpips-squeeze (lpips-world)",
    )
    parser.add_argument(
        "--weights", action="append", default=[], metavar="NAME=FILE", help="file of an encoder's weights; repeatable"
    )
    parser.add_argument(
        "--pair-frames",
        type=int,
        default=FidelityConfig.pair_frames,
        metavar="N",
        help=f"frames of a clip, evenly spaced, that are compared with the real clip of its name ({FidelityConfig.pair_frames}); 0 for all",
    )
    parser.add_argument(
        "--pair-size",
        type=int,
        default=FidelityConfig.pair_size,
        metavar="PIXELS",
        help="shorter side to which larger clips are reduced for that (256); 0 for full size",
    )
    parser.add_argument(
        "--i3d-eps",
        type=float,
        default=FidelityConfig.i3d_eps,
        metavar="EPS",
        help="epsilon of I3D's batch norm: 1e-3 (TensorFlow) or 1e-5 (PyTorch's default)",
    )
    parser.add_argument(
        "--prompts", type=Path, metavar="CSV", help="columns name and prompt, or the prompts.csv of sora-eval cases"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write fidelity.json and fidelity.md")
    return parser
