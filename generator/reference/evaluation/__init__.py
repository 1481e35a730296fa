"""Evaluation of the reference generator on held-out members of the world, task by task."""
