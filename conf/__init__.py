"""Hydra configuration; a YAML file is the registry entry; installed as sora_eval.conf."""
