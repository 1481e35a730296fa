"""Scores of the oracle's clips after changes of their geometry, at four aspects: what alignment gives back, and what it costs.

PYTHONPATH=tests python -m benchmarks.aspect [cases per probe and mode] [aspects, such as 16:9,1:1] [modes, such as i2v,v2v]
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from alignment.changes import ASPECTS, CHANGES

from sora_eval import registry
from sora_eval.evaluation import Loop
from sora_eval.generator.base import Capabilities
from sora_eval.generator.simulator import true_video
from sora_eval.stats.summary import summarise
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Case, Mode, Profile, ScoreRow


@dataclass(frozen=True)
class Changed:
    """The oracle's clips after a change of their geometry."""

    change: str
    kind: ClassVar[str] = "model"
    capabilities: ClassVar[Capabilities] = Capabilities(processes=True)

    @property
    def name(self) -> str:
        return self.change

    def fingerprint(self, case):
        return self.change

    def generate(self, cases):
        for case in cases:
            yield CHANGES[self.change](true_video(case))


def main(count: int, aspects: Sequence[str], modes: Sequence[Mode]) -> None:
    """Print overall scores by aspect and mode, and every clip that scores less than the unchanged one."""
    for aspect in aspects:
        height, width = ASPECTS[aspect]
        profile = Profile("aspect", height, width, 17, 8, 5)
        probes = {name: registry.probe(name) for name in registry.probe_names()}
        with tempfile.TemporaryDirectory() as folder:
            loop = Loop(Path(folder), probes, WorldTracker())
            rows = []
            for probe in probes.values():
                scenes = {mode: probe.cases(count, profile, mode) for mode in modes if mode in probe.modes}
                # Modes and changes share the rendered clip of a scene.
                for cases in zip(*scenes.values(), strict=True):
                    for case in cases:
                        rows += [judged(loop, Changed(change), case) for change in CHANGES]
        for mode in modes:
            report(aspect, mode, [r for r in rows if r.mode == mode])


def judged(loop: Loop, generator: Changed, case: Case) -> ScoreRow:
    """Return the row of one clip."""
    (video,) = generator.generate([case])
    loop.keep_score(generator, case, loop.judged(generator, case, video))
    return loop.row(generator, case)


def report(aspect: str, mode: str, rows: Sequence[ScoreRow]) -> None:
    """Print the scores of a mode at one aspect."""
    plain = {r.case: r for r in rows if r.generator == "none"}
    summary = summarise(rows)
    for change in CHANGES:
        own = [r for r in rows if r.generator == change]
        kinds = Counter(r.alignment.kind if r.alignment else "not found" for r in own)
        found = ", ".join(f"{k} {n}" for k, n in kinds.most_common())
        unjudged = sum(r.value is None for r in own)
        print(
            f"{aspect} {mode} {change:10} {summary.get(change).score:.3f}  not judged {unjudged} of {len(own)}  ({found})",
            flush=True,
        )
    for r in rows:
        if r.counted < plain[r.case].counted - 0.03:
            print(f"   {r.generator} {r.case}: {r.counted:.2f} {r.reason}", flush=True)


if __name__ == "__main__":
    given = [*sys.argv[1:], *("2", ",".join(ASPECTS), "i2v,v2v")[len(sys.argv) - 1 :]]
    main(int(given[0]), given[1].split(","), given[2].split(","))
