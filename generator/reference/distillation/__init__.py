"""Distillation: the same network, sampled in fewer steps and without guidance."""
