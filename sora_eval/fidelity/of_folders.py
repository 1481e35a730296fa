"""Fidelity of a folder of videos against a folder of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.extractors import extract
from sora_eval.fidelity.features import FROZEN, ClipEntry
from sora_eval.fidelity.folders import Prompts, ignored_files, list_videos, read_prompts
from sora_eval.fidelity.measures import continuation_measures, set_measures
from sora_eval.types import Measure


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
    """A line per kind of entries that are no clips, and one for real clips without a partner where sets are compared as pairs."""

    @property
    def paired(self) -> bool:
        """Whether every generated clip has a real one of its name, so that the sets are compared as pairs."""
        return self.fake.keys() <= self.real.keys()


def list_folders(real: Path, fake: Path, prompts: Path | None = None) -> FolderPair:
    """Return the clips of two folders, and the prompts of the second one's from a CSV file.

    Raises:
        ConfigError: see `list_videos` and `read_prompts`.
    """
    real_clips, fake_clips = list_videos(real), list_videos(fake)
    notes = tuple(dict.fromkeys([*ignored_files(real), *ignored_files(fake)]))
    by_clip = Prompts({}, ()) if prompts is None else read_prompts(prompts, fake_clips)
    pair = FolderPair(real_clips, fake_clips, by_clip, notes)
    without = len(real_clips) - len(fake_clips)
    if not (pair.paired and without):
        return pair
    note = f"{real}: {without} of {len(real_clips)} clips have no generated one of their name, and are left out of the pairs"
    return replace(pair, notes=(*notes, note))


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
