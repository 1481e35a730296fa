"""The suite "interaction": changes that remain, each with its cause, in one or several stages, and nothing else that changes."""

from __future__ import annotations

from sora_eval.probes.interaction.bites import Bites
from sora_eval.probes.interaction.filling import Filling
from sora_eval.probes.interaction.folding import Folding
from sora_eval.probes.interaction.footprints import Footprints
from sora_eval.probes.interaction.knocked_wall import KnockedWall
from sora_eval.probes.interaction.painter import Painter
from sora_eval.probes.interaction.relight import Relight
from sora_eval.probes.interaction.stacking import Stacking

__all__ = ["Bites", "Filling", "Folding", "Footprints", "KnockedWall", "Painter", "Relight", "Stacking"]
