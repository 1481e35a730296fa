"""Write cases as files, for a model that runs elsewhere; its videos come back through `generator.folder`."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

from tqdm import tqdm

from sora_eval.errors import ConfigError
from sora_eval.files import replacing
from sora_eval.stats.samples import per_prompt
from sora_eval.types import Case, Frames, Video
from sora_eval.video import write_ffv1, write_h264, write_png

PROMPT_COLUMNS = ("case_id", "prompt", "mode", "height", "width", "fps", "frames", "seed", "given", "conditioning")

_README = """\
1. Make one video per row of prompts.csv: that many frames, at that size (pixels), rate (fps) and seed.
2. `conditioning` is the first frame (.png) or the first `given` frames (.mkv, lossless; an .mp4 lies beside it).
3. Save each video as videos/<case_id>.mp4, or put its path below this folder into manifest.csv.
   For a case with given frames the video begins with them: a model that returns only the continuation needs them put in front.
4. Leave out the row of a video that can't be made: it is counted as failed, and the others are scored.
5. Give this folder to sora-eval as the generator `folder`; nothing in it will be changed.
"""
_SAMPLES = "6. Rows that differ in `sample` and `seed` alone ask for several videos of one prompt; further case_ids end in .s1, .s2, ...\n"


def export_cases(
    cases: Sequence[Case], folder: Path, conditioning: Callable[[Case], Frames | None], progress: bool = False
) -> Path:
    """Write all that somebody needs to answer the cases with a model of their own.

    - `prompts.csv`: a row per case, columns `PROMPT_COLUMNS`; `conditioning` is a path in the folder, or empty. With several samples per
      prompt there is also `sample`, and a row for each.
    - `conditioning/<case_id>.png` (one frame) or `.mkv` without loss and `.mp4` (several frames).
    - `manifest.csv`: case_id and `videos/<case_id>.mp4`, and `sample` where there are several.
      One that is already there is kept: it may be filled in.
    - `cases.jsonl`: the cases themselves; `generator.folder` refuses to score the videos against other ones.
    - `README.txt`: how to go on.

    The same cases give the same bytes. Every file is written whole or not at all, `prompts.csv` last.

    Args:
        cases: to be generated; ids are unique.
        folder: where to write; it is made.
        conditioning: gives a case's frames uint8 [k, H, W, 3], None for a case without.
        progress: whether to show a bar.

    Returns:
        The folder.

    Raises:
        ConfigError: an id is there twice or is no file name, or a case's frames aren't as many as its `given`.
        VideoError: a picture or clip can't be written.

    """
    folder = Path(folder)
    _check_ids(cases)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    prompts: list[tuple[object, ...]] = []
    several = per_prompt(cases) > 1
    shown: dict[str, str] = {}
    for case in tqdm(cases, unit="case", disable=not progress):
        # All samples of a prompt begin with the same frames.
        if case.prompt_id not in shown:
            shown[case.prompt_id] = _write_conditioning(case, folder, conditioning(case) if case.given else None)
        given, (height, width) = shown[case.prompt_id], case.size
        row = (case.id, case.prompt, case.mode, height, width, case.fps, case.frames, case.seed, case.given, given)
        prompts.append((*row, case.sample) if several else row)
    write_cases(folder, cases)
    _write(folder / "README.txt", _README + _SAMPLES * several)
    if not (folder / "manifest.csv").exists():
        _write(folder / "manifest.csv", _table(manifest_row(None, several), [manifest_row(c, several) for c in cases]))
    _write(folder / "prompts.csv", _table((*PROMPT_COLUMNS, "sample") if several else PROMPT_COLUMNS, prompts))
    return folder


def manifest_row(case: Case | None, several: bool) -> tuple[str, ...]:
    """Return a case's row of manifest.csv, None for the header; several: whether there are several samples per prompt."""
    if case is None:
        return ("case_id", "path", "sample") if several else ("case_id", "path")
    row = (case.id, f"videos/{case.id}.mp4")
    return (*row, str(case.sample)) if several else row


def write_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Write cases.jsonl: the cases that the videos in a folder were made for."""
    lines = (json.dumps(case.to_json(), sort_keys=True, ensure_ascii=False) for case in cases)
    _write(folder / "cases.jsonl", "".join(f"{line}\n" for line in lines))


def _check_ids(cases: Sequence[Case]) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise ConfigError(f"case '{case.id}' is there twice")
        if not re.fullmatch(r"\w[\w.+-]*", case.id):
            raise ConfigError(f"case '{case.id}': the id is no file name; use letters, digits, and . _ + -")
        seen.add(case.id)


def _write_conditioning(case: Case, folder: Path, frames: Frames | None) -> str:
    """Write the frames and return their path relative to the folder, "" without frames."""
    count = 0 if frames is None else len(frames)
    if count != case.given:
        raise ConfigError(f"case '{case.id}': {case.given} frames are given, the conditioning has {count}")
    if frames is None:
        return ""
    place = f"conditioning/{case.id}"
    # Not `with_suffix`: an id has dots of its own.
    if count == 1:
        write_png(folder / f"{place}.png", frames[0])
        return f"{place}.png"
    write_ffv1(folder / f"{place}.mkv", Video(frames, case.fps))
    write_h264(folder / f"{place}.mp4", Video(frames, case.fps), crf=4)
    return f"{place}.mkv"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
