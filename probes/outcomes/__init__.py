"""Outcomes: where a scene leaves the outcome to chance, the outcomes of many samples have the distribution of the world's."""

from sora_eval.probes.outcomes.scenes import RidgeDrop, ThrownDie, TopplingStack

__all__ = ["RidgeDrop", "ThrownDie", "TopplingStack"]
