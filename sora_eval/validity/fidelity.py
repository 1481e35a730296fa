"""The trials of fidelity metrics: true clips, controls, damages over severities and other looks, through the code that measures a run.

A metric of single clips is tried clip by clip. A distance of sets has no value of one clip. So the clips are dealt into a few sets, and
what counts of each is its pseudo-value: what the distance at full size owes to it (Tukey 1958; Miller 1974). Their mean is the distance
without the bias that comes of these clips; that of the real ones is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sora_eval.encoders import clip as text_encoders
from sora_eval.encoders import perceptual
from sora_eval.encoders import video as video_encoders
from sora_eval.fidelity.extractors import Choice, Collected
from sora_eval.fidelity.measures import measures
from sora_eval.generator.simulator import OTHER
from sora_eval.metrics import frechet, kernel, physics_iq
from sora_eval.metrics.pixels import PSNR_MOST
from sora_eval.stats.intervals import jackknife_variance, pseudo_values, t_quantile
from sora_eval.types import Floats, digest
from sora_eval.validity import encoder_sensitivity
from sora_eval.validity.corruptions import EVERY, Read, Treatment, real_set, true_set
from sora_eval.validity.detection import FIDELITY, Subject
from sora_eval.validity.trials import Trial

COUNT = 48
SETS = 8
"""Sets that the clips are dealt into; a paired test needs six to be significant at .05."""
Distance = Callable[[Floats, Floats], float]


@dataclass(frozen=True)
class Metric:
    """A metric that works with the bundled encoders.

    name: as in a report. reading, key: where `collecting` has its values; key "" for features of sets, of which `distance` makes a number.
    bounds: the least and the greatest value. unclaimed: by what is done to the clips, why the metric does not claim to notice it.
    """

    name: str
    reading: str
    key: str
    higher: bool
    bounds: tuple[float, float]
    unclaimed: Mapping[str, str]
    distance: Distance | None = None


_SPACE = tuple(d.name for d in encoder_sensitivity.DAMAGES if d.kind == "space")
_TIME = tuple(d.name for d in encoder_sensitivity.DAMAGES if d.kind == "time")
_LAW = tuple(d.name for d in encoder_sensitivity.DAMAGES if d.kind == "law")
_SET_OF_TRUE = {
    "mirrored": "a set of mirrored clips is as real: nothing in it has a side",
    OTHER: "a set of other true clips is a true set",
}
_FRAMES_ONLY = "it looks at single frames, whatever their order"
_LOOK_ONLY = "it sees how points move, not how they look"
_STEADY = "a picture that stands still is the steadiest of all"
_ALIKE = "every frame is damaged alike, and stays as like the next"
_SAME_NEIGHBOURS = "frames have the same neighbours"


def _for(names: Sequence[str], why: str) -> dict[str, str]:
    return dict.fromkeys(names, why)


_STEADINESS = {
    **_for(("frozen", "blank", "held"), _STEADY),
    **_for(("reversed", "mirrored", "backwards"), _SAME_NEIGHBOURS),
    **_for(("blur", "coarse", "compression"), _ALIKE),
    **_for((OTHER, *_LAW), "what is shown is steady, and steadiness is all that is asked"),
}
_STATES = {
    "mirrored": "an event in a mirror is the same event",
    **_for((*_SPACE, *_LAW), "the event is shown, if badly"),
    OTHER: "another clip of the same event shows it as well",
}
_KVD = partial(kernel.mmd, kernel=kernel.KVD)
_INFINITE = (0.0, float("inf"))
METRICS: tuple[Metric, ...] = (
    Metric("world-FVD", "video", "", False, _INFINITE, _SET_OF_TRUE, frechet.frechet_distance),
    Metric("world-KVD", "video", "", False, _INFINITE, _SET_OF_TRUE, _KVD),
    Metric(
        "motion distance",
        "motion",
        "",
        False,
        _INFINITE,
        {**_SET_OF_TRUE, **_for((*_SPACE, "vanishing"), _LOOK_ONLY)},
        frechet.frechet_distance,
    ),
    Metric(
        "world-clip CLIPSIM",
        "words",
        "CLIPSIM",
        True,
        (-1.0, 1.0),
        {
            **_for(("shuffled", "reversed", "frozen", *_TIME), _FRAMES_ONLY),
            **_for(_LAW, "the prompt's things are there, and lawfulness is nothing that it learnt"),
            "mirrored": "left and right are a guess to it: see the encoders' table",
        },
    ),
    Metric("temporal consistency", "words", "temporal consistency", True, (-1.0, 1.0), _STEADINESS),
    Metric("subject consistency", "words", "subject consistency", True, (-1.0, 1.0), _STEADINESS),
    Metric("state change", "words", "state change", True, (-1.0, 1.0), _STATES),
    Metric("directional similarity", "words", "directional similarity", True, (-1.0, 1.0), _STATES),
    Metric("lpips-world", "pairs", "perceptual", False, (0.0, 1.0), {}),
    Metric("SSIM", "likeness", "SSIM", True, (-1.0, 1.0), {}),
    Metric("PSNR (dB)", "likeness", "PSNR (dB)", True, (0.0, PSNR_MOST), {}),
    *(Metric(k, "continuation", k, higher, (0.0, 1.0), {}) for k, higher in physics_iq.HIGHER_IS_BETTER.items()),
)


@dataclass(frozen=True)
class SetDistance:
    """A distance of sets at full size: `value` of n treated clips and n real ones, and `floor` of n true clips and the same real ones.

    low, high: 95% interval of value - floor, by leaving out one set of clips at a time (a jackknife with Student's t).
    """

    metric: str
    kind: str
    what: str
    severity: float
    n: int
    value: float
    floor: float
    low: float
    high: float


def subjects(protocols: Mapping[str, str], count: int) -> list[Subject]:
    """Return the metrics as subjects of the card, those whose weights are absent as well. protocols: by reading."""
    found = []
    for m in METRICS:
        unit = f"set of {count // SETS} clips" if m.distance else "clip"
        by_design = {("", what): why for what, why in m.unclaimed.items()}
        about = protocols.get(m.reading, "")
        found.append(Subject(m.name, FIDELITY, "metric", about, 1, m.higher, m.bounds, by_design, unit))
    return [*found, *absent()]


def names() -> list[str]:
    """Return the names of all metrics, those whose weights are absent as well."""
    return [*(m.name for m in METRICS), *(s.name for s in absent())]


def absent() -> list[Subject]:
    """Return the metrics of the standard encoders, with the reason why each is not on the card."""
    choices = [Choice(("frechet", "kernel"), video=v) for v in video_encoders.ENCODERS if v != Choice().video]
    choices += [Choice(("words",), words=w) for w in text_encoders.NAMES if w != Choice().words]
    choices += [Choice(("pairs",), distance=d) for d in perceptual.NAMES if d != Choice().distance]
    found = []
    for choice in choices:
        (encoder,) = choice.encoders
        reason = "; ".join(choice.absent()) or f"{encoder} is here, but the card tries the bundled encoders only"
        missing = Collected(missing=dict.fromkeys(choice.kinds, reason))
        for row in measures(missing, missing, choice):
            name = row.metric if row.metric not in {m.name for m in METRICS} else f"{row.metric}, {encoder}"
            if choice.metrics == ("words",) and row.metric == "CLIPSIM":
                name = f"CLIPSIM, {encoder}"
            if row.metric not in {m.name for m in METRICS if m.reading == "likeness"}:
                found.append(Subject(name, FIDELITY, "metric", higher=row.higher_is_better, missing=reason))
    return found


def trials(found: Mapping[Treatment, Read]) -> list[Trial]:
    """Return the trials of every metric: of clips, or of sets against the real clips."""
    rows: list[Trial] = []
    for t, mine in found.items():
        for m in METRICS:
            if t.families == EVERY:
                rows += _trials(m, t, mine, found)
            elif t.kind == "oracle":
                # The truth of a damage that is tried on clips of its own families.
                for d in (d for d in encoder_sensitivity.DAMAGES if d.families == t.families):
                    own = replace(t, kind="violation", what=d.name)
                    rows += _trials(m, own, mine, found)
            elif t.kind != "held":
                rows += _trials(m, t, mine, found)
    return rows


def _trials(metric: Metric, t: Treatment, mine: Read, found: Mapping[Treatment, Read]) -> list[Trial]:
    def trial(unit: str, value: float | None, reason: str = "") -> Trial:
        # Pairs of the same clip, damaged and not, are of one unit; the real set's are others.
        name = f"{'held' if t.kind == 'held' else 'card'}.{digest(t.families, 4)}.{unit}"
        return Trial(metric.name, "", t.kind, t.what, t.severity, name, value, reason)

    if metric.reading in mine.missing:
        return [trial("all", None, mine.missing[metric.reading])]
    if metric.distance is None:
        return [trial(str(i), v) for i, v in sorted(mine.values.get(metric.key, {}).items())]
    real = found.get(real_set(t.families))
    # Between true sets, the distance of the truth is itself what is to be compared.
    if t.kind == "held" or real is None or metric.reading in real.missing:
        return []
    values = _pseudo(metric.distance, _rows(metric, mine), _rows(metric, real))
    return [trial(f"set{k}", float(v)) for k, v in enumerate(values)]


def _pseudo(distance: Distance, x: Floats, y: Floats) -> Floats:
    """Return the jackknife's pseudo-values [SETS] of the sets of x: `K theta - (K - 1) theta without k`."""
    without = np.array([distance(_without(x, k), y) for k in range(SETS)])
    return pseudo_values(distance(x, y), without)


def distances(found: Mapping[Treatment, Read]) -> list[SetDistance]:
    """Return the distances of sets at full size against their floor, for all but true sets."""
    rows = []
    for t, mine in found.items():
        if t.kind in ("held", "oracle"):
            continue
        real, true = found.get(real_set(t.families)), found.get(true_set(t.families))
        for m in METRICS:
            if m.distance is None or real is None or true is None or m.reading in mine.missing:
                continue
            x, floor, y = (_rows(m, r) for r in (mine, true, real))
            value, low = m.distance(x, y), m.distance(floor, y)
            reach = _reach(m.distance, x, floor, y)
            rows.append(
                SetDistance(
                    m.name, t.kind, t.what, t.severity, len(x), value, low, value - low - reach, value - low + reach
                )
            )
    return rows


def _reach(distance: Distance, x: Floats, true: Floats, y: Floats) -> float:
    """Return half the width of the 95% interval of distance(x, y) - distance(true, y).

    Rows of x and true are of the same scenes and leave together, rows of y by themselves (a two-sample delete-a-group jackknife).
    """
    of_made = np.array([distance(_without(x, k), y) - distance(_without(true, k), y) for k in range(SETS)])
    of_real = np.array([distance(x, _without(y, k)) - distance(true, _without(y, k)) for k in range(SETS)])
    variance = jackknife_variance(of_made) + jackknife_variance(of_real)
    return float(t_quantile(0.975, SETS - 1) * np.sqrt(variance))


def _without(rows: Floats, k: int) -> Floats:
    return np.delete(rows, np.s_[k::SETS], axis=0)


def _rows(metric: Metric, found: Read) -> Floats:
    return found.features if metric.reading == "video" else found.motion
