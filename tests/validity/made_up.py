"""Made-up subjects and trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sora_eval import registry
from sora_eval.validity.detection import (
    Subject,
)
from sora_eval.validity.trials import (
    Kind,
    Trial,
)

ROOT = Path(__file__).parents[2]
SMALL = registry.profile("small")
PROBE = Subject("probe", "suite", "probe")
METRIC = Subject("metric", "fidelity", "metric", higher_is_better=False, bounds=(0.0, np.inf), unit="clip")


def trials_of(
    kind: Kind, condition: str, values: list[float], severity: float = 1.0, subject: str = "probe", **more: str
) -> list[Trial]:
    """Return a trial per scene."""
    mode = "t2v" if subject == "probe" else ""
    return [Trial(subject, mode, kind, condition, severity, f"scene{i}", v, **more) for i, v in enumerate(values)]
