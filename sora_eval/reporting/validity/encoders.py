"""Sensitivity and discrimination of the bundled encoders, as tables and a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sora_eval.files import replacing, write_json
from sora_eval.paths import encodable
from sora_eval.reporting.components.text import pipe
from sora_eval.types import Frames
from sora_eval.validity.encoder_discrimination import Discrimination
from sora_eval.validity.encoder_sensitivity import EncoderResponse
from sora_eval.validity.trials import SEVERITIES
from sora_eval.video import write_png
from sora_eval.video.sheets import labelled_sheet

VERSION = 2
"""Version of encoders.json; raised whenever its fields change."""


def sensitivity_table(rows: Sequence[EncoderResponse]) -> str:
    """Return responses as Markdown: a row per corruption; for each encoder the value at each severity, and Spearman's correlation."""
    measures = list(dict.fromkeys((r.encoder, r.measure) for r in rows))
    corruptions = dict.fromkeys(r.corruption for r in rows)
    by_cell = {(r.corruption, (r.encoder, r.measure)): r for r in rows}
    steps = ", ".join(f"{s:g}" for s in SEVERITIES)
    head = [
        f"corruption, at {steps}",
        "PSNR at 1 (dB, of the mean squared error)",
        *(f"{encoder}: {measure} (Spearman)" for encoder, measure in measures),
    ]
    psnr = {r.corruption: -10 * math.log10(max(r.mse[-1], 1e-9)) for r in rows}
    cells = [
        [f"{c.name} ({c.kind})", f"{psnr[c]:.0f}", *(_response(by_cell.get((c, measure))) for measure in measures)]
        for c in corruptions
    ]
    return pipe(head, cells)


def _response(r: EncoderResponse | None) -> str:
    if r is None:
        return ""
    verdict = ("" if r.required else ", not required") if r.passed else ", MISSED"
    return f"{', '.join(f'{v:.3g}' for v in r.values)} ({r.rho:.2f}{verdict})"


def discrimination_table(rows: Sequence[Discrimination]) -> str:
    """Return accuracies as Markdown."""
    cells = [[r.encoder, r.test, f"{r.accuracy:.2f}", f"{r.chance:.2f}", str(r.n)] for r in rows]
    return pipe(["encoder", "test", "accuracy", "chance", "n"], cells)


def write_encoders(
    parts: Sequence[tuple[Sequence[EncoderResponse], Frames]],
    discrimination: Sequence[Discrimination],
    folder: Path,
    command: str,
    count: int,
) -> list[EncoderResponse]:
    """Write encoders.md, encoders.json and encoders.png and return the required sensitivities that fail."""
    rows = [r for responses, _ in parts for r in responses]
    tables = f"{sensitivity_table(rows)}\n\n{discrimination_table(discrimination)}"
    text = f"# Sensitivity of the bundled encoders\n\nMade by `{command}`, {count} clips per corruption and severity.\n\n{tables}\n"
    with replacing(folder / "encoders.md") as part:
        page = f"{text}\n![Corruptions at each severity, four frames each](encoders.png)\n"
        part.write_text(encodable(page), encoding="utf-8")
    record = {
        "version": VERSION,
        "severities": SEVERITIES,
        "responses": [{**asdict(r), "corruption": r.corruption.name, "kind": r.corruption.kind} for r in rows],
        "discrimination": list(map(asdict, discrimination)),
    }
    write_json(folder / "encoders.json", record)
    pictures = [(responses[0].corruption.name, frames) for responses, frames in parts]
    write_png(folder / "encoders.png", labelled_sheet(pictures, len(pictures[0][1]), 1))
    return [r for r in rows if not r.passed]
