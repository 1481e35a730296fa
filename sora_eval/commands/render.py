"""`sora-eval render`: clips of the simulated world with their truth."""

from __future__ import annotations

from sora_eval.config import Call, RenderConfig, out_folder


def main(config: RenderConfig, call: Call) -> int:
    """Render the clips that are missing and return the exit code."""
    from sora_eval.data.rendering import check_names, render_set

    check_names(config.family, config.truth)
    workers = config.workers or call.cores
    written = render_set(
        config.family,
        config.count,
        config.profile,
        out_folder(config.out),
        config.seed,
        config.truth,
        workers,
        config.looks,
    )
    print(f"{written} clips are in {config.out}")
    return 0
