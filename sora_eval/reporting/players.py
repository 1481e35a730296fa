"""Which clips a report shows, and what stands beside each: the worst cases of every generator and probe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sora_eval.errors import SoraEvalError
from sora_eval.reporting.clips import Clip, Overlay, make_clip, read_overlay
from sora_eval.types import ScoreRow

MAX_PLAYERS = 90
MAX_BYTES = 24_000_000
"""Bytes of H.264 in one page; base64 adds a third."""
MAX_PIXELS = 1_500_000_000
"""Pixels decoded for one page: about 10,000 clips of 64 frames of 48x48, ten of 72 frames of 1920x1080."""
REFERENCE_PLAYERS = 2


@dataclass(frozen=True)
class Side:
    """One picture of a player.

    label: what it shows; clip: None when there is nothing to show, and then `missing` says why.
    overlay: its tracks; expected: the truth's tracks, drawn dashed over a generated clip.
    """

    label: str
    clip: Clip | None
    missing: str = ""
    overlay: Overlay | None = None
    expected: Overlay | None = None


@dataclass(frozen=True)
class Player:
    """One clip beside its truth (absent when the clip is the truth, or when the run has no oracle)."""

    row: ScoreRow
    sides: tuple[Side, ...]

    @property
    def width(self) -> int:
        """The larger width of its clips in source pixels, 0 without clips."""
        return max((s.clip.size[1] for s in self.sides if s.clip), default=0)


@dataclass
class _Store:
    """Encodes each file once and stops at the page's budgets."""

    folder: Path
    clips: dict[str, Clip | str] = field(default_factory=dict)
    bytes: int = 0
    pixels: int = 0

    def clip(self, relative: str) -> Clip | str:
        """Return the clip, or the reason why there is none."""
        if relative not in self.clips:
            self.clips[relative] = self._make(relative)
        return self.clips[relative]

    def _make(self, relative: str) -> Clip | str:
        path = self.folder / relative
        if not path.is_file():
            return "no clip: the file is missing"
        if self.bytes > MAX_BYTES or self.pixels > MAX_PIXELS:
            return "no clip: the page is full; open the file itself"
        try:
            clip = make_clip(path, f"clip{len(self.clips)}")
        except (SoraEvalError, OSError, ValueError) as error:
            # The message starts with the path, which the player already shows.
            return f"no clip: {str(error).removeprefix(f'{path}: ')}"
        self.bytes += len(clip.mp4)
        self.pixels += clip.frames * clip.size[0] * clip.size[1]
        return clip

    def overlay(self, relative: str) -> Overlay | None:
        """Return the tracks; None when there are none to draw, which costs the reader no number."""
        try:
            return read_overlay(self.folder / relative) if relative else None
        except SoraEvalError:
            return None


def worst_first(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Return the rows, lowest counted value first; of equals, those with a clip to look at first."""
    return sorted(rows, key=lambda r: (r.counted, not r.video, r.value is None, r.case))


def choose(rows: Sequence[ScoreRow], per_probe: int, limit: int = MAX_PLAYERS) -> list[ScoreRow]:
    """Return the rows of models to show: the worst of every generator and probe before any second worst."""
    groups: dict[tuple[str, str, str], list[ScoreRow]] = {}
    for row in rows:
        if row.kind == "model":
            groups.setdefault((row.suite, row.probe, row.generator), []).append(row)
    ranked = [(rank, key, row) for key in groups for rank, row in enumerate(worst_first(groups[key])[:per_probe])]
    return [row for _, _, row in sorted(ranked, key=lambda item: item[:2])][:limit]


def choose_references(rows: Sequence[ScoreRow], per_generator: int = REFERENCE_PLAYERS) -> list[ScoreRow]:
    """Return a couple of rows per oracle, control and violation, of different probes where there are several."""
    chosen: list[ScoreRow] = []
    for generator in dict.fromkeys(r.generator for r in rows if r.kind != "model"):
        mine = [r for r in rows if r.generator == generator]
        first = {(r.suite, r.probe): r for r in reversed(worst_first(mine))}
        chosen += worst_first(first.values())[:per_generator]
    return chosen


def make_players(folder: Path, shown: Sequence[ScoreRow], rows: Sequence[ScoreRow]) -> list[Player]:
    """Return a player per row of `shown`, in that order; truths are looked up in `rows`."""
    truths = {r.case: r for r in rows if r.kind == "oracle"}
    store = _Store(folder)
    return [_player(store, row, truths.get(row.case)) for row in shown]


def clips_of(players: Iterable[Player]) -> dict[str, Clip]:
    """Return the clips that the players show, each once, by id."""
    return {side.clip.id: side.clip for player in players for side in player.sides if side.clip}


def _player(store: _Store, row: ScoreRow, truth: ScoreRow | None) -> Player:
    expected = store.overlay(truth.tracks) if truth else None
    if row.kind == "oracle" or truth is None:
        return Player(row, (_side(store, row, row.generator, None),))
    return Player(row, (_side(store, row, row.generator, expected), _side(store, truth, "truth", None)))


def _side(store: _Store, row: ScoreRow, label: str, expected: Overlay | None) -> Side:
    found = store.clip(row.video) if row.video else "no clip: the generator returned none"
    if isinstance(found, str):
        return Side(label, None, found)
    return Side(label, found, "", store.overlay(row.tracks), expected)
