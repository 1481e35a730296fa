"""Curves over the checkpoints of a sweep."""
