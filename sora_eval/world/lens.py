"""Effects of the lens."""
