"""The page of an audit: which wrong clips a scorer prefers to the truth."""
