"""card.json of a run folder: the reproduction card. It is the manifest without what belongs to one execution, and a recipe for each case.

A card stands alone: `sora-eval reproduce CARD` needs no other file of the run but the weights that its configuration names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError
from sora_eval.files import read_json, without_secrets
from sora_eval.prompting.rewriting import Rewritten, read_rewritten, rewritten_of
from sora_eval.runs.problems import made_clip
from sora_eval.runs.reader import Run, checked_manifest
from sora_eval.types import Case, ScoreRow

FILE = "card.json"
VERSION = 1
"""Version of the format."""
_COPIED = (
    *("tool_version", "created", "command", "config", "suite", "profile", "seed", "samples", "generators", "prompts", "hashes"),
    *("versions", "machine"),
)  # fmt: skip
"""Parts of the manifest that a card has too."""


@dataclass(frozen=True)
class Score:
    """A model's stored score of a case."""

    case: str
    """Id of the case."""
    generator: str
    """Name of the model."""
    value: float | None
    """The score, None where the clip could not be judged."""
    reason: str
    """Why there is none."""


@dataclass(frozen=True)
class Card:
    """A reproduction card, read."""

    path: Path
    """Its file."""
    about: Mapping[str, Any]
    """The parts of the manifest: command, config, generators, hashes, versions, machine and so on."""
    scores: tuple[Score, ...]
    """Scores of the models, case by case."""
    prompts: Mapping[str, Rewritten]
    """Rewritten prompts by case, of a run with an expander."""


def make_card(run: Run) -> dict[str, Any]:
    """Return the card of a run as JSON values; secrets of the environment are masked."""
    by_id = {case.id: case for case in run.cases}
    rows = [row for row in run.rows if row.kind == "model"] or [
        row for row in run.rows if row.generator == run.rows[0].generator
    ]
    about = {key: run.manifest[key] for key in _COPIED if key in run.manifest}
    hashes = about.get("hashes")
    if isinstance(hashes, Mapping):
        about["hashes"] = {key: value for key, value in hashes.items() if key != "report"}
    cases = [_recipe(run.folder, by_id[row.case], row) for row in rows if row.case in by_id]
    card: dict[str, Any] = without_secrets({"card_version": VERSION, **about, "cases": cases})
    return card


def _recipe(folder: Path, case: Case, row: ScoreRow) -> dict[str, Any]:
    rewritten = read_rewritten(folder, case.id)
    made = made_clip(folder / row.tracks, row.alignment) if row.tracks else None
    height, width = case.size
    return {
        "case": case.id,
        "generator": row.generator,
        "mode": case.mode,
        "prompt": case.prompt,
        **({"rewritten": asdict(rewritten)} if rewritten is not None else {}),
        "seed": case.seed,
        "asked": {"width": width, "height": height, "frames": case.frames, "fps": case.fps, "given": case.given},
        "made": None
        if made is None
        else {"width": made[0][1], "height": made[0][0], "frames": made[1], "fps": made[2]},
        "score": row.value,
        "reason": row.reason,
    }


def read_card(path: Path) -> Card:
    """Return the card in a file, or that of a run's folder.

    Raises:
        ConfigError: there is none, or it is broken.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        hint = "; sora-eval report writes the card of a run" if path.is_dir() else ""
        raise ConfigError(f"{file}: no such card{hint}")
    stored = read_json(file)
    try:
        if stored["card_version"] != VERSION:
            raise ConfigError(
                f"{file}: a card of version {stored['card_version']}, this sora-eval reads version {VERSION}"
            )
        config = stored["config"]
        if not all(isinstance(config[key], dict) for key in ("generator", "tracker", "suite", "profile")):
            raise TypeError("config lacks a group of options")
        scores = tuple(_score(row) for row in stored["cases"])
        prompts = {str(r["case"]): rewritten_of(r["rewritten"]) for r in stored["cases"] if "rewritten" in r}
        return Card(
            file, checked_manifest(file, {key: stored[key] for key in _COPIED if key in stored}), scores, prompts
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{file}: not a reproduction card ({error})") from error


def _score(row: Mapping[str, Any]) -> Score:
    value = row["score"]
    if not (value is None or (isinstance(value, int | float) and not isinstance(value, bool))):
        raise TypeError(f"score must be a number or null, got {value!r}")
    return Score(str(row["case"]), str(row["generator"]), None if value is None else float(value), str(row["reason"]))


@dataclass(frozen=True)
class Agreement:
    """How the scores of a run compare with those of a card."""

    equal: int
    """Cases of equal score."""
    differing: tuple[tuple[str, float | None, float | None], ...]
    """(case, score of the card, score of the run) of the others, the largest differences first."""
    missing: tuple[str, ...]
    """Cases of the card that the run lacks."""

    @property
    def exact(self) -> bool:
        """Whether all scores of the card came out again."""
        return not self.differing and not self.missing


def agreement(card: Card, rows: tuple[ScoreRow, ...] | list[ScoreRow]) -> Agreement:
    """Return how the rows of a run agree with a card; models by their order, for a run made again may name its model otherwise."""
    names = list(dict.fromkeys(s.generator for s in card.scores))
    mine = [r for r in rows if r.kind == "model"] or list(rows)
    models = list(dict.fromkeys(r.generator for r in mine))
    named = dict(zip(names, models, strict=False))
    values = {(r.generator, r.case): r.value for r in mine}
    equal, differing, missing = 0, [], []
    for score in card.scores:
        key = (named.get(score.generator, ""), score.case)
        if key not in values:
            missing.append(score.case)
        elif values[key] == score.value:
            equal += 1
        else:
            differing.append((score.case, score.value, values[key]))
    differing.sort(key=lambda d: -_distance(d[1], d[2]))
    return Agreement(equal, tuple(differing), tuple(missing))


def _distance(a: float | None, b: float | None) -> float:
    return float("inf") if a is None or b is None else abs(a - b)
