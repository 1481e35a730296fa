"""`sora-eval eval-tasks`: measures of everything that the reference generator can do, on held-out members."""

from __future__ import annotations

from pathlib import Path

from sora_eval.config import Call, EvalTasksConfig, out_folder


def main(config: EvalTasksConfig, call: Call) -> int:
    """Measure, write the table and return the exit code."""
    from sora_eval.generator.reference.commands import sampler_of
    from sora_eval.generator.reference.evaluation.rows import table
    from sora_eval.generator.reference.evaluation.tasks import evaluate

    folder = out_folder(config.out, f"runs/tasks-{Path(config.checkpoint).stem}")
    rows = evaluate(sampler_of(config), config.checkpoint, list(config.tasks), config.count, folder, config.replace)
    print(table(rows))
    print(f"table: {folder / 'tasks.md'}")
    return 0
