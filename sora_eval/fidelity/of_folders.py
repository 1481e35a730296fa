"""Fidelity of a folder of videos against a folder of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sora_eval.errors import SoraEvalError
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.extractors import extract
from sora_eval.fidelity.features import FROZEN, ClipEntry
from sora_eval.fidelity.folders import Prompts, ignored_files, list_videos, read_prompts
from sora_eval.fidelity.measures import continuation_measures, set_measures
from sora_eval.files import read_json
from sora_eval.paths import listed
from sora_eval.runs.identity import CASES
from sora_eval.runs.reader import read_scores
from sora_eval.runs.store import scores_file
from sora_eval.types import Measure
from sora_eval.video.sources import is_record


@dataclass(frozen=True)
class FolderPair:
    """Two folders of videos, listed but not read."""

    real: Mapping[str, Path]
    """Real clips by name."""
    fake: Mapping[str, Path]
    """Generated clips by name; one of the name of a real clip is compared with it."""
    prompts: Prompts
    """Prompts of the generated clips."""
    notes: tuple[str, ...]
    """A line per kind of entries that are no clips, for clips that a run has not scored, and for real clips without a partner where sets
    are compared as pairs."""

    @property
    def paired(self) -> bool:
        """Whether every generated clip has a real one of its name, so that the sets are compared as pairs."""
        return self.fake.keys() <= self.real.keys()


def list_folders(real: Path, fake: Path, prompts: Path | None = None) -> FolderPair:
    """Return the clips of two folders, and the prompts of the second one's from a CSV file.

    Of a folder of clips in a run, RUN/videos/GENERATOR, these are the clips that were scored: where replace=true took the run's folder,
    clips of the earlier run are there too.

    Raises:
        ConfigError: see `list_videos` and `read_prompts`, or the scores of the run can't be read.
    """
    (real_clips, real_notes), (fake_clips, fake_notes) = _scored_clips(real), _scored_clips(fake)
    notes = tuple(dict.fromkeys([*real_notes, *fake_notes]))
    by_clip = Prompts({}, ()) if prompts is None else read_prompts(prompts, fake_clips)
    pair = FolderPair(real_clips, fake_clips, by_clip, notes)
    without = len(real_clips) - len(fake_clips)
    if not (pair.paired and without):
        return pair
    note = f"{real}: {without} of {len(real_clips)} clips have no generated one of their name, and are left out of the pairs"
    return replace(pair, notes=(*notes, note))


def _scored_clips(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the clips of a folder by name, only those that were scored where it is of a run, and a line per kind of what is left out."""
    clips, notes = list_videos(folder), ignored_files(folder)
    place = folder.resolve()
    run = place.parent.parent
    if place.parent.name != "videos" or not (run / CASES).exists() or not scores_file(run).exists():
        return clips, notes
    if not (run / "manifest.json").exists():
        return clips, [*notes, f"{folder}: its run is not finished; clips of an earlier run may be among these"]
    rows = read_scores(scores_file(run))
    scored = {_file_name(run / r.video) for r in rows if r.generator == place.name and r.video}
    kept = {name: path for name, path in clips.items() if path.name in scored}
    if not kept or len(kept) == len(clips):
        return clips, notes
    others = [path.name for name, path in clips.items() if name not in kept]
    return kept, [*notes, f"{folder}: {len(others)} left out, clips that the run's scores don't name: {listed(others)}"]


def _file_name(clip: Path) -> str:
    """Return the name of the file that holds a clip of a run: of a record that of its copy, "" where it has none."""
    if not is_record(clip):
        return clip.name
    try:
        return str(read_json(clip)["copy"])
    except (SoraEvalError, KeyError, TypeError):
        return ""


def of_folders(folders: FolderPair, config: FidelityConfig) -> list[Measure]:
    """Return the measures of a folder against the real one; what can't be measured has a row with the reason.

    Where every generated clip has a real one of its name, the sets are compared as pairs; further real clips are left out.
    """
    real, fake = folders.real, folders.fake
    position = {name: i for i, name in enumerate(dict.fromkeys([*real, *fake]))}
    partners = [name for name in real if name in fake or not folders.paired]
    real_set = extract((ClipEntry(real[name], position[name]) for name in partners), config.for_real_set())
    prompts = folders.prompts.by_clip
    entries = (
        ClipEntry(path, position[name], prompts.get(name, ""), real.get(name), given=0) for name, path in fake.items()
    )
    fake_set = extract(entries, config)
    rows = set_measures(real_set, fake_set, config, paired=folders.paired)
    # In a run, the frozen control has a column of its own.
    return [*rows, *continuation_measures(fake_set, FROZEN)]
