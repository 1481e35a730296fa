"""The one model of a player, and which clips a report shows: the worst cases of every generator and probe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, TypeAlias

from sora_eval.alignment.align import in_clip, true_in_clip
from sora_eval.errors import SoraEvalError
from sora_eval.files import inside
from sora_eval.processes import pool, release_memory
from sora_eval.reporting.components.clips import Clip, Overlay, Strip, make_clip, make_overlay
from sora_eval.runs.tracking import read_tracks
from sora_eval.types import ScoreRow, digest
from sora_eval.video import clip_size

MAX_PLAYERS = 90
MAX_BYTES = 24_000_000
"""Bytes of H.264 in one page; base64 adds a third."""
MAX_SHOWN = 200_000_000
"""Pixels encoded for one page, which is what a report's time goes into: 64 clips of 48 frames at 256x256."""
MAX_DECODED = 1_500_000_000
"""Pixels decoded for one page: ten clips of 72 frames at 1920x1080."""
MODELS_SHARE = 0.85
"""What models may use of these, so that the oracle and the controls can still be looked at."""
REFERENCE_PLAYERS = 2
_LARGE = 300_000
"""Pixels of a frame from which on worker processes encode the clips; smaller ones are encoded sooner than processes start."""
OUTCOMES = ("judged", "not judged", "technical failure")
"""A clip has a score; or it shows no answer that can be measured; or it is missing or broken for a technical reason."""


@dataclass(frozen=True)
class Side:
    """One clip of a player."""

    label: str
    """What it shows."""
    clip: Clip | None
    """The clip, None where there is none."""
    missing: str = ""
    """Why there is no clip."""
    overlay: Overlay | None = None
    """Its tracks."""
    expected: Overlay | None = None
    """The truth's tracks, drawn dashed over a generated clip."""
    tags: tuple[tuple[str, str], ...] = ()
    """What filters choose by, (name, value) each, where the sides of a player differ in it."""


def side_of(path: Path, name: str, label: str) -> Side:
    """Return the clip of a file as a side of a player, or why there is none. name: of the clip on its page."""
    try:
        return Side(label, make_clip(path, name))
    except (SoraEvalError, OSError) as error:
        return Side(label, None, f"no clip: {type(error).__name__}")


Beside: TypeAlias = tuple[ScoreRow, tuple[Side, ...]]
"""A row with its clip and the truth's (absent when the clip is the truth, or when the run has no oracle)."""


@dataclass(frozen=True)
class Player:
    """Clips of one case beside each other, played together."""

    case: str
    """Id of the case."""
    label: str
    """Name for screen readers."""
    title: str
    """Its head."""
    detail: str
    """Text beside its head."""
    prompt: str
    """The case's prompt, "" for none."""
    sides: tuple[Side, ...]
    """The clips."""
    verdict: str = ""
    """Its score, or why there is none."""
    judged: bool = True
    """Whether it has a score."""
    lines: tuple[str, ...] = ()
    """Sentences below the clips."""
    facts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    """Folded lists: (title, (name, value) each)."""
    where: tuple[str, ...] = ()
    """Paths."""
    tags: tuple[tuple[str, str], ...] = ()
    """What filters choose by, (name, value) each."""
    id: str = ""
    """Anchor of its link, the same in every report of a run; "" for no link."""
    wide: bool = False
    """Whether it takes the whole width."""
    strips: tuple[Strip, ...] = ()
    """Frames of further clips, folded."""

    @property
    def playable(self) -> bool:
        """Whether any of its sides has a clip."""
        return any(side.clip for side in self.sides)


@dataclass(frozen=True)
class Gallery:
    """Players under a heading that opens them."""

    kind: ClassVar[str] = "gallery"
    title: str
    """The heading."""
    count: str
    """Text beside the heading."""
    players: tuple[Player, ...]
    """What it opens."""
    open: bool = False
    """Whether it is open at first."""
    filtered: bool = True
    """Whether filters choose among them."""


@dataclass(frozen=True)
class Filters:
    """Menus that choose players, and lines of tables that have tags."""

    kind: ClassVar[str] = "filters"
    choices: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(tag, label, values) each."""
    shown: int
    """Number of players, or of lines where there are any."""


@dataclass
class ClipStore:
    """Encodes each file once and counts what the page's budgets limit."""

    folder: Path
    """Base of relative paths."""
    clips: dict[str, Clip | str] = field(default_factory=dict)
    """By path, each clip or why there is none."""
    bytes: int = 0
    """Bytes of H.264."""
    shown: int = 0
    """Pixels encoded."""
    decoded: int = 0
    """Pixels decoded."""
    _ahead: dict[str, Future[Clip]] = field(default_factory=dict)
    """By path, clips that worker processes encode."""

    def encode_ahead(self, executor: ProcessPoolExecutor, files: Iterable[str]) -> None:
        """Let worker processes encode files before `clip` asks for them."""
        for relative in dict.fromkeys(files):
            path = self.folder / relative
            if relative and path.is_file() and self._lies_in_a_run(path):
                self._ahead[relative] = executor.submit(_encoded_clip, path)

    def full(self, share: float) -> bool:
        """Whether a share of the budgets is used up."""
        used = max(self.bytes / MAX_BYTES, self.shown / MAX_SHOWN, self.decoded / MAX_DECODED)
        return used >= share

    def clip(self, relative: str) -> Clip | str:
        """Return the clip, or the reason why there is none."""
        if relative not in self.clips:
            self.clips[relative] = self._make(relative)
        return self.clips[relative]

    def _make(self, relative: str) -> Clip | str:
        path = self.folder / relative
        if not path.is_file():
            return "no clip: the file is missing"
        if not self._lies_in_a_run(path):
            return "no clip: the file lies outside the run folder"
        try:
            clip = replace(self._encoded(relative), id=f"clip{len(self.clips)}")
        except Exception as error:
            # One clip that can't be shown, for whatever reason, must not cost the page.
            known = isinstance(error, SoraEvalError | OSError | ValueError)
            # The message starts with the whole path; the player names the file.
            text = " ".join(str(error).removeprefix(f"{path}: ").split())
            return f"no clip: {text if known else f'{type(error).__name__}: {text}'}"
        self.bytes += len(clip.mp4)
        self.shown += clip.frames * clip.shown_size[0] * clip.shown_size[1]
        self.decoded += clip.frames * clip.size[0] * clip.size[1]
        return clip

    def _encoded(self, relative: str) -> Clip:
        if relative in self._ahead:
            try:
                return self._ahead.pop(relative).result()
            except BrokenProcessPool:  # a process was killed: the clip itself may be sound
                self._ahead.clear()
        return make_clip(self.folder / relative, "")

    def overlay(self, row: ScoreRow, over: ScoreRow | None = None) -> Overlay | None:
        """Return a row's tracks, drawn on its clip or on that of another row; None when there are none: that costs no number."""
        path = self.folder / row.tracks
        try:
            if not row.tracks or not self._lies_in_a_run(path):
                return None
            tracks = read_tracks(path)
        except SoraEvalError:
            return None
        return make_overlay(in_clip(tracks, row.alignment) if over is None else true_in_clip(tracks, over.alignment))

    def _lies_in_a_run(self, path: Path) -> bool:
        """Return whether a file lies, links followed, in the run folder that its path begins with."""
        # Paths of clips and tracks are RUN/videos/GENERATOR/FILE and RUN/tracks/GENERATOR/FILE: reading a run made sure of it.
        run = path.parents[2] if self.folder == Path() else self.folder
        return inside(run, str(path.relative_to(run))) is not None


def _encoded_clip(path: Path) -> Clip:
    clip = make_clip(path, "")
    release_memory(clip.frames * clip.size[0] * clip.size[1] * 3)
    return clip


def worst_first(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Return the rows, lowest counted value first; of equals, those with a clip first."""
    return sorted(rows, key=lambda r: (r.counted, not r.video, r.value is None, r.case))


def choose(rows: Sequence[ScoreRow], per_probe: int, limit: int = MAX_PLAYERS) -> list[ScoreRow]:
    """Return the rows of models to show: the worst of every generator and probe before any second worst, of a prompt the worst sample."""
    groups: dict[tuple[str, str, str], list[ScoreRow]] = {}
    for row in rows:
        if row.kind == "model":
            groups.setdefault((row.suite, row.probe, row.generator), []).append(row)
    worst = {key: {r.prompt_id: r for r in reversed(worst_first(own))}.values() for key, own in groups.items()}
    ranked = [(rank, key, row) for key in groups for rank, row in enumerate(worst_first(worst[key])[:per_probe])]
    return [row for _, _, row in sorted(ranked, key=lambda item: item[:2])][:limit]


def choose_references(rows: Sequence[ScoreRow], per_generator: int = REFERENCE_PLAYERS) -> list[ScoreRow]:
    """Return a couple of rows per oracle, control and violation, of different probes where there are several."""
    ranked: list[tuple[int, ScoreRow]] = []
    for generator in dict.fromkeys(r.generator for r in rows if r.kind != "model"):
        first = {(r.suite, r.probe): r for r in reversed(worst_first(r for r in rows if r.generator == generator))}
        ranked += enumerate(worst_first(first.values())[:per_generator])
    return [row for _, row in sorted(ranked, key=lambda item: item[0])]


def beside_truth(
    folder: Path, shown: Sequence[ScoreRow], references: Sequence[ScoreRow], rows: Sequence[ScoreRow], workers: int = 1
) -> tuple[list[Beside], list[Beside]]:
    """Return rows of `shown` and of `references`, in that order, each with its clip beside the truth, until the page is full.

    rows: where the truths are looked up. workers: processes that encode large clips.
    """
    truths = {r.case: r for r in rows if r.kind == "oracle"}
    store = ClipStore(folder)
    pairs = [
        [(row, None if row.kind == "oracle" else truths.get(row.prompt_id)) for row in part]
        for part in (shown, references)
    ]
    files = [r.video for part in pairs for pair in part for r in pair if r is not None and r.video]
    if min(workers, len(files)) < 2 or not _are_large(folder, files):
        return _fill(store, pairs[0], MODELS_SHARE), _fill(store, pairs[1], 1.0)
    with pool(workers) as executor:
        store.encode_ahead(executor, files)
        filled = _fill(store, pairs[0], MODELS_SHARE), _fill(store, pairs[1], 1.0)
        # The page may be full before all are encoded.
        executor.shutdown(wait=False, cancel_futures=True)
    return filled


def _are_large(folder: Path, files: Iterable[str]) -> bool:
    """Return whether the first readable one of some clips has large frames."""
    for path in (folder / file for file in files):
        try:
            height, width = clip_size(path)
        except (SoraEvalError, OSError):
            continue
        return height * width >= _LARGE
    return False


def _fill(store: ClipStore, pairs: Sequence[tuple[ScoreRow, ScoreRow | None]], share: float) -> list[Beside]:
    filled: list[Beside] = []
    for row, truth in pairs:
        if store.full(share):
            break
        filled.append((row, make_sides(store, {row.generator: row}, truth)))
    return filled


def make_sides(store: ClipStore, rows: Mapping[str, ScoreRow], truth: ScoreRow | None) -> tuple[Side, ...]:
    """Return the clips of rows of one case, by label, and the truth, whose tracks are drawn over each."""
    sides = [_side(store, row, label, truth) for label, row in rows.items()]
    return (*sides, *([_side(store, truth, "truth", None)] if truth else []))


def verdict(row: ScoreRow) -> str:
    """Return a row's value, or that there is none."""
    return "not judged" if row.value is None else f"{row.value:.2f}"


def outcome(row: ScoreRow) -> str:
    """Return whether a clip was judged, one of OUTCOMES."""
    return OUTCOMES[0] if row.value is not None else OUTCOMES[2] if row.failure else OUTCOMES[1]


def anchor(row: ScoreRow) -> str:
    """Return the id of a row's player: letters that an address may have, and different for different generators."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", row.generator)
    return f"case-{name}{'' if name == row.generator else f'-{digest(row.generator, 6)}'}-{row.case}".replace(
        "@", "-seed"
    )


def clips_of(shown: Iterable[Sequence[Side]]) -> dict[str, str]:
    """Return the clips that are shown, each once, by id, as base64."""
    return {side.clip.id: side.clip.base64 for sides in shown for side in sides if side.clip}


def _side(store: ClipStore, row: ScoreRow, label: str, truth: ScoreRow | None) -> Side:
    clip = store.clip(row.video) if row.video else "no clip: the generator returned none"
    if isinstance(clip, str):
        return Side(label, None, clip)
    return Side(label, clip, "", store.overlay(row), store.overlay(truth, row) if truth else None)
