"""The scaling figure of a sweep: scores and fidelity of one model's checkpoints over the compute that their training took.

Every checkpoint has to have the same cases, with the same seeds and inputs; so the clips can stand side by side.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sora_eval.errors import SoraEvalError
from sora_eval.files import inside, replacing
from sora_eval.paths import encodable
from sora_eval.reporting.components.text import escape, pipe, score
from sora_eval.reporting.report.fidelity import markdown, sheet
from sora_eval.runs.measures import read_measures
from sora_eval.runs.reader import Run, read_run
from sora_eval.stats.summary import Cell, Summary, summarise
from sora_eval.types import Frames, Measure, ScoreRow, digest
from sora_eval.video import read_clip, write_png
from sora_eval.video.sheets import labelled_sheet

_COLUMNS, _ZOOM = 9, 2
_LETTERS = 140
_OVERALL = ""


@dataclass(frozen=True)
class Point:
    """A checkpoint of known training compute."""

    run: Run
    """Its run."""
    name: str
    """Its name in the run."""
    compute: float
    """Operations of its training."""
    summary: Summary
    """Scores of all generators of the run."""
    fidelity: Mapping[str, Sequence[Measure]]
    """Measures by generator of the run."""


def frechet_distances(group: Sequence[Point]) -> list[tuple[float, Measure]]:
    """Return (compute, distance) of the checkpoints that have a Frechet distance of clip features, all of one metric and protocol.

    The distance without its bias where all have it; a plug-in depends on the number of clips, and has to be of as many everywhere. [] where
    no distance is the same for two at least, and for all that have any.
    """
    measured = [(p.compute, own) for p in group if (own := [m for m in p.fidelity.get(p.name, ()) if _is_frechet(m)])]
    if len(measured) < 2:
        return []
    by_key = [{_key(m): m for m in own} for _, own in measured]
    shared = [key for key in by_key[0] if all(key in own for own in by_key)]
    # The first with an interval, else the first.
    key = min(shared, key=lambda k: by_key[0][k].low is None, default=None)
    return [] if key is None else [(c, own[key]) for (c, _), own in zip(measured, by_key, strict=True)]


def _is_frechet(m: Measure) -> bool:
    """Return whether a measure is a Frechet distance of clip features to real ones; that of motion has the same protocol."""
    others = ("motion distance", "real against real")
    return m.value is not None and m.protocol.startswith("frechet ") and not any(name in m.metric for name in others)


def _key(m: Measure) -> tuple[str, str, tuple[int, ...]]:
    return m.metric, m.protocol, () if m.low is not None else m.n


def points(folders: Iterable[Path]) -> list[list[Point]]:
    """Return the checkpoints of known training compute in runs, by compute, in groups with the same cases.

    A group of one is no curve and left out.
    """
    groups: dict[str, dict[float, Point]] = {}
    for folder in dict.fromkeys(folders):
        run = read_run(folder)
        summary = summarise(run.rows)
        measured = read_measures(folder)
        # All suites together, or the only one.
        fidelity = measured.get(_OVERALL) or next(iter(measured.values()), {})
        for g in run.manifest["generators"]:
            if g.get("compute"):
                point = Point(run, g["name"], float(g["compute"]), summary, fidelity)
                groups.setdefault(_setting(run), {})[point.compute] = point
    return [[group[c] for c in sorted(group)] for group in groups.values() if len(group) > 1]


def _setting(run: Run) -> str:
    """Return a hash of a run's cases and of the options of its generator: with other sampler steps it is another curve."""
    generator = dict(run.manifest.get("config") or {}).get("generator") or {}
    options = {k: v for k, v in generator.items() if k != "checkpoint"}
    return digest([run.manifest["hashes"]["cases"], options])


def write_scaling(group: Sequence[Point], folder: Path, command: str) -> Path:
    """Write scaling.md, scaling.png (scores over compute) and clips.png (the same cases side by side); return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    _plot(group, folder / "scaling.png")
    write_png(folder / "clips.png", labelled_sheet(_clips(group), _COLUMNS, _ZOOM))
    page = folder / "scaling.md"
    with replacing(page) as part:
        part.write_text(encodable(_page(group, command)), encoding="utf-8")
    return page


def _page(group: Sequence[Point], command: str) -> str:
    first = group[0]
    n = len(first.run.cases)
    about = f"{n} cases of {escape(first.run.manifest['suite'])}, the same for every checkpoint. Score [95% interval]."
    parts = ["# Scores over training compute", f"`{command}`", about, table(group)]
    if any(p.fidelity for p in group):
        last = group[-1]
        others = {g: measures for g, measures in last.fidelity.items() if g not in [p.name for p in group]}
        measured = {**{p.name: p.fidelity.get(p.name, ()) for p in group}, **others}
        parts += [
            "Fidelity against the oracle's clips, value [95% interval].",
            markdown(sheet(measured, list(measured))),
        ]
    return "\n\n".join([*parts, "![Scores over compute](scaling.png)", "![Clips side by side](clips.png)"]) + "\n"


def table(group: Sequence[Point]) -> str:
    """Return the scores per suite as Markdown, a column per checkpoint, with the oracle and the best control beside them."""
    head = ["suite", *(f"{p.name} ({p.compute:.1e})" for p in group), "oracle", "best control"]
    last = group[-1].summary
    rows = []
    for suite in (_OVERALL, *last.suites):
        cells = [p.summary.get(p.name, suite) for p in group]
        rows.append([suite or "overall", *(score(c) for c in (*cells, last.ceiling(suite), last.floor(suite)))])
    return pipe(head, rows)


def _plot(group: Sequence[Point], path: Path) -> None:
    """Draw a panel per suite: the score with its interval over compute, the oracle above and the best control below; then fidelity."""
    import matplotlib.pyplot as plt

    last = group[-1].summary
    suites = (_OVERALL, *last.suites)
    distances = frechet_distances(group)
    wide = len(suites) + bool(distances)
    fig, every = plt.subplots(1, wide, figsize=(2.7 * wide, 3.6), layout="constrained", squeeze=False)
    axes = every[0, : len(suites)]
    x = [p.compute for p in group]
    for ax, suite in zip(axes, suites, strict=True):
        _line(ax, scored(group, suite))
        for cell, style, name in ((last.ceiling(suite), "--", "oracle"), (last.floor(suite), ":", "best control")):
            if cell is not None:
                ax.axhline(cell.score, linestyle=style, color="#777777", linewidth=1, label=name)
        ax.set(title=suite or "overall")
        ax.sharey(axes[0])
    if distances:
        _distance_line(every[0, -1], distances)
    for ax in every[0]:
        ax.set_xscale("log")
        ax.margins(x=0.15)
        # Slanted: the last ones may lie near each other.
        names = ax.secondary_xaxis("top")
        names.set_xticks(x, [p.name.removeprefix("reference-") for p in group], rotation=40, ha="left", fontsize=8)
        names.minorticks_off()
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)
    fig.supxlabel("training compute (operations of all runs, log scale)", fontsize=9)
    axes[0].set(ylabel="score", ylim=(min(-0.05, *axes[0].get_ylim()), 1.05))
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside upper right", ncols=len(names), fontsize=8, frameon=False)
    with replacing(path) as part:
        fig.savefig(part, format="png", dpi=110)
    plt.close(fig)


def scored(group: Sequence[Point], suite: str) -> list[tuple[float, Cell]]:
    """Return (compute, score) of the checkpoints that have one in a suite, "" for all suites: none that failed technically."""
    cells = [(p.compute, p.summary.get(p.name, suite)) for p in group]
    return [(compute, c) for compute, c in cells if c is not None and not c.failed]


def _line(ax: Any, points: Sequence[tuple[float, Cell]]) -> None:
    y = np.array([c.score for _, c in points])
    ends = np.abs(np.array([[c.low for _, c in points], [c.high for _, c in points]]) - y)
    ax.errorbar(
        *([x for x, _ in points], y, np.nan_to_num(ends, posinf=0.0)),
        marker="o", capsize=3, color="#1f5fbf", label="model",
    )  # fmt: skip


def _distance_line(ax: Any, distances: Sequence[tuple[float, Measure]]) -> None:
    y = np.array([m.value for _, m in distances], dtype=float)
    ends = np.array([[np.nan if v is None else v for v in (m.low, m.high)] for _, m in distances], dtype=float).T
    ax.errorbar(
        [c for c, _ in distances], y, yerr=np.nan_to_num(np.abs(ends - y)), marker="o", capsize=3, color="#1f5fbf"
    )
    ax.set(title=f"{distances[-1][1].metric}\n(lower is better)")
    ax.set_ylim(bottom=min(0.0, float(ax.get_ylim()[0]) if y.min() < 0 else 0.0))


def _clips(group: Sequence[Point]) -> list[tuple[str, Frames | None]]:
    """Return rows of words and frames: one case of each suite, what every checkpoint made of it, and the true clip."""
    rows: list[tuple[str, Frames | None]] = []
    last = group[-1]
    for suite in last.summary.suites:
        case = next(c for c in last.run.cases if c.suite == suite)
        rows.append((textwrap.fill(f"{case.id}: {case.prompt}", _LETTERS), None))
        oracles = last.summary.of_kind("oracle")
        for run, name in [*((p.run, p.name) for p in group), *((last.run, o) for o in oracles)]:
            row = next(r for r in run.rows if r.case == case.id and r.generator == name)
            rows.append(_shown(run, row))
    return rows


def _shown(run: Run, row: ScoreRow) -> tuple[str, Frames | None]:
    label = f"{row.generator}: {row.value:.2f}" if row.value is not None else f"{row.generator}: {row.reason}"
    try:
        path = inside(run.folder, row.video) if row.video else None
        return label, None if path is None else read_clip(path).frames
    except SoraEvalError:
        return f"{label} (no clip)", None
