"""Scene families by name; each is a module with sample, mirrored, build and caption (see common.py)."""

from __future__ import annotations

from types import ModuleType

from sora_eval.world.families import pass_behind

FAMILIES: dict[str, ModuleType] = {
    "pass_behind": pass_behind,
}
