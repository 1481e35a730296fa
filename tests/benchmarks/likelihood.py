"""Denoising losses beside samples: `python -m benchmarks.likelihood AUDIT.json LEADERBOARD.csv` writes the tables of docs/audit.md.

AUDIT.json: what `sora-eval audit 'scorers=["likelihood:base", ...]'` wrote. LEADERBOARD.csv: that of runs of the same checkpoints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.cost import ROOT, markdown, write

from sora_eval import registry

_PREFIX = "likelihood "
Areas = Mapping[tuple[str, str, float], float]
"""{(checkpoint, violation, severity): area under the ROC curve of the loss, over matched pairs of a true and a broken clip}."""


def areas(path: Path) -> dict[tuple[str, str, float], float]:
    """Return the areas of an audit's likelihood scorers: 1 less the share of scenes in which the broken clip is the likelier one."""
    found = json.loads(path.read_text(encoding="utf-8"))["preferences"]
    return {
        (p["scorer"].removeprefix(_PREFIX), p["condition"], p["severity"]): 1 - p["rate"]
        for p in found
        if p["kind"] == "violation" and p["scorer"].startswith(_PREFIX)
    }


def sampled(path: Path) -> dict[tuple[str, str], float]:
    """Return {(model, probe): score} of a leaderboard; a model that is called reference-CHECKPOINT also under the checkpoint's name."""
    rows = pd.read_csv(path)
    scores = rows[(rows.kind == "model") & (rows.level == "probe") & (rows.measure == "score")]
    return {
        (str(model).removeprefix("reference-"), str(probe)): float(value)
        for model, probe, value in zip(scores.model, scores.probe, scores.value, strict=True)
    }


def by_severity(found: Areas, checkpoints: Sequence[str]) -> str:
    """Return the mean area over violations, by checkpoint and severity, as a Markdown table."""
    severities = sorted({severity for _, _, severity in found})
    lines = [["severity", *(f"{s:g}" for s in severities)], ["---", *["--:"] * len(severities)]]
    for checkpoint in checkpoints:
        means = [np.mean([v for (c, _, s), v in found.items() if (c, s) == (checkpoint, at)]) for at in severities]
        lines.append([f"`{checkpoint}`", *(f"{mean:.2f}" for mean in means)])
    return markdown(lines)


def by_violation(found: Areas, scores: Mapping[tuple[str, str], float], checkpoints: Sequence[str]) -> str:
    """Return the area at full severity by violation, beside the mean score of samples at the probes that it is a fault of."""
    heads = [f"loss, {c}" for c in checkpoints] + [f"samples, {c}" for c in checkpoints]
    lines = [["violation", "probes", *heads], ["---", "---", *["--:"] * len(heads)]]
    for violation in dict.fromkeys(v for _, v, _ in found):
        probes = [p for p in dict.fromkeys(probe for _, probe in scores) if violation in registry.probe(p).violations]
        losses = [found[c, violation, 1.0] for c in checkpoints]
        means = [np.mean([scores[c, p] for p in probes]) if probes else np.nan for c in checkpoints]
        cells = ["" if np.isnan(value) else f"{value:.2f}" for value in (*losses, *means)]
        lines.append([violation.replace("_", " "), ", ".join(probes), *cells])
    return markdown(lines)


def main() -> None:
    """Write both tables."""
    audit, leaderboard = (Path(argument) for argument in sys.argv[1:3])
    found = areas(audit)
    checkpoints = list(dict.fromkeys(checkpoint for checkpoint, _, _ in found))
    page = ROOT / "docs" / "audit.md"
    write(page, "likelihood by severity", by_severity(found, checkpoints))
    write(page, "likelihood by violation", by_violation(found, sampled(leaderboard), checkpoints))


if __name__ == "__main__":
    main()
