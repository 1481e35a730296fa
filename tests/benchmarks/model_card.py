"""`make card`: measures of all bundled checkpoints, into docs/model_card.md between its comments, with their curves as a picture.

What a checkpoint cost (steps, clips, hours, operations) is read from its own header, what it can do from the tables of
`sora-eval eval-tasks`. One that was trained on from another's weights has the cost of these in its header too (`initial`).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sora_eval.errors import ConfigError
from sora_eval.files import read_json, replacing
from sora_eval.generator.reference import model
from sora_eval.generator.reference.evaluation.rows import cell, table
from sora_eval.generator.reference.evaluation.tasks import rows_of
from sora_eval.generator.reference.options import Options
from sora_eval.training import checkpoints

FIGURES: tuple[tuple[str, str], ...] = (
    ("text to video", "colour"),
    ("text to video", "one object"),
    ("text to video", "direction"),
    ("text to video", "shape"),
    ("text to video, two things", "side"),
    ("image and text to video", "first frame (dB)"),
    ("image and text to video", "the next four, to the true ones (dB, mean over frames)"),
    ("image and text to video", "direction"),
    ("extend forward", "seam"),
    ("extend forward", "shape"),
    *((f"text to video, {aspect}", key) for aspect in ("wide", "tall") for key in ("one object", "whole in view")),
)
"""The measures that are followed over training compute; the last ones are of frames that are not square."""


_SHARES = 5
"""The first of them are shares of text to video."""


@dataclass(frozen=True)
class Entry:
    """A checkpoint: its header, and its measures, {(task, measure): row}."""

    name: str
    bytes: int
    weights: str
    """SHA-256 of the transformer's weights."""
    about: Mapping[str, Any]
    rows: Mapping[tuple[str, str], Mapping[str, Any]]
    count: int

    @property
    def square(self) -> bool:
        """Whether it was trained on square crops, the ablation."""
        return bool(self.about["plan"].get("square", False))


@dataclass(frozen=True)
class TrainingRun:
    """A run of a training: its own cost, and the operations of the runs before it."""

    steps: int
    clips: int
    seconds: float
    processes: int
    flops: float
    before: float
    curve: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class History:
    """The runs that made a checkpoint, the first one first, and the name of the weights that it began with, "" for none."""

    runs: Sequence[TrainingRun]
    start: str


def read(runs: Sequence[Path]) -> list[Entry]:
    """Return the entries of the folders of `sora-eval eval-tasks`, by training compute.

    Raises:
        ConfigError: measures are of other weights than the checkpoint has now, or by other options than its own, or not all of one count
            and version.
    """
    found = []
    measured = [read_json(run / "tasks.json") for run in runs]
    for run, tasks in zip(runs, measured, strict=True):
        path = model.find(tasks["checkpoint"])
        loaded = model.load(tasks["checkpoint"])
        weights = checkpoints.read(path, "transformer")[-1]
        if loaded.hash != tasks["hash"]:
            raise ConfigError(f"{run} has measures of other weights than {path} holds: run eval-tasks again")
        if other := [k for k in ("count", "version") if tasks[k] != measured[0][k]]:
            raise ConfigError(f"{run} was measured with another {', '.join(other)} than {runs[0]}")
        asked = {k: v for k, v in tasks["options"].items() if k != "expanded"}
        if Options.of(asked) != Options.of(loaded.sampling):
            raise ConfigError(f"{run} was measured with other options of sampling than {path.stem} has by itself")
        rows = {(r["task"], r["measure"]): r for r in rows_of(tasks["tasks"])}
        found.append(Entry(path.stem, path.stat().st_size, weights, loaded.about, rows, int(tasks["count"])))
    return sorted(found, key=lambda e: (e.square, e.about["flops"]))


def history(entry: Entry, entries: Sequence[Entry]) -> History:
    """Return the runs of a checkpoint back to an entry whose weights it began with, or to those of which no more is recorded."""
    known = {e.weights: e.name for e in entries}
    about, runs = entry.about, list[TrainingRun]()
    while True:
        before = about.get("initial")
        earlier = float(before["flops"]) if before else 0.0
        own = {k: about[k] for k in ("steps", "clips", "seconds", "processes", "curve")}
        runs.insert(0, TrainingRun(flops=about["flops"] - earlier, before=earlier, **own))
        if not before:
            return History(runs, "")
        # Headers of earlier versions have steps, clips and operations of the weights before, and nothing of those before them.
        if before["hash"] in known or "seconds" not in before:
            return History(runs, known.get(before["hash"], before["name"]))
        about = before


def cost_table(entries: Sequence[Entry]) -> str:
    """Return what every network cost to train, the runs of one that was trained on taken together."""
    lines = [
        "| network | file, MB | steps | clips | hours | processes | operations | with those before |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    path = model.FOLDER / f"{model.AUTOENCODER}.safetensors"
    _, _, about, _ = checkpoints.read(path, "autoencoder")
    lines.append(_cost_line("autoencoder", path.stat().st_size, [_run(about)]))
    if "decoder" in about:
        lines.append(_cost_line("its decoder alone, afterwards", None, [_run(about["decoder"])]))
    for e in entries:
        past = history(e, entries)
        runs = f" in {len(past.runs)} runs" if len(past.runs) > 1 else ""
        lines.append(_cost_line(f"{e.name}, from {past.start}{runs}" if past.start else e.name, e.bytes, past.runs))
        if "words" in e.about:
            lines.append(_cost_line(f"words of {e.name} alone, before", None, [_run(e.about["words"])]))
    return "\n".join(lines)


def _run(about: Mapping[str, Any]) -> TrainingRun:
    return TrainingRun(
        before=0.0, **{k: about[k] for k in ("steps", "clips", "seconds", "processes", "flops", "curve")}
    )


def _cost_line(name: str, size: int | None, runs: Sequence[TrainingRun]) -> str:
    steps, clips, hours, flops = (
        sum(values) for values in zip(*((r.steps, r.clips, r.seconds / 3600, r.flops) for r in runs), strict=True)
    )
    processes = "-".join(str(n) for n in sorted({r.processes for r in runs}))
    megabytes = "" if size is None else f"{size / 1e6:.1f}"
    whole = f"{runs[-1].before + runs[-1].flops:.2g}" if runs[-1].before else ""
    return f"| {name} | {megabytes} | {steps:,} | {clips:,} | {hours:.2f} | {processes} | {flops:.2g} | {whole} |"


def scaling_table(entries: Sequence[Entry]) -> str:
    """Return the measures that are followed over compute, a column per checkpoint."""
    compute = " | ".join(f"{e.about['flops']:.2g}" for e in entries)
    lines = [
        f"| measure | {' | '.join(e.name for e in entries)} | oracle | goal |",
        f"|---|{'---:|' * (len(entries) + 1)}---|",
        f"| operations of its training, all runs | {compute} |  |  |",
    ]
    for key in FIGURES:
        rows = [e.rows.get(key) for e in entries]
        some = next((r for r in rows if r is not None), None)
        if some is not None:
            cells = [cell(r["model"]) if r is not None else "" for r in rows]
            lines.append(f"| {', '.join(key)} | {' | '.join(cells)} | {cell(some['oracle'])} | {some['goal']} |")
    return "\n".join(lines)


def text_table(entries: Sequence[Entry]) -> str:
    """Return the measures of text to video with their standard errors, a column per checkpoint."""
    lines = [f"| measure | {' | '.join(e.name for e in entries)} | goal |", f"|---|{'---:|' * len(entries)}---|"]
    for key in FIGURES[:_SHARES]:
        rows = [e.rows[key] for e in entries]
        cells = [f"{cell(r['model'])} ± {cell(r['error'])}" for r in rows]
        lines.append(f"| {', '.join(key)} | {' | '.join(cells)} | {rows[0]['goal']} |")
    return "\n".join(lines)


def plot(entries: Sequence[Entry], shares: Sequence[Entry], path: Path) -> None:
    """Draw the loss of `entries` and the shares of text to video that `shares` measured, over training compute."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for number, e in enumerate(entries):
        for run in (past := history(e, entries)).runs:
            curve = np.array(run.curve)
            name = e.name if run is past.runs[-1] else None
            spent = run.before + run.flops * curve[:, 0] / run.steps
            left.plot(spent, curve[:, 1], label=name, linewidth=1, color=f"C{number}")
    left.set(xscale="log", yscale="log", ylabel="velocity loss")
    left.legend()
    native = [e for e in shares if not e.square]
    for key in FIGURES[:_SHARES]:
        rows = [(e.about["flops"], e.rows[key]) for e in native if key in e.rows]
        right.errorbar(
            [compute for compute, _ in rows],
            [r["model"] for _, r in rows],
            [r["error"] or 0.0 for _, r in rows],
            marker="o",
            capsize=2,
            label=", ".join(key),
        )
    right.set(xscale="log", ylabel="share right", ylim=(0, 1.03))
    right.legend(fontsize=7)
    names = right.secondary_xaxis("top")
    names.set_xticks([e.about["flops"] for e in native], [e.name for e in native], rotation=30, ha="left")
    names.minorticks_off()
    fig.supxlabel("training compute (operations), runs before included", fontsize=10)
    with replacing(path) as part:
        fig.savefig(part, format="png", dpi=110)
    plt.close(fig)


def write(runs: Sequence[Path], text: Sequence[Path], card: Path) -> None:
    """Put the tables into the card and draw its figure beside it.

    text: folders of eval-tasks with tasks=[text] of more members; without any that table stays as it is.

    Raises:
        ConfigError: the card lacks the comments between which the tables go.
    """
    entries = read(runs)
    of_text = read(text)
    named = " ".join([*(r.as_posix() for r in runs), *(["--text"] if text else []), *(r.as_posix() for r in text)])
    command = f"PYTHONPATH=tests python -m benchmarks.model_card {named} --card {card.as_posix()}"
    best = [e for e in entries if not e.square][-1]
    put_between(card, "cost", f"`{command}`\n\n{cost_table(entries)}")
    put_between(card, "scaling", f"{best.count} held-out members per task.\n\n{scaling_table(entries)}")
    put_between(card, "tasks", f"Checkpoint {best.name}.\n\n{table(best.rows.values())}")
    if of_text:
        put_between(card, "text", f"{of_text[0].count} held-out members, ± standard error.\n\n{text_table(of_text)}")
    plot(entries, of_text or entries, card.with_name("model_card_curves.png"))


def main(args: Sequence[str] | None = None) -> None:
    """Write the card from folders of `sora-eval eval-tasks`."""
    parser = argparse.ArgumentParser(description="Put measures of checkpoints into the model card.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of sora-eval eval-tasks")
    parser.add_argument("--text", nargs="*", type=Path, default=[], help="folders of tasks=[text] of more members")
    parser.add_argument("--card", type=Path, default=Path("docs/model_card.md"))
    found = parser.parse_args(args)
    write(found.runs, found.text, found.card)


def put_between(page: Path, name: str, text: str) -> None:
    """Replace what stands between the comments "<!-- NAME: ... -->" and "<!-- /NAME -->" of a Markdown page.

    Raises:
        ConfigError: the page has no such comments.
    """
    before = page.read_text(encoding="utf-8")
    found = re.search(rf"(<!-- {re.escape(name)}: [^\n]*-->\n)(.*?)(<!-- /{re.escape(name)} -->)", before, re.DOTALL)
    if found is None:
        raise ConfigError(f"{page}: the comments <!-- {name}: ... --> and <!-- /{name} --> are missing")
    with replacing(page) as part:
        part.write_text(f"{before[: found.end(1)]}\n{text}\n\n{before[found.start(3) :]}", encoding="utf-8")


if __name__ == "__main__":
    main()
