"""Any natural clip: camera motion, cuts and everyday objects by published networks, which abstain where they can't know."""
