"""Write cases as files, for a model that runs elsewhere; its videos come back through `generator.folder`."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sora_eval.errors import ConfigError
from sora_eval.files import read_json, replacing, write_json
from sora_eval.generator.video_manifest import differing_fields, read_cases, read_rows, sample_number, text_of
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.stats.samples import per_prompt, sample_id
from sora_eval.types import MODES, Camera, Case, Frames, Video, digest
from sora_eval.video import write_ffv1, write_h264, write_png
from sora_eval.world import action_scripts, trajectories
from sora_eval.world.action_scripts import ActionScript

PROMPT_COLUMNS = ("case_id", "prompt", "mode", "height", "width", "fps", "frames", "seed", "given", "conditioning")

_README = """\
1. Make one video per row of prompts.csv: that many frames, at that size (pixels), rate (fps) and seed.
2. `conditioning` is the first frame (.png) or the first `given` frames (.mkv, lossless; an .mp4 lies beside it).
3. Save each video as videos/<case_id>.mp4, or put its path below this folder into manifest.csv.
   For a case with given frames the video begins with them: a model that returns only the continuation needs them put in front.
4. Leave out the row of a video that can't be made: it is counted as failed, and the others are scored.
5. Score them: sora-eval run generator=folder generator.path=FOLDER cases=FOLDER/cases.jsonl, where FOLDER is this one.
   Nothing in it will be changed.
"""
_SAMPLES = "6. Rows that differ in `sample` and `seed` alone ask for several videos of one prompt; further case_ids end in .s1, .s2, ...\n"
_MODES = """\
Modes of editing, whose conditioning is a clip of all given frames:
- extend_back: the video ends with the given frames.
- loop: it begins with them, and after its last frame its first one follows without a seam.
- connect: it begins with the first half of the given frames (CASE.first.mp4) and ends with the second (CASE.last.mp4).
- interpolate: it begins with CASE.first.png and ends with CASE.last.png.
- edit: the given frames are a source clip, which is to be changed to what the prompt describes; all else stays as it is.
"""
_CAMERAS = "For a model that takes camera poses or keys: cameras/<case_id>.txt (RealEstate10K) and .json have those of each video.\n"
_ACTIONS = (
    "For a model that is played: actions/<case_id>.json has the action until each frame, as tokens, keys and words.\n"
)


def export_cases(
    cases: Sequence[Case],
    folder: Path,
    conditioning: Callable[[Case], Frames | None],
    version: str = "",
    workers: int = 1,
    progress: bool = False,
    trajectory: Callable[[Case], Camera | None] = lambda case: None,
    actions: Callable[[Case], ActionScript | None] = lambda case: None,
) -> Path:
    """Write all that is needed to generate the videos of cases with a model that runs elsewhere.

    - `prompts.csv`: a row per case, columns `PROMPT_COLUMNS`; `conditioning` is a path in the folder, or empty. With several samples per
      prompt there is also `sample`, and a row for each.
    - `conditioning/<case_id>.png` (one frame) or `.mkv` without loss and `.mp4` (several frames); where the first and the last ones are
      given also `.first` and `.last` of each.
    - `manifest.csv`: case_id and `videos/<case_id>.mp4`, and `sample` where there are several.
      One that is already there is kept, for it may be filled in; rows of cases that an earlier export into the folder lacked are appended.
    - `cameras/<case_id>.txt` (RealEstate10K) and `.json` (with keys), of cases whose camera's path is part of the case.
    - `actions/<case_id>.json`, of cases whose actions are part of the case.
    - `cases.jsonl`: the cases themselves; `generator.folder` refuses to score the videos against other ones.
    - `README.txt`: the next steps.
    - `conditioning/made.json`: hashes of what each file depends on; a stopped export resumes with the files that are missing.

    The same cases give the same bytes. Every file is written whole or not at all; the texts come first, so that prompts without
    conditioning frames can be used while the frames of the others are rendered.

    Args:
        cases: the cases; ids are unique.
        folder: where to write; it is created.
        conditioning: returns a case's frames uint8 [k, H, W, 3]; called for cases with conditioning frames alone. With several workers it
            must be picklable.
        version: of what `conditioning` depends on besides the case; frames of another version are written again.
        workers: processes.
        progress: whether to show a progress bar.
        trajectory: returns a case's exact camera path, None where it has none to follow.
        actions: returns a case's actions per frame, None where it has none.

    Returns:
        The folder.

    Raises:
        ConfigError: an id is there twice or is no file name, a case's frames aren't as many as its `given`, or the folder holds videos that
            were made for other cases of the same ids.
        ManifestError: the folder has a cases.jsonl or manifest.csv that can't be read.
        VideoError: a picture or clip can't be written.

    """
    folder = Path(folder)
    _check_ids(cases)
    stored = read_cases(folder, "remove it, or name another folder with out=...")
    _refuse_other_videos(folder, cases, stored)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    several = per_prompt(cases) > 1
    # All samples of a prompt begin with the same frames.
    prompts = {case.prompt_id: case for case in reversed(cases)}
    # Before the cases: an export that stops in between appends the rows when it is repeated.
    _write_manifest(folder / "manifest.csv", cases, stored, several)
    write_cases(folder, cases)
    with_path = [case for case in cases if _write_camera(folder / "cameras", case, trajectory(case))]
    played = [case for case in cases if _write_actions(folder / "actions", case, actions(case))]
    editing = any(case.mode not in MODES for case in cases)
    more = _SAMPLES * several + _CAMERAS * bool(with_path) + _ACTIONS * bool(played) + _MODES * editing
    _write(folder / "README.txt", _README + more)
    rows = [_prompt_row(case, _conditioning_path(prompts[case.prompt_id]), several) for case in cases]
    _write(folder / "prompts.csv", _table((*PROMPT_COLUMNS, "sample") if several else PROMPT_COLUMNS, rows))
    _write_missing_frames(
        [c for c in cases if c.given and prompts[c.prompt_id] is c], folder, conditioning, version, workers, progress
    )
    return folder


def _refuse_other_videos(folder: Path, cases: Sequence[Case], stored: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse to replace the cases that the videos in a folder were made for: `Folder.bind` finds videos of other cases by cases.jsonl.

    Raises:
        ConfigError: a stored case of the same id asks for another video, and there are videos.
    """
    other = [case.id for case in cases if case.id in stored and differing_fields(stored[case.id], case)]
    videos = (path.relative_to(folder).parts for path in (folder / "videos").rglob("*") if path.is_file())
    if other and any(not any(part.startswith(".") for part in parts) for parts in videos):
        raise ConfigError(
            f"{folder} holds videos of other cases ({other[0]} among {len(other)}): name another folder with out=..."
        )


def _write_manifest(path: Path, cases: Sequence[Case], stored: Mapping[str, Any], several: bool) -> None:
    """Write manifest.csv, or append rows to one that is there: those of cases that the export before, `stored`, lacked.

    A row of a stored case that is gone stays gone: its video could not be made.
    """
    if not path.exists():
        _write(path, _table(manifest_row(None, several), [manifest_row(case, several) for case in cases]))
        return
    new = [case for case in cases if case.id not in stored] if stored else []
    if not new:
        return
    ids: set[str] = set()
    for _, row in read_rows(path, lambda number, text: None):
        name = text_of(row.get("case_id"))
        sample, _ = sample_number(name, row.get("sample"))
        ids.add(sample_id(name.removesuffix(f".s{sample}"), sample))
    data = path.read_bytes()
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff")
    header = next(fields for fields in csv.reader(text.splitlines()) if any(field.strip() for field in fields))
    columns = [field.strip() for field in header]
    rows = [
        [dict(zip(("case_id", "path", "sample"), manifest_row(case, True), strict=True)).get(c, "") for c in columns]
        for case in new
        if case.id not in ids
    ]
    end = b"\r\n" if b"\r\n" in data else b"\n"
    added = _table(rows[0], rows[1:]).encode().replace(b"\n", end) if rows else b""
    with replacing(path) as part:
        part.write_bytes(data + (end if added and not data.endswith((b"\n", b"\r")) else b"") + added)


def _write_camera(folder: Path, case: Case, camera: Camera | None) -> bool:
    """Write the camera's path of a case and return whether it has one."""
    if camera is None:
        return False
    folder.mkdir(exist_ok=True)
    _write(folder / f"{case.id}.txt", trajectories.realestate10k(camera, case))
    write_json(folder / f"{case.id}.json", trajectories.as_json(camera, case))
    return True


def _write_actions(folder: Path, case: Case, script: ActionScript | None) -> bool:
    """Write the actions of a case and return whether it has any."""
    if script is None:
        return False
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{case.id}.json", action_scripts.as_json(script, case))
    return True


def _prompt_row(case: Case, conditioning: str, several: bool) -> tuple[object, ...]:
    (height, width) = case.size
    row = (case.id, case.prompt, case.mode, height, width, case.fps, case.frames, case.seed, case.given, conditioning)
    return (*row, case.sample) if several else row


def _write_missing_frames(
    cases: Sequence[Case],
    folder: Path,
    conditioning: Callable[[Case], Frames | None],
    version: str,
    workers: int,
    progress: bool,
) -> None:
    """Write the conditioning frames of cases that are not there, or not of these cases and this version."""
    if not cases:
        return
    made_by = folder / "conditioning" / "made.json"
    keys = {c.id: digest([c.hash, version]) for c in cases}
    stored = read_json(made_by) if made_by.exists() else {}
    for case in cases:
        if stored.get(case.id) != keys[case.id]:
            (folder / _conditioning_path(case)).unlink(missing_ok=True)
    # Before the frames: a file that is there from now on is of this case and version.
    write_json(made_by, keys)
    missing = [c for c in cases if not (folder / _conditioning_path(c)).exists()]
    calls = [partial(_write_conditioning, case, folder, conditioning) for case in missing]
    # A few files are written sooner than processes are started.
    done: Iterable[object] = (
        completed(workers, calls, tries=2) if min(workers, len(calls) // 8) > 1 else (c() for c in calls)
    )
    for result in tqdm(done, total=len(calls), unit="case", disable=not (progress and calls)):
        if isinstance(result, tuple) and isinstance(result[1], WorkerKilledError):
            raise result[1]


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


def _conditioning_path(case: Case) -> str:
    """Return the path of a case's conditioning frames relative to the folder, "" for a case without."""
    # Not `with_suffix`: an id has dots of its own.
    return f"conditioning/{case.id}{'.png' if case.given == 1 else '.mkv'}" if case.given else ""


def _write_conditioning(case: Case, folder: Path, conditioning: Callable[[Case], Frames | None]) -> None:
    frames = conditioning(case)
    count = 0 if frames is None else len(frames)
    if frames is None or count != case.given:
        raise ConfigError(f"case '{case.id}': {case.given} frames are given, the conditioning has {count}")
    path = folder / _conditioning_path(case)
    if count == 1:
        write_png(path, frames[0])
        return
    write_h264(path.with_name(f"{case.id}.mp4"), Video(frames, case.fps), crf=4)
    if case.mode in ("connect", "interpolate"):
        half = (count + 1) // 2
        for end, part in (("first", frames[:half]), ("last", frames[half:])):
            if len(part) == 1:
                write_png(path.with_name(f"{case.id}.{end}.png"), part[0])
            else:
                write_h264(path.with_name(f"{case.id}.{end}.mp4"), Video(part, case.fps), crf=4)
    # Last: its presence marks both files as written.
    write_ffv1(path, Video(frames, case.fps))


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
