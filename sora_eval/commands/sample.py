"""`sora-eval sample`: pictures and videos from the bundled reference generator."""

from __future__ import annotations

from dataclasses import fields

from sora_eval.config import Call, SampleConfig
from sora_eval.generator.reference.options import SampleOptions


def main(config: SampleConfig, call: Call) -> int:
    """Write the samples and return the exit code."""
    from sora_eval.generator.reference.commands import Request, sample, sampler_of

    request = Request(**{f.name: getattr(config, f.name) for f in fields(SampleOptions)})
    for path in sample(sampler_of(config), request):
        print(path)
    return 0
