"""`sora-eval eval-tasks`: measures of everything that the reference generator can do, on held-out members."""

from __future__ import annotations

from omegaconf import DictConfig

from sora_eval.commands.sample import sampler_of
from sora_eval.config import flag, names_of, out_folder, whole


def main(config: DictConfig) -> int:
    """Measure, write the table and return the exit code."""
    from sora_eval.generator.reference.evaluation.rows import table
    from sora_eval.generator.reference.evaluation.tasks import evaluate

    names, count = names_of(config, "tasks", "text"), whole(config, "count", 2)
    replace = flag(config, "replace")
    print(table(evaluate(sampler_of(config), str(config.checkpoint), names, count, out_folder(config), replace)))
    print(f"table: {config.out}/tasks.md")
    return 0
