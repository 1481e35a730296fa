"""Distributions of random outcomes over the samples of a prompt."""
