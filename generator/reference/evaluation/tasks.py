"""The tasks of `sora-eval eval-tasks`, measured one by one and written as a table.

Each is measured on the model, on the world's own clips (oracle) and on their first frame held (frozen). The world's tracker judges.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError, unknown
from sora_eval.files import read_json, replacing, write_json
from sora_eval.generator.reference import sampler as sampling
from sora_eval.generator.reference.evaluation import editing, prompts, seams
from sora_eval.generator.reference.evaluation.rows import Row, goal, table
from sora_eval.generator.reference.sampler import PromptWarning, Sampler

VERSION = "4"
"""Raised whenever a measure of the same clips changes."""
TASKS: Mapping[str, Callable[[Sampler, int], Iterator[Row]]] = {
    "autoencoder": prompts.autoencoder,
    "text": prompts.text,
    "aspect": prompts.aspect,
    "image": prompts.image,
    "extend": seams.extend,
    "loop": editing.loop,
    "connect": editing.connect,
    "edit": editing.edit,
    "variations": prompts.variations,
    "long": seams.long,
    "actions": seams.actions,
}


def evaluate(
    sampler: Sampler, checkpoint: str, names: list[str], count: int, out: Path, replace: bool = False
) -> list[Mapping[str, Any]]:
    """Measure tasks, write them as a table (Markdown and JSON) after each, and return the rows of `out`.

    checkpoint: the name or path that the sampler's model was loaded by. names: of tasks, [] for all; tasks that `out` already has of the
    same weights, count, options and version are not measured again. replace: whether other measures in `out` may be replaced.

    Raises:
        ConfigError: a task is unknown, or `out` has measures of something else.
    """
    for name in names:
        if name not in TASKS:
            raise unknown("task", name, TASKS)
    about = {
        "checkpoint": checkpoint,
        "hash": sampler.model.hash,
        "count": count,
        "options": {**asdict(sampler.options), "expanded": sampler.expanded},
        "version": f"{sampling.VERSION}.{VERSION}",
    }
    done: dict[str, dict[str, Any]] = {}
    if (out / "tasks.json").exists():
        before = read_json(out / "tasks.json")
        # The same weights by another path are the same.
        other = [k for k in about if k != "checkpoint" and before.get(k) != about[k]]
        if other and not replace:
            raise ConfigError(
                f"{out} has measures of another {', '.join(other)}: name another out=, or set replace=true"
            )
        done = {} if other else before.get("tasks", {})
        if not isinstance(done, dict) or not all(isinstance(d, dict) and "rows" in d for d in done.values()):
            raise ConfigError(f"{out / 'tasks.json'}: no measures of tasks: remove it and run the same command again")
    for name in [n for n in names or TASKS if n not in done]:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PromptWarning)
            rows = [r.to_json() for r in TASKS[name](sampler, count)]
        done[name] = {"seconds": round(time.perf_counter() - start, 1), "rows": rows}
        print(f"{name}: {done[name]['seconds']} s", flush=True)
        done = {k: done[k] for k in TASKS if k in done}
        write_json(out / "tasks.json", {**about, "tasks": done})
        with replacing(out / "tasks.md") as part:
            part.write_text(table(rows_of(done)) + "\n", encoding="utf-8")
    return rows_of(done)


def rows_of(tasks: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of the tasks of a tasks.json, as `Row.to_json` gives them, with the goals of today."""
    return [{**row, "goal": goal(row["task"], row["measure"])} for found in tasks.values() for row in found["rows"]]
