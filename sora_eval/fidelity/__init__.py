"""Fidelity metrics: features of clips, and distances between sets of them."""
