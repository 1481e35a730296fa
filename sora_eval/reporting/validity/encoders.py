"""What the bundled encoders notice and can tell apart, as tables and a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sora_eval.files import put_between, replacing, write_json
from sora_eval.paths import encodable
from sora_eval.reporting.components.text import pipe
from sora_eval.types import Frames
from sora_eval.validity.encoder_discrimination import Answer
from sora_eval.validity.encoder_sensitivity import SEVERITIES, Response
from sora_eval.video import write_png
from sora_eval.video.sheets import labelled_sheet


def dose_table(rows: Sequence[Response]) -> str:
    """Return responses as Markdown: a row per damage; for each encoder the value at each severity, and how steadily it grows."""
    ways = list(dict.fromkeys((r.encoder, r.measure) for r in rows))
    damages = dict.fromkeys(r.damage for r in rows)
    found = {(r.damage, (r.encoder, r.measure)): r for r in rows}
    steps = ", ".join(f"{s:g}" for s in SEVERITIES)
    head = [
        f"damage, at {steps}",
        "PSNR at 1 (dB, of the mean squared error)",
        *(f"{encoder}: {measure} (Spearman)" for encoder, measure in ways),
    ]
    psnr = {r.damage: -10 * math.log10(max(r.error[-1], 1e-9)) for r in rows}
    cells = [
        [f"{d.name} ({d.kind})", f"{psnr[d]:.0f}", *(_response(found.get((d, way))) for way in ways)] for d in damages
    ]
    return pipe(head, cells)


def _response(r: Response | None) -> str:
    if r is None:
        return ""
    told = ("" if r.claimed else ", not claimed") if r.good else ", MISSED"
    return f"{', '.join(f'{v:.3g}' for v in r.values)} ({r.rho:.2f}{told})"


def answers_table(rows: Sequence[Answer]) -> str:
    """Return answers as Markdown."""
    cells = [[r.encoder, r.question, f"{r.right:.2f}", f"{r.guess:.2f}", str(r.n)] for r in rows]
    return pipe(["encoder", "question", "right", "a guess", "of"], cells)


def write_encoders(
    parts: Sequence[tuple[Sequence[Response], Frames]],
    answers: Sequence[Answer],
    folder: Path,
    command: str,
    count: int,
    readme: Path | None = None,
) -> list[Response]:
    """Write encoders.md, encoders.json and encoders.png, put the tables into a page, and return the claims that do not hold."""
    rows = [r for some, _ in parts for r in some]
    tables = f"{dose_table(rows)}\n\n{answers_table(answers)}"
    text = f"# What the bundled encoders notice\n\nMade by `{command}`, {count} clips per damage and severity.\n\n{tables}\n"
    with replacing(folder / "encoders.md") as part:
        page = f"{text}\n![Damages at each severity, four frames each](encoders.png)\n"
        part.write_text(encodable(page), encoding="utf-8")
    told = [{**asdict(r), "damage": r.damage.name, "kind": r.damage.kind} for r in rows]
    write_json(
        folder / "encoders.json", {"severities": SEVERITIES, "responses": told, "answers": list(map(asdict, answers))}
    )
    pictures = [(some[0].damage.name, frames) for some, frames in parts]
    write_png(folder / "encoders.png", labelled_sheet(pictures, len(pictures[0][1]), 1))
    if readme is not None:
        put_between(readme, "encoders", f"`{command}`\n\n{tables}")
    return [r for r in rows if not r.good]
