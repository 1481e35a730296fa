"""`sora-eval sample`: pictures and videos from the bundled reference generator."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sora_eval.config import Call, SampleConfig
from sora_eval.generator.reference.options import CheckpointOptions, SampleOptions


def main(config: SampleConfig, call: Call) -> int:
    """Write the samples and return the exit code."""
    from sora_eval.generator.reference.commands import Request, sample

    request = Request(**{f.name: getattr(config, f.name) for f in fields(SampleOptions)})
    for path in sample(sampler_of(config), request):
        print(path)
    return 0


def sampler_of(config: CheckpointOptions) -> Any:
    """Return the sampler of a checkpoint with the options of a configuration."""
    from sora_eval.generator.reference.commands import sampler_of as sampler
    from sora_eval.generator.reference.options import Options

    options = Options(config.steps, config.guidance, config.shift, config.guided_until, config.history)
    return sampler(config.checkpoint, options, config.expanded)
