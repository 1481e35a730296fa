"""Things named in words: boxes, masks and depth by published networks of a model hub, which abstain where they are unsure."""
