"""Metrics of audio tracks."""
