"""A folder of videos made elsewhere, with a manifest that maps cases to videos."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import count
from pathlib import Path
from typing import Any

from sora_eval import registry
from sora_eval.errors import ConfigError, MachineError, ManifestError, VideoError
from sora_eval.generator.base import Capabilities, Delivery, file_safe
from sora_eval.generator.video_manifest import (
    BY_PROFILE,
    BY_VERSION,
    differing_fields,
    frame_rate,
    read_cases,
    read_rows,
    sample_number,
    seed_number,
    text_of,
    type_fault,
)
from sora_eval.paths import Finder, shown
from sora_eval.stats.samples import per_prompt, sample_id
from sora_eval.types import ALL_MODES, Case, Failure, Mode, Video, digest
from sora_eval.video import Limits, Source, probe
from sora_eval.video.sources import READING
from sora_eval.video.timestamps import same_rate

MANIFESTS = ("manifest.csv", "manifest.jsonl")
MAX_ASPECT_ERROR = 0.1
"""A video whose width / height is further off than this share is noted in `Folder.problems`."""
MIN_SIDE = 8
"""Pixels that a video must have along each side to be judged: of less, nothing can be found."""

_CASE_ID = re.compile(r"\w[\w.+-]{0,199}")
_HINTS = 20
"""How many misspelt case ids get the nearest known one: each takes a comparison with all of them."""


@dataclass(frozen=True)
class Row:
    """One usable line of a manifest."""

    number: int
    """As an editor or a spreadsheet counts it (the header of a CSV is row 1)."""
    case_id: str
    """As written; of a further sample, the sample's own."""
    path: str
    """Relative to the folder, as it is on disk; as written when there is no such file."""
    seed: int | None
    """As written."""
    fps: float | None
    """As written."""
    fault: str
    """Why the row's video can't be used, "" when it can."""


class Folder:
    r"""Videos that were made elsewhere.

    The manifest, `manifest.csv` (UTF-8, comma separated, with a header) or `manifest.jsonl` (an object per line),
    has the columns

    - `case_id`: which case the video answers;
    - `path`: the video, relative to the folder and inside it, a regular file; `/` separates, `\` too where no name has it;
    - `sample` (optional): 0 to K - 1 for K videos per case, all of which are scored; the id of a case's further sample may also be
      written out (`.s1`, `.s2`, ...);
    - `seed` (optional): for several videos of which one is meant: that with the case's seed is taken, or the only one;
    - `fps` (optional): frames per second, `MIN_FPS` to `MAX_FPS`, overriding the container's.

    Other columns are ignored. A symbolic link that leads out of the folder is followed only with `links`.

    A video of any size, rate and length is scored, at the moments at which a player shows its frames; where
    rate or length differ from the case's, `problems` has a line. Frames that repeat at a steady beat count once. With `fps` given, the
    frames are taken one by one, whatever the file's timestamps. One frame in place of several is no video, nor is one beyond `Limits.of`
    the case. Nothing in the folder is renamed or written,
    and no clip of it is stored again: a run folder keeps a record of each file (`sora_eval.video.sources`).

    A faulty row costs its own case and no other: it becomes a line in `problems` that names the manifest and the
    row, and the case a `Failure`, so that it stays in the denominator.
    """

    kind = "model"

    def __init__(
        self,
        path: str | Path,
        name: str | None = None,
        manifest: str | Path | None = None,
        cases: Iterable[str] | None = None,
        modes: Sequence[Mode] = ALL_MODES,
        requested: Sequence[Case] | None = None,
        links: bool = False,
    ) -> None:
        """Read the manifest; videos are read when their cases are.

        Args:
            path: the folder.
            name: of the generator; None takes the folder's.
            manifest: another place for the manifest; its paths are still relative to the folder.
            cases: all case ids that exist, to find misspelt ones; None when they aren't known.
            modes: the modes that the videos were made for; all by default.
            requested: the cases of the run; rows of other cases that exist are no problem. None means any.
            links: whether symbolic links that lead out of the folder are followed. A folder from somebody else should not make this
                machine read, hash and show whatever it points to.

        Raises:
            ManifestError: there is no folder or manifest, it isn't UTF-8 or CSV, it lacks a column or all samples 0; or the folder's
                `cases.jsonl` shows that the videos were made for other cases than `requested`.
            ConfigError: a mode is unknown, or `links` is neither true nor false.

        """
        self._options: dict[str, Any] = {
            "path": path,
            "name": name,
            "manifest": manifest,
            "modes": modes,
            "links": links,
        }
        self.path = Path(path)
        self.name = name or file_safe(self.path.resolve().name)
        if not isinstance(links, bool):
            raise ConfigError(f"generator.links must be true or false, got {links}")
        self.capabilities = Capabilities(modes=tuple(modes), processes=True)
        self.problems: list[str] = []
        """One line per fault found so far, naming the manifest and the row."""
        self._noted: set[str] = set()
        if not self.path.is_dir():
            raise ManifestError(f"{self.path}: no such folder")
        self.manifest = self._find(manifest)
        made_for = self._made_for()
        self._known = None if cases is None else {*cases, *made_for}
        self._requested = None if requested is None else {case.id for case in requested}
        self._check_requested(made_for, requested or ())
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._rows: dict[str, list[Row]] = {}
        self._samples_requested = None if requested is None else per_prompt(requested)
        self._seen_samples: set[int] = set()
        self._beyond: list[int] = []
        self._finder = Finder(self.path, links)
        for number, values in read_rows(self.manifest, self._note):
            self._add(number, values)
        self._check_samples()
        if self._known is not None:
            self._check_known(self._known)
        self.manifest_problems = tuple(self.problems)
        """Those of the manifest alone, whether its videos were read or not."""

    @property
    def samples(self) -> int:
        """How many samples per case the manifest has: all of 0 to K - 1 are there, for one case at least."""
        return max(1, next(k for k in count() if k not in self._seen_samples))

    def fingerprint(self, case: Case) -> str:
        """Return a hash of the video's bytes and of the rate that the manifest gives it."""
        row = self._row(case)
        if isinstance(row, Failure):
            return digest(["no video", row.reason])
        try:
            return digest([self._sha(self.path / row.path), row.fps, READING])
        except OSError as err:
            return digest(["no video", err.strerror])

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield each case's video, or why there is none."""
        for case in cases:
            yield self._video(case)

    def source(self, case: Case) -> Source | None:
        """Return the file that a case's clip is read from, None where there is none."""
        row = self._row(case)
        return None if isinstance(row, Failure) else self._source(case, row)

    def _source(self, case: Case, row: Row) -> Source:
        return Source(self.path / row.path, _limits(case), case.fps, row.fps)

    def bind(self, cases: Sequence[Case]) -> Folder:
        """Return the folder for the cases of a run: rows of other cases that exist are left out, misspelt ids become problems.

        Raises:
            ManifestError: the videos were made for other cases.
        """
        # A user's own ids may end in a number that counts nothing, such as a date.
        indices = [
            int(found[1])
            for c in cases
            if (found := re.search(r"\.(\d+)$", c.prompt_id))
            and c.prompt_id == f"{c.suite}.{c.probe}.{c.mode}.{found[1]}"
        ]
        prompts = [
            f"{suite}.{probe}.{mode}.{i:04d}"
            for probe, (suite, _) in registry.probe_names(optional=True).items()
            for mode in ALL_MODES
            for i in range(max(indices, default=-1) + 1)
        ]
        prompts += [c.prompt_id for c in cases]
        known = [sample_id(prompt, k) for prompt in dict.fromkeys(prompts) for k in range(per_prompt(cases))]
        return Folder(**self._options, cases=known, requested=cases)

    def input_problems(self, deliveries: Sequence[Delivery]) -> list[str]:
        """Return a line for each fault of the manifest, for each case without a video, and for each way in which videos differ."""
        lines = list(self.manifest_problems)
        lines += [self._problem_of(d.case, d.reason) for d in deliveries if d.reason and d.reason not in lines]
        return [*lines, *self.reading_problems([(d.case, *d.clip) for d in deliveries if d.clip])]

    def _problem_of(self, case: Case, reason: str) -> str:
        """Return the line of `problems` for a case that got no video for that reason, "" when the manifest's reading gave it."""
        rows = self._rows.get(case.id, [])
        if any(row.fault for row in rows):
            return ""
        row = self._row(case)
        place = f"{self.manifest}" if isinstance(row, Failure) else f"{self.manifest}, row {row.number}"
        return f"{place}: {reason}" + (f" ({case.id})" if isinstance(row, Failure) else "")

    def reading_problems(self, videos: Iterable[tuple[Case, tuple[int, int], int, float]]) -> list[str]:
        """Return a line for each way in which videos differ from their cases; videos that differ in the same way share one.

        videos: the case, size (height, width), number of frames and rate of each, as it was read.
        """
        alike: dict[str, list[Row]] = {}
        for case, size, frames, fps in videos:
            row = self._row(case)
            if isinstance(row, Row):
                for clause in (_aspect_clause(case, size), self._time_clause(row, case, frames, fps)):
                    if clause:
                        alike.setdefault(clause, []).append(row)
        return [
            f"{self.manifest}, row {rows[0].number}{f' and {len(rows) - 1} more' if len(rows) > 1 else ''}: "
            f"{rows[0].path!r} {clause}"
            for clause, rows in alike.items()
        ]

    def _time_clause(self, row: Row, case: Case, frames: int, fps: float) -> str:
        try:
            there = probe(self.path / row.path, _limits(case), case.fps)
        except VideoError:
            # What can't be read has a line of its own.
            return ""
        found, remedy = f"{frames} frames at {fps:.4g} per second", "if that rate is wrong, give the right one in"
        as_requested = same_rate(fps, case.fps) and frames == case.frames
        if row.fps is not None:
            remedy = "if that rate is wrong, correct"
        elif there.assumed:
            as_requested = False
            found = f"no time for its frames, so {fps:.4g} fps is assumed: {found}"
            remedy = "give the right rate in"
        elif there.variable:
            found = f"a variable rate ({there.frames} frames): {found}"
        elif not same_rate(there.fps, fps):
            as_requested = False
            found = f"frames that repeat ({there.frames} at {there.fps:.4g} per second): without the repeats, {found}"
            remedy = "to have every frame scored, give the file's rate in"
        if as_requested:
            return ""
        return (
            f"has {found}; {case.frames} at {case.fps:.4g} were requested; it is scored at that rate; "
            f"{remedy} the manifest's fps column"
        )

    def _sha(self, path: Path) -> str:
        """Return a file's hash; the bytes are read once as long as size and time stay."""
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._hashes:
            with path.open("rb") as file:
                self._hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._hashes[key]

    def _made_for(self) -> dict[str, Mapping[str, Any]]:
        """Return the cases that the folder's videos were made for, by id."""
        return read_cases(self.path, "remove it, or export the cases again")

    def _check_requested(self, made_for: Mapping[str, Mapping[str, Any]], requested: Sequence[Case]) -> None:
        for case in requested:
            there = made_for.get(case.id)
            if there is not None and (fields := differing_fields(there, case)):
                differing = ", ".join(
                    f"{n} {there.get(n)} there and {here} here" for n, here in fields.items() if n not in BY_VERSION
                )
                remedy = (
                    "run with the same seed=" * ("seed" in fields)
                    or "run with the same profile=" * any(name in BY_PROFILE for name in fields)
                    or "another version of sora-eval wrote them; export the cases again"
                )
                raise ManifestError(
                    f"{self.path / 'cases.jsonl'}: the videos were made for other cases: {case.id} has "
                    f"{differing or 'another ' + ' and '.join(fields)}; {remedy}"
                )

    def _video(self, case: Case) -> Video | Failure:
        if refusal := self.capabilities.refuses(case):
            return Failure(refusal)
        row = self._row(case)
        if isinstance(row, Failure):
            return row
        source = self._source(case, row)
        try:
            before = self._sha(source.file)
            video = source.read()
            if self._sha(source.file) != before:
                return Failure(f"{source.file}: it was written while it was read", technical=True)
        except (VideoError, OSError) as err:
            reason = str(err) if isinstance(err, VideoError) else f"{source.file}: {err.strerror or err}"
            self._note(row.number, reason)
            # A drive that was away for a moment, or memory that was short, is no answer of the model: the same command tries again.
            return Failure(reason, technical=isinstance(err, MachineError | OSError))
        if len(video) == 1 < case.frames:
            reason = f"{row.path!r} has 1 frame, {case.frames} were requested"
            self._note(row.number, reason)
            return Failure(reason)
        if min(video.size) < MIN_SIDE:
            reason = f"{row.path!r} is {video.size[1]}x{video.size[0]}: too small to be judged"
            self._note(row.number, reason)
            return Failure(reason)
        for line in self.reading_problems([(case, video.size, len(video), video.fps)]):
            if line not in self.problems:
                self.problems.append(line)
        return video

    def _row(self, case: Case) -> Row | Failure:
        rows = self._rows.get(case.id, [])
        if not rows and case.sample:
            return Failure(f"no video for sample {case.sample} of this case in {self.manifest.name}")
        if not rows:
            return Failure(f"no video for this case in {self.manifest.name}")
        matching = [row for row in rows if row.seed == case.seed] or (rows if len(rows) == 1 else [])
        if not matching:
            return Failure(f"no video for seed {case.seed} of this case in {self.manifest.name}")
        row = matching[0]
        return Failure(f"{self.manifest.name}, row {row.number}: {row.fault}") if row.fault else row

    def _find(self, manifest: str | Path | None) -> Path:
        if manifest is not None:
            if not Path(manifest).is_file():
                raise ManifestError(f"{manifest}: no such manifest")
            return Path(manifest)
        found = [self.path / name for name in MANIFESTS if (self.path / name).is_file()]
        if not found:
            raise ManifestError(f"{self.path}: no {' or '.join(MANIFESTS)}; one row per video: case_id, path")
        if len(found) > 1:
            self.problems.append(f"{self.path}: both {' and '.join(MANIFESTS)} are there; {MANIFESTS[0]} is used")
        return found[0]

    def _add(self, number: int, values: Mapping[str, Any]) -> None:
        case_id, path = (text_of(values.get(column)) for column in ("case_id", "path"))
        if not case_id:
            self._note(number, "no case_id; the row is left out")
            return
        if not _CASE_ID.fullmatch(case_id):
            self._note(
                number,
                f"the case_id '{shown(case_id)}' is no id (letters, digits, and . _ + -, at most 200 of them); the row is left out",
            )
            return
        sample, sample_fault = sample_number(case_id, values.get("sample"))
        if sample_fault:
            self._note(number, f"{sample_fault} (case {case_id!r}); the row is left out")
            return
        self._seen_samples.add(sample)
        prompt_id = case_id.removesuffix(f".s{sample}") if sample else case_id
        if (
            self._samples_requested is not None
            and sample >= self._samples_requested
            and prompt_id in (self._known or (prompt_id,))
        ):
            self._beyond.append(sample)
            return
        case_id = sample_id(prompt_id, sample)
        seed, seed_fault = seed_number(values.get("seed"))
        fps, fps_fault = frame_rate(values.get("fps"))
        fault = type_fault(values) or seed_fault or fps_fault
        if not fault:
            path, fault = self._found(path)
        elsewhere = self._requested is not None and case_id not in self._requested and case_id in (self._known or ())
        if fault and not elsewhere:
            self._note(number, f"{fault} (case {case_id!r})")
        rows = self._rows.setdefault(case_id, [])
        if first := next((row for row in rows if row.seed == seed), None):
            again = f"{case_id!r}" if seed is None else f"{case_id!r} with seed {seed}"
            self._note(number, f"{again} is there already in row {first.number}, which is used")
            return
        rows.append(Row(number, case_id, path, seed, fps, fault))

    def _check_samples(self) -> None:
        if self._seen_samples and 0 not in self._seen_samples:
            raise ManifestError(f"{self.manifest}: no row has sample 0; number the samples of a case from 0")
        if self._beyond:
            wanted, there = self._samples_requested, max(self._beyond) + 1
            self.problems.append(
                f"{self.manifest}: samples up to {there - 1} are there and the run has {wanted} per case: {len(self._beyond)} videos "
                f"are not scored; samples={there} scores them"
            )

    def _found(self, path: str) -> tuple[str, str]:
        """Return a path as it is on disk, or as it was, and why it can't be used."""
        if not path:
            return path, "no path"
        try:
            return self._finder.find(path), ""
        except ManifestError as err:
            return path, str(err)

    def _check_known(self, known: set[str]) -> None:
        names = sorted(known)
        for i, case_id in enumerate(c for c in self._rows if c not in known):
            near = get_close_matches(case_id, names, n=1) if i < _HINTS else []
            hint = f"; did you mean {near[0]!r}?" if near else ""
            for row in self._rows[case_id]:
                self._note(row.number, f"unknown case {case_id!r}{hint}")

    def _note(self, number: int, text: str) -> None:
        line = f"{self.manifest}, row {number}: {text}"
        if line not in self._noted:
            self._noted.add(line)
            self.problems.append(line)


def _aspect_clause(case: Case, size: tuple[int, int]) -> str:
    (height, width), (case_height, case_width) = size, case.size
    ratio = (width * case_height) / (height * case_width)
    if max(ratio, 1 / ratio) <= 1 + MAX_ASPECT_ERROR:
        return ""
    how = "the part that shows the given frames is scored" if case.given else "it is scored as it is"
    return f"is {width}x{height}, {case_width}x{case_height} were requested: another aspect ratio; {how}"


def _limits(case: Case) -> Limits:
    return Limits.of(case.size, case.frames, case.fps)
