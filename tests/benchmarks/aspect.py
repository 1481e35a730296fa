"""Scores of the oracle's clips after changes of their geometry, at four aspects: what alignment gives back, and what it costs.

PYTHONPATH=tests python -m benchmarks.aspect [cases per probe and mode] [aspects, such as 16:9,1:1] [modes, such as i2v,v2v]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from alignment.changes import ASPECTS, CHANGES

from sora_eval import registry
from sora_eval.evaluation import evaluate
from sora_eval.generator.base import Capabilities
from sora_eval.generator.simulator import true_video
from sora_eval.stats.summary import summarise
from sora_eval.types import Mode, Profile


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
        for mode in modes:
            cases = [c for p in probes.values() if mode in p.modes for c in p.cases(count, profile, mode)]
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                rows = evaluate(cases, probes, [Changed(c) for c in CHANGES], Path(folder), progress=False).rows
            plain = {r.case: r for r in rows if r.generator == "none"}
            summary = summarise(rows)
            kinds = defaultdict(Counter)
            for r in rows:
                kinds[r.generator][r.alignment.kind if r.alignment else "not found"] += 1
            for change in CHANGES:
                overall = summary.get(change)
                unjudged = sum(r.value is None for r in rows if r.generator == change)
                found = ", ".join(f"{k} {n}" for k, n in kinds[change].most_common())
                print(f"{aspect} {mode} {change:10} {overall.score:.3f}  not judged {unjudged}  ({found})", flush=True)
            for r in rows:
                if r.counted < plain[r.case].counted - 0.03:
                    print(f"   {r.generator} {r.case}: {r.counted:.2f} {r.reason}")
            print(f"   {len(rows)} clips, {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    given = [*sys.argv[1:], *("2", ",".join(ASPECTS), "i2v,v2v")[len(sys.argv) - 1 :]]
    main(int(given[0]), given[1].split(","), given[2].split(","))
