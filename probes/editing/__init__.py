"""The suite of editing: clips that go on from given frames, go over into others, loop, or change what the prompt says and nothing else."""

from __future__ import annotations

from sora_eval.probes.editing.backgrounds import ChangeBackground
from sora_eval.probes.editing.edits import Recolour
from sora_eval.probes.editing.loops import EndlessLoop
from sora_eval.probes.editing.transitions import Extension, Transition

__all__ = ["ChangeBackground", "EndlessLoop", "Extension", "Recolour", "Transition"]
