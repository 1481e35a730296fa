"""sora-eval: a test bench that tells whether a video generator simulates a world or merely draws one."""

__version__ = "0.1.0"
