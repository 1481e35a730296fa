"""`sora-eval validate`: the validity card, detection statistics of every probe and metric."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from sora_eval.config import Call, ValidateConfig, out_folder
from sora_eval.errors import ConfigError
from sora_eval.files import parse_json, read_text
from sora_eval.probes.selection import select_probes
from sora_eval.types import ALL_MODES


def main(config: ValidateConfig, call: Call) -> int:
    """Write the card; return 1 where a probe misses a fault. A fault that a metric misses is a finding, and no fault of the bench."""
    from sora_eval.reporting.validity.write import write_validity
    from sora_eval.validity.card import make_card, run_trials
    from sora_eval.validity.fidelity_metrics import SETS, fidelity_metric_names
    from sora_eval.validity.tracker import PROBES, tracker_accuracy
    from sora_eval.validity.tracking import PROBE, metric_names
    from sora_eval.validity.trials import TrialPlan, code_hash

    probes = list(select_probes(config.suite.suites, config.suite.probes).values())
    profile, workers = config.profile, config.workers or call.cores
    modes = [m for m in ALL_MODES if m in config.suite.modes]
    count, seed, clips = config.suite.count, config.seed, config.fidelity.count
    if 0 < clips < 2 * SETS:
        raise ConfigError(
            f"fidelity.count must be 0 or at least {2 * SETS}, two clips in each of {SETS} sets, got {clips}"
        )
    folder = out_folder(config.out)
    every = [*(p.name for p in probes), *(fidelity_metric_names() if clips else [])]
    every += metric_names() if any(p.name == PROBE for p in probes) else ()
    _keep_fuller(folder / "validity.json", every, count, clips, config)
    plan = TrialPlan(profile, tuple(modes), count, seed, Path(config.cache), code_hash())
    with tqdm(unit="part", smoothing=0.05) as bar:

        def done(total: int) -> None:
            bar.total = total
            bar.update()

        trials, features = run_trials(probes, plan, clips, workers, done)
    tracked = [c for p in probes if p.name in PROBES for c in p.cases(4, profile, "t2v", seed)]
    trackers = tracker_accuracy(tracked) if tracked else []
    about = f"{count} scenes per probe, modes {', '.join(modes)}, profile {config.profile.name}"
    if clips:
        about += f"; {clips} clips per condition of fidelity metrics"
    card = make_card(call.command, about, probes, plan, clips, trials, features, trackers)
    page = write_validity(card, probes, plan, folder)
    for row in card.missed:
        figures = "unavailable" if row.auc is None else f"worst {row.worst:.2f}, AUC {row.auc:.2f}"
        print(f"missed: {row.subject} {row.mode} {row.condition}: {figures}")
    print(f"card: {page}")
    probed = {p.name for p in probes}
    return 1 if any(r.subject in probed for r in card.missed) else 0


def _keep_fuller(path: Path, names: list[str], count: int, clips: int, config: ValidateConfig) -> None:
    """Refuse to replace a card by one that knows less, unless replace=true.

    Raises:
        ConfigError: the card that is there has more probes or metrics, more scenes or more clips.
    """
    if config.replace or not path.exists():
        return
    try:
        card = parse_json(read_text(path))
        lost = [str(s["name"]) for s in card.get("subjects", ()) if s["name"] not in names]
        counts = {key: int(card.get(key, 0)) for key in ("scenes", "clips")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return
    less = [f"{len(lost)} of its probes and metrics, such as {lost[0]}"] if lost else []
    for key, own in (("scenes", count), ("clips", clips)):
        if counts[key] > own:
            less.append(f"{counts[key] - own} of its {counts[key]} {key}")
    if less:
        raise ConfigError(
            f"{path} has a fuller card, and this one would lose {' and '.join(less)}: set out=FOLDER, or replace=true"
        )
