"""Digital world: a world of blocks is played; the picture follows each action, blocks stay as they were left, the view is the asked one.

Actions are part of a case: as words in its prompt, and per frame for models that take them (`world/action_scripts.py`). In t2v there is the
prompt alone. How the view moves is measured on the picture (`tracking/view`), blocks and figure are found by colour.
"""

from __future__ import annotations

from sora_eval.probes.digital_world.actions import FollowsActions
from sora_eval.probes.digital_world.blocks import BlocksStay, BreaksAndPlaces
from sora_eval.probes.digital_world.views import PlayersView, ViewReturns

__all__ = ["BlocksStay", "BreaksAndPlaces", "FollowsActions", "PlayersView", "ViewReturns"]
