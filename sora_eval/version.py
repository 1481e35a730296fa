"""The version of sora-eval."""

__version__ = "0.1.0"
