"""A run folder that is being written: lock and identity, what is finished there, and the files of a finished run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sora_eval.errors import SoraEvalError
from sora_eval.files import lines_of, read_text, remove_parts, write_json
from sora_eval.runs import identity, sharding
from sora_eval.runs.lock import held
from sora_eval.runs.manifest import report_key
from sora_eval.runs.measures import read_measures, write_measures
from sora_eval.runs.plan import RESULT_OPTIONS, Plan
from sora_eval.runs.reader import Run, read_run, read_scores
from sora_eval.runs.store import SCORES, Store, scores_file
from sora_eval.runs.tracking import TrackingRow, read_tracking, unmeasured, write_tracking
from sora_eval.types import Measure, digest
from sora_eval.version import __version__


@contextmanager
def open_run(plan: Plan) -> Iterator[None]:
    """Hold a run's folder, which takes no other run and no second writer meanwhile, with its identity and cases written.

    Raises:
        ForeignRunError: the folder holds a run of something else.
    """
    lock = plan.folder / (".lock" if plan.shard is None else f".lock-{sharding.name(plan.shard)}")
    source = {str(k): v for k, v in plan.config["generator"].items()}
    with held(lock) as alone:
        identity.adopt_or_refuse(plan.folder, plan.model, plan.cases, source, plan.tracker, plan.replace)
        # Shards hold locks of their own, and may be writing now.
        if alone and plan.shard is None and not (plan.folder / sharding.FOLDER).exists():
            remove_parts(plan.folder)
        identity.write_cases(plan.folder, plan.cases)
        yield


def content_key(scored: Run, problems: Sequence[str], fidelity: str) -> str:
    """Return a hash of all that the files of a finished run depend on. fidelity: fingerprint of its fidelity metrics, "" for none."""
    # Shards of earlier versions lack options that came later.
    config = scored.manifest["config"]
    options = {k: config.get(k) for k in RESULT_OPTIONS if k not in ("prompts", "cases") or k in config}
    return digest([[r.values() for r in scored.rows], options, problems, fidelity, __version__])


def finished(scored: Run, key: str) -> Run | None:
    """Return the finished run in the folder of a scored one if it has this content key and rows, and its files are whole; else None."""
    folder = scored.folder
    if report_key(folder) != key:
        return None
    try:
        read_measures(folder)
        stored = scores_file(folder)
        if stored.name == SCORES:
            whole = read_text(stored) == lines_of([r.values() for r in scored.rows])
        else:
            whole = read_scores(stored) == scored.rows
        # Clips that could not be measured are tried again.
        return read_run(folder) if whole and not unmeasured(read_tracking(folder), scored.rows) else None
    except (SoraEvalError, OSError, ValueError):
        return None


def write_run(
    run: Run, measures: Mapping[str, Mapping[str, Sequence[Measure]]], tracking: Sequence[TrackingRow]
) -> None:
    """Write scores.jsonl, fidelity.json, tracking.jsonl and manifest.json of a run."""
    Store(run.folder).write_rows(run.rows)
    write_measures(run.folder, measures)
    write_tracking(run.folder, tracking)
    write_json(run.folder / "manifest.json", run.manifest)
