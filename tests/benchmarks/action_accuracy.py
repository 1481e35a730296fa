"""Validity of the judge of a player's actions: `PYTHONPATH=tests python -m benchmarks.action_accuracy [SCENES]` prints a table."""

from __future__ import annotations

import sys
from collections import Counter

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.tracking.view.actions import UNKNOWN, shown_actions
from sora_eval.tracking.view.motion import view_motion
from sora_eval.types import Case, Profile
from sora_eval.validity.nuisances import looks_of, transformed

_PROFILE = Profile("small", 64, 64, 33, 8, 5)
_CLIPS = ("", "H.264 crf 28", "half the frame rate")


def counts(scenes: int, seed: int = 11) -> dict[str, dict[str, Counter[str]]]:
    """Return right, wrong and unknown answers by condition and action, on true clips of the cases of follows_actions."""
    found: dict[str, dict[str, Counter[str]]] = {}

    def judge(case: Case, condition: str, nuisance: str = "") -> None:
        video = transformed(true_video(case), nuisance)
        actions = case.scene["params"]["actions"]
        for action, shown in zip(actions, shown_actions(view_motion(video.frames), len(actions)), strict=True):
            answer = "unknown" if shown.name == UNKNOWN else "right" if shown.name == action else "wrong"
            found.setdefault(condition, {}).setdefault(action, Counter())[answer] += 1

    for case in registry.probe("follows_actions").cases(scenes, _PROFILE, "t2v", seed):
        for nuisance in _CLIPS:
            judge(case, nuisance or "true clip", nuisance)
        for look, severity, dressed in looks_of(case):
            if severity == 1:
                judge(dressed, f"look {look}")
    return found


def table(found: dict[str, dict[str, Counter[str]]]) -> str:
    """Return the counts as a table in Markdown: right / wrong / not judged."""
    actions = sorted({a for row in found.values() for a in row})
    lines = ["| clips | " + " | ".join(actions) + " |", "|---" * (len(actions) + 1) + "|"]
    for condition, row in found.items():
        cells = (row.get(a, Counter()) for a in actions)
        lines.append(
            f"| {condition} | " + " | ".join(f"{c['right']} / {c['wrong']} / {c['unknown']}" for c in cells) + " |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(counts(int(sys.argv[1]) if len(sys.argv) > 1 else 24)))
