"""What makes videos: the world with its controls and violations, folders, callables; installed as sora_eval.generator."""
