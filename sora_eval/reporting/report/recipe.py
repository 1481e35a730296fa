"""The section of a report on how its clips can be made again: the reproduction card in short."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sora_eval.reporting.components.page import Block, Facts, Fold, Note
from sora_eval.reporting.components.table import Cell, Column, table

_SHOWN = 200


def blocks(card: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the blocks of the section. card: as in card.json."""
    yield Note("`sora-eval reproduce card.json` makes this run again and compares the scores, case by case.")
    yield Facts("Recipe", tuple(_facts(card)))
    rewritten = [row for row in card["cases"] if "rewritten" in row]
    lost = [row for row in rewritten if row["rewritten"]["lost"]]
    if rewritten:
        yield Note(
            f"{len(rewritten)} prompts were rewritten before they were sent; {len(lost)} of them lost or contradict a colour, number, side "
            "or direction of the original. What the original states is judged, always."
        )
    if lost:
        rows = [
            (Cell(r["case"]), r["prompt"], r["rewritten"]["rewritten"], "; ".join(r["rewritten"]["lost"]))
            for r in lost[:_SHOWN]
        ]
        columns = ("Case", Column("As written", "wide"), Column("Rewritten", "wide"), Column("Lost", "wide"))
        note = f" The first {_SHOWN} are shown, card.json has all." if len(lost) > _SHOWN else ""
        yield Fold(
            "Prompts that lost a statement", (table("Prompts that lost a statement", note.strip(), columns, rows),)
        )


def _facts(card: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for generator in card.get("generators") or ():
        for key, value in (generator.get("recipe") or {}).items() if isinstance(generator, Mapping) else ():
            if value is not None:
                yield f"{generator.get('name', '')}: {key}", _plain(value)
    cases = card["cases"]
    yield "sizes asked", _counted(_size(row["asked"]) for row in cases)
    yield "sizes made", _counted("no clip" if row["made"] is None else _size(row["made"]) for row in cases)
    seeds = sorted({row["seed"] for row in cases})
    if seeds:
        yield (
            "seeds of the generator",
            f"{len(seeds)}, from {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0]),
        )
    prompts = card.get("prompts")
    if isinstance(prompts, Mapping):
        yield "prompts", _plain(prompts)


def _size(clip: Mapping[str, Any]) -> str:
    return f"{clip['width']}x{clip['height']}x{clip['frames']} at {clip['fps']:g}/s"


def _counted(sizes: Iterable[str]) -> str:
    counts = Counter(sizes)
    return ", ".join(f"{size} ({n})" for size, n in counts.most_common(5)) + (", ..." if len(counts) > 5 else "")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
