"""Ablation of the transformer at equal compute: the same data, curriculum and seeds, and each variant's steps from its cost per clip.

    PYTHONPATH=tests python -m benchmarks.ablation --trained runs/reference --data runs/reference/data --flops 1e14 --out runs/ablation

`trained` has autoencoder.safetensors and words/, of stages autoencoder and words. Each variant resumes where it stopped; the table is
written after each. With `--initial 42x` variants of its widths and heads go on from the weights of a checkpoint and need no words/.
`python -m benchmarks.ablation --measure FILE` measures one checkpoint and appends a line to `out`/log.md.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from sora_eval import registry
from sora_eval.data.heldout import FIRST, members
from sora_eval.generator.reference import diffusion, losses, model, recipe, stages
from sora_eval.generator.reference.adapter import Reference
from sora_eval.generator.reference.evaluation.tasks import evaluate
from sora_eval.generator.reference.options import Plan
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.reference.transformer import Transformer, TransformerConfig
from sora_eval.tracking.world import track
from sora_eval.training import loop
from sora_eval.training.tensors import to_tensor
from sora_eval.types import Video

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    # 8 x 8 pixels around a trunk of 16 x 16; the recipe as it is.
    "hourglass": {},
    # As much compute per clip in more blocks of 16 x 16.
    "deeper": {"fine_depth": [0, 0], "depth": 8},
    # Nearly all of it at 8 x 8: what patches of one latent position would be.
    "fine": {"fine_depth": [2, 3], "fine_width": 128, "fine_heads": 4, "depth": 2},
    # Less per clip, more clips.
    "shallow": {"fine_depth": [0, 0]},
}
"""Changes of the recipe's network, by name."""
FAMILIES: tuple[str, ...] = ("room", "relation", "evolves_unseen", "single", "voxel")
LEVELS: tuple[float, ...] = (0.1, 0.3, 0.5, 0.8)
SEED = 777
"""Of the probes' cases here: the suites have others."""
SUITES: Mapping[str, tuple[str, ...]] = {"i2v": ("consistency_3d", "object_permanence"), "v2v": ("consistency_3d",)}


def validation_loss(m: model.Model, count: int) -> dict[str, float]:
    """Return the velocity loss on held-out members of families, the mean over noise levels, with and without a given first chunk."""
    found = {}
    for family in FAMILIES:
        clips = members(family, count)
        ids = m.words.encode([c.caption for c in clips], m.transformer.config.text_length)
        with torch.inference_mode():
            z = torch.cat([m.autoencoder.encode(to_tensor(c.frames)[None]) for c in clips])
            errors = []
            for level in LEVELS:
                for first in (False, True):
                    given = torch.zeros(z.shape[:2], dtype=torch.bool)
                    given[:, 0] = first
                    t = torch.where(given, 1.0, level)
                    eps = torch.randn(z.shape, generator=torch.Generator().manual_seed(FIRST))
                    predicted = m.transformer(diffusion.add_noise(z, eps, t), t, given, ids)
                    errors.append(float(losses.velocity_loss(predicted, z, t, given)))
        found[f"loss {family}"] = float(np.mean(errors))
    return found


def probe_scores(checkpoint: Path, count: int, suites: Mapping[str, Sequence[str]] = SUITES) -> dict[str, float]:
    """Return the mean score of suites by mode; what can't be judged counts as 0."""
    generator, found = Reference(checkpoint=str(checkpoint)), {}
    for mode, chosen in suites.items():
        for suite in chosen:
            scores = []
            for name, (its_suite, _) in registry.probe_names().items():
                if its_suite != suite:
                    continue
                probe = registry.probe(name)
                cases = probe.cases(count, registry.profile("small"), mode, SEED)  # type: ignore[arg-type]
                clips = [v for v in generator.generate(cases) if isinstance(v, Video)]
                scores += [probe.score(c, v, track(v)).value or 0.0 for c, v in zip(cases, clips, strict=True)]
            found[f"{suite} {mode}"] = float(np.mean(scores))
    return found


def measure(checkpoint: Path, count: int, out: Path) -> dict[str, float]:
    """Return all measures of a checkpoint."""
    found = model.load(str(checkpoint))
    rows = evaluate(Sampler(found), str(checkpoint), ["text", "image"], count, out, replace=True)
    tasks = {f"{row['task']}: {row['measure']}": float(row["model"]) for row in rows}
    return {**validation_loss(found, min(count, 24)), **tasks, **probe_scores(checkpoint, max(2, count // 10))}


def flops_per_clip(config: TransformerConfig) -> float:
    """Return the operations of a training step on one clip of 64 x 64 x 17, forward and backward."""
    network = Transformer(config)
    z, t, given = torch.randn(1, 5, config.channels, 8, 8), torch.rand(1, 5), torch.zeros(1, 5, dtype=torch.bool)
    ids = torch.ones(1, config.text_length, dtype=torch.long)
    return loop.operations(lambda: losses.velocity_loss(network(z, t, given, ids), z, t, given).backward())  # type: ignore[no-untyped-call]


def train(name: str, args: argparse.Namespace) -> Path:
    """Train a variant for so many operations in all and return its checkpoint. args: of the command line."""
    folder = args.out / name
    (folder / "recipe").mkdir(parents=True, exist_ok=True)
    for part in ("autoencoder", "transformer"):
        values = yaml.safe_load((recipe.FOLDER / args.recipe / f"{part}.yaml").read_text(encoding="utf-8"))
        if part == "transformer":
            values["network"] |= VARIANTS[name]
        (folder / "recipe" / f"{part}.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    shutil.copy(args.trained / f"{model.AUTOENCODER}.safetensors", folder)
    if not args.initial:
        shutil.copytree(args.trained / "words", folder / "words", dirs_exist_ok=True)
    config = recipe.transformer_recipe(str(folder / "recipe")).network
    clips_per_step = 16 * args.workers
    steps = round(args.flops / flops_per_clip(config) / clips_per_step)
    values = {"recipe": str(folder / "recipe"), "out": str(folder), "workers": args.workers}
    transformer = {"name": "ablation", "units": 1, "unit": steps, "initial": args.initial, "compiled": not args.eager}
    plan = Plan.of({**values, "data": {"folder": str(args.data), "shards": 100_000}, "transformer": transformer})
    return stages.run("transformer", plan)


def table(results: Mapping[str, Mapping[str, float]]) -> str:
    """Return results as a Markdown table, a column per variant."""
    names = list(results)
    keys = list(dict.fromkeys(k for values in results.values() for k in values))
    lines = [f"| measure | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    lines += [f"| {k} | {' | '.join(f'{results[n][k]:.4g}' if k in results[n] else '' for n in names)} |" for k in keys]
    return "\n".join(lines)


def main() -> None:
    """Train and measure the variants, or measure one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="default", help="whose network the variants change")
    parser.add_argument("--initial", default="", help="checkpoint from whose weights each variant begins")
    parser.add_argument("--eager", action="store_true", help="no torch.compile, which takes minutes per shape")
    parser.add_argument("--flops", type=float, default=1e14)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--measure", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.measure:
        about = model.load(str(args.measure)).about
        found = measure(args.measure, args.count, args.out / "tasks")
        line = ", ".join(f"{k} {v:.3f}" for k, v in found.items())
        with (args.out / "log.md").open("a", encoding="utf-8") as file:
            file.write(f"- {time.strftime('%F %T')}, {args.measure.name}, step {about.get('steps')}: {line}\n")
        return
    results: dict[str, dict[str, float]] = {}
    for name in args.variants:
        path = train(name, args)
        about = model.load(str(path)).about
        operations = about["flops"] - (about.get("initial") or {}).get("flops", 0.0)
        cost = {"operations": operations, "clips": about["clips"], "hours": about["seconds"] / 3600}
        results[name] = {**cost, **measure(path, args.count, args.out / name / "tasks")}
        (args.out / "ablation.md").write_text(table(results) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
