"""Clips of the world for training and for held-out measures."""
