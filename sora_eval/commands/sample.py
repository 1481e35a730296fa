"""`sora-eval sample`: pictures and videos from the bundled reference generator."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from sora_eval.config import values_of, whole


def main(config: DictConfig) -> int:
    """Write the samples and return the exit code."""
    from sora_eval.generator.reference.commands import request_of, sample

    request = request_of(values_of(config))
    for path in sample(sampler_of(config), request):
        print(path)
    return 0


def sampler_of(config: DictConfig) -> Any:
    """Return the sampler of a checkpoint with the options of a configuration."""
    from sora_eval.generator.reference.commands import sampler_of as sampler
    from sora_eval.generator.reference.diffusion import Options

    options = Options(whole(config, "steps", 1), config.guidance, config.shift, config.history)
    return sampler(str(config.checkpoint), options, config.expanded)
