"""`sora-eval render`: clips of the simulated world with their truth."""

from __future__ import annotations

from omegaconf import DictConfig

from sora_eval.config import chosen_profile, out_folder, whole, workers_of


def main(config: DictConfig) -> int:
    """Render the clips that are missing and return the exit code."""
    from sora_eval.data.rendering import check_names, render_set

    profile, workers = chosen_profile(config), workers_of(config)
    count, seed = whole(config, "count", 1), whole(config, "seed", 0)
    check_names(str(config.family), str(config.truth))
    written = render_set(config.family, count, profile, out_folder(config), seed, config.truth, workers)
    print(f"{written} clips are in {config.out}")
    return 0
