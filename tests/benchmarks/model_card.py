"""`make card`: measures of all bundled checkpoints, into docs/model_card.md between its comments, with their curves as a picture.

What a checkpoint cost (steps, clips, hours, operations) is read from its own header, what it can do from the tables of
`sora-eval eval-tasks`.
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


@dataclass(frozen=True)
class Entry:
    """A checkpoint: its header, and its measures, {(task, measure): row}."""

    name: str
    bytes: int
    about: Mapping[str, Any]
    rows: Mapping[tuple[str, str], Mapping[str, Any]]
    count: int


def read(runs: Sequence[Path]) -> list[Entry]:
    """Return the entries of the folders of `sora-eval eval-tasks`, by training compute.

    Raises:
        ConfigError: measures are of other weights than the checkpoint has now, or not all of one count, version and options.
    """
    found = []
    measured = [read_json(run / "tasks.json") for run in runs]
    for run, tasks in zip(runs, measured, strict=True):
        path = model.find(tasks["checkpoint"])
        loaded = model.load(tasks["checkpoint"])
        if loaded.hash != tasks["hash"]:
            raise ConfigError(f"{run} has measures of other weights than {path} holds: run eval-tasks again")
        if other := [k for k in ("count", "options", "version") if tasks[k] != measured[0][k]]:
            raise ConfigError(f"{run} was measured with another {', '.join(other)} than {runs[0]}")
        rows = {(r["task"], r["measure"]): r for r in rows_of(tasks["tasks"])}
        found.append(Entry(path.stem, path.stat().st_size, loaded.about, rows, int(tasks["count"])))
    return sorted(found, key=lambda e: (e.about["plan"]["square"], e.about["flops"]))


def cost_table(entries: Sequence[Entry]) -> str:
    """Return what every network cost to train."""
    lines = [
        "| network | file, MB | steps | clips | hours | processes | operations |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    path = model.FOLDER / f"{model.AUTOENCODER}.safetensors"
    _, _, about, _ = checkpoints.read(path, "autoencoder")
    networks: list[tuple[str, int | None, Mapping[str, Any]]] = [("autoencoder", path.stat().st_size, about)]
    if "decoder" in about:
        networks.append(("its decoder alone, afterwards", None, about["decoder"]))
    for e in entries:
        networks.append((e.name, e.bytes, e.about))
        if "words" in e.about:
            networks.append((f"words of {e.name} alone, before", None, e.about["words"]))
    for name, size, a in networks:
        megabytes = "" if size is None else f"{size / 1e6:.1f}"
        spent = f"{a['steps']:,} | {a['clips']:,} | {a['seconds'] / 3600:.2f} | {a['processes']} | {a['flops']:.2g}"
        lines.append(f"| {name} | {megabytes} | {spent} |")
    return "\n".join(lines)


def scaling_table(entries: Sequence[Entry]) -> str:
    """Return the measures that are followed over compute, a column per checkpoint."""
    lines = [
        f"| measure | {' | '.join(e.name for e in entries)} | oracle | goal |",
        f"|---|{'---:|' * (len(entries) + 1)}---|",
    ]
    for key in FIGURES:
        rows = [e.rows.get(key) for e in entries]
        some = next((r for r in rows if r is not None), None)
        if some is not None:
            cells = [cell(r["model"]) if r is not None else "" for r in rows]
            lines.append(f"| {', '.join(key)} | {' | '.join(cells)} | {cell(some['oracle'])} | {some['goal']} |")
    return "\n".join(lines)


def plot(entries: Sequence[Entry], path: Path) -> None:
    """Draw the loss over steps and the measures over training compute."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for e in entries:
        curve = np.array(e.about["curve"])
        left.plot(curve[:, 0], curve[:, 1], label=e.name, linewidth=1)
    left.set(xscale="log", yscale="log", xlabel="step", ylabel="velocity loss")
    left.legend()
    native = [e for e in entries if not e.about["plan"]["square"]]
    for key in FIGURES[:5]:
        rows = [(e.about["flops"], e.rows[key]) for e in native if key in e.rows]
        right.errorbar(
            [compute for compute, _ in rows],
            [r["model"] for _, r in rows],
            [r["error"] or 0.0 for _, r in rows],
            marker="o",
            capsize=2,
            label=", ".join(key),
        )
    right.set(xscale="log", xlabel="training compute (operations)", ylabel="share right", ylim=(0, 1.03))
    right.legend(fontsize=7)
    with replacing(path) as part:
        fig.savefig(part, format="png", dpi=110)
    plt.close(fig)


def write(runs: Sequence[Path], card: Path) -> None:
    """Put the tables into the card and draw its figure beside it.

    Raises:
        ConfigError: the card lacks the comments between which the tables go.
    """
    entries = read(runs)
    command = f"PYTHONPATH=tests python -m benchmarks.model_card {' '.join(r.as_posix() for r in runs)} --card {card.as_posix()}"
    best = [e for e in entries if not e.about["plan"]["square"]][-1]
    put_between(card, "cost", f"`{command}`\n\n{cost_table(entries)}")
    put_between(card, "scaling", f"{best.count} held-out members per task.\n\n{scaling_table(entries)}")
    put_between(card, "tasks", f"Checkpoint {best.name}.\n\n{table(best.rows.values())}")
    plot(entries, card.with_name("model_card_curves.png"))


def main(args: Sequence[str] | None = None) -> None:
    """Write the card from folders of `sora-eval eval-tasks`."""
    parser = argparse.ArgumentParser(description="Put measures of checkpoints into the model card.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of sora-eval eval-tasks")
    parser.add_argument("--card", type=Path, default=Path("docs/model_card.md"))
    found = parser.parse_args(args)
    write(found.runs, found.card)


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
