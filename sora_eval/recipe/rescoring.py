"""Stored clips scored again with the present code, without touching their run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sora_eval import registry
from sora_eval.errors import ConfigError, SoraEvalError, is_fatal
from sora_eval.files import inside
from sora_eval.generator.answers import one_line
from sora_eval.probes.base import Probe
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.recipe.trust import refuse_foreign
from sora_eval.runs.reader import Run
from sora_eval.scoring import score_of
from sora_eval.tracking.base import Tracker
from sora_eval.types import Case, Score, ScoreRow, Video
from sora_eval.video.codec import read_video
from sora_eval.video.limits import Limits
from sora_eval.video.sources import is_record, read_clip


@dataclass(frozen=True)
class Judge:
    """The tracker and the probes of a run, as they are here."""

    tracker: Tracker
    """The tracker."""
    probes: Mapping[str, Probe]
    """Probes by name."""

    def score(self, folder: Path, row: ScoreRow, case: Case) -> Score:
        """Return the score of a stored clip; what is wrong with it is the reason of a score without a value."""
        path = inside(folder, row.video)
        if not row.video or path is None:
            return Score(None, "there is no clip")
        try:
            video = _read(path, case)
            return score_of(case, video, self.tracker, self.probes[row.probe])
        except SoraEvalError as error:
            return Score(None, " ".join(str(error).split()) or type(error).__name__, failure="technical")
        except Exception as error:
            if is_fatal(error):
                raise
            return Score(None, one_line(error), failure="technical")


def judge_of(run: Run, trust: bool = False) -> Judge:
    """Return the judge of a run. trust: whether a tracker that is not sora-eval's own may be imported.

    Raises:
        ConfigError: the tracker or a probe is not here, or not trusted.
    """
    config = run.manifest.get("config")
    node = config.get("tracker") if isinstance(config, Mapping) else None
    # Runs from before there was a choice have none.
    node = node if isinstance(node, Mapping) else registry.defaults("tracker", "world")
    refuse_foreign({"tracker": node}, trust, f"{run.folder / 'manifest.json'}", "trust=true")
    tracker = registry.tracker(node)
    if not isinstance(tracker, Tracker):
        raise ConfigError(f"tracker {node.get('_target_')} is no tracker")
    return Judge(tracker, {name: registry.probe(name) for name in dict.fromkeys(row.probe for row in run.rows)})


def rescore(judge: Judge, folder: Path, clips: Sequence[tuple[ScoreRow, Case]], workers: int = 1) -> list[Score]:
    """Return the scores of stored clips of a run's folder, in order. workers: processes."""
    if workers <= 1 or len(clips) < 2 * workers:
        return [judge.score(folder, row, case) for row, case in clips]
    scores: dict[int, Score] = {}
    calls = [partial(judge.score, folder, row, case) for row, case in clips]
    for i, score in completed(workers, calls, tries=2):
        scores[i] = Score(None, str(score), failure="technical") if isinstance(score, WorkerKilledError) else score
    return [scores[i] for i in range(len(clips))]


def _read(path: Path, case: Case) -> Video:
    if is_record(path):
        return read_clip(path)
    # A clip from elsewhere: a few kilobytes may hold one of gigabytes.
    return read_video(path, limits=Limits.of(case.size, case.frames, case.fps))
