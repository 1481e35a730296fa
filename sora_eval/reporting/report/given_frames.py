"""What clips made of the frames that were given: how they lie in them, and how well the first one was kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

import numpy as np

from sora_eval.alignment.measures import BY_NAME
from sora_eval.reporting.components.numbers import count, figure
from sora_eval.reporting.components.page import Block, Facts, Fold
from sora_eval.reporting.components.table import Cell, Column, Table, table
from sora_eval.types import AlignmentKind, ScoreRow

_KINDS: tuple[AlignmentKind, ...] = get_args(AlignmentKind)
_LISTED = 200
"""Clips that are listed one by one."""
_NOT_FOUND = "not found"


def blocks(rows: Sequence[ScoreRow], generators: Sequence[str]) -> tuple[Block, ...]:
    """Return what a page shows of the given frames of a run, generators in a given order; () where none were given and no bars cut off."""
    there = [r for r in rows if r.video and (r.mode not in ("t2v", "edit") or r.alignment is not None)]
    # Runs of earlier versions have neither alignment nor metrics.
    if not any(r.alignment is not None for r in there):
        return ()
    moved = [r for r in there if r.kind == "model" and r.alignment is not None and r.alignment.kind != "identity"]
    shown: list[Block] = [_kinds(there, generators)]
    if measured := [r for r in there if r.first_frame]:
        shown += [_metrics(measured, generators), _legend(measured)]
    if moved:
        shown.append(Fold("Clips of another geometry", (_listed(moved),), count(len(moved), "clip")))
    return tuple(shown)


def _kinds(rows: Sequence[ScoreRow], generators: Sequence[str]) -> Table:
    found = Counter((r.generator, r.alignment.kind if r.alignment else _NOT_FOUND) for r in rows)
    kinds = [k for k in (*_KINDS, _NOT_FOUND) if any(found[g, k] for g in generators)]
    shown = [g for g in generators if any(found[g, k] for k in kinds)]
    caption = (
        "Clips by how the given frames lie in them. What is not an identity is judged in the window that clip and given frames share, "
        "against the truth cut alike; clips in which they were not found are not judged where they differ from them."
    )
    columns = (Column("Generator"), *(Column(k, "count") for k in kinds))
    return table("Given frames: geometry", caption, columns, [(g, *(str(found[g, k]) for k in kinds)) for g in shown])


def _metrics(rows: Sequence[ScoreRow], generators: Sequence[str]) -> Table:
    by = {g: [r.first_frame for r in rows if r.generator == g] for g in generators}
    shown = [g for g in generators if by[g]]
    lines: list[Sequence[Cell | str]] = []
    for name, metric in BY_NAME.items():
        values = [[v[name] for v in by[g] if name in v] for g in shown]
        if any(values):
            unit = f" ({metric.unit})" if metric.unit else ""
            lines.append((f"{name}{unit}", figure(metric.best), *map(_spread, values)))
    caption = "First-frame fidelity (the first of the given frames): median [10th to 90th percentile] over clips."
    columns = (Column("Metric"), Column("Kept as given", "count"), *(Column(g, "cell") for g in shown))
    return table("Given frames: first frame", caption, columns, lines)


def _spread(values: Sequence[float]) -> Cell:
    if not values:
        return Cell("–", absent=True)
    low, middle, high = (figure(float(v)) for v in np.percentile(values, (10, 50, 90)))
    return Cell(middle if low == high else f"{middle} [{low}, {high}]")


def _legend(rows: Sequence[ScoreRow]) -> Facts:
    have = {name for r in rows for name in r.first_frame}
    facts = tuple((m.name, m.meaning) for name, m in BY_NAME.items() if name in have)
    return Facts("Definitions of first-frame metrics", facts, code=False)


def _listed(rows: Sequence[ScoreRow]) -> Table:
    lines = []
    for r in rows[:_LISTED]:
        assert r.alignment is not None
        part, given = r.alignment.part, r.alignment.given
        window = "–" if given is None else f"{_edges(given.box)} of {given.frame[1]}x{given.frame[0]}"
        clip = f"{_edges(part.box)} of {part.frame[1]}x{part.frame[0]}"
        lines.append((r.generator, r.case, r.alignment.kind, clip, window, figure(r.alignment.residual)))
    more = f"; the first {_LISTED} of {len(rows)}" if len(rows) > _LISTED else ""
    caption = f"Edges as x0, y0, x1, y1 in pixels; scores.jsonl has all{more}."
    columns = (
        "Generator",
        Column("Case"),
        "Kind",
        "Part of the clip",
        "Part of the given frames",
        Column("Residual", "count"),
    )
    return table("Clips of another geometry", caption, columns, lines)


def _edges(box: Sequence[float]) -> str:
    return ", ".join(f"{v:.1f}".removesuffix(".0") for v in box)
