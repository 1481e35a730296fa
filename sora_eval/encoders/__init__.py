"""Networks that turn clips, pictures and words into features, and where their weights come from."""
