"""Do camera poses help the bundled generator? `python -m benchmarks.camera [--count 8] [--checkpoint 42x]`

The cases of suite `camera_control` from text: by the prompt alone, with the true poses beside it, with those of the twin, which moves
the other way. Mean scores, a clip that can't be judged counts as 0; the last row is the share that is judged.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

from sora_eval import registry
from sora_eval.data.heldout import FRAMES, SIZE
from sora_eval.data.shards import FPS
from sora_eval.generator.reference import model
from sora_eval.generator.reference.options import CHECKPOINTS
from sora_eval.generator.reference.sampler import PromptWarning, Sampler
from sora_eval.tracking.world import track
from sora_eval.types import Camera, Case, Video
from sora_eval.world import scene_of
from sora_eval.world.render import camera_of

SEED = 777
"""Of the cases here: the suites have others."""
WAYS: tuple[str, ...] = ("prompt", "prompt and poses", "prompt and the twin's poses")


def poses(case: Case) -> Camera:
    """Return the true camera of a case's clip."""
    scene = scene_of(case.scene, (FRAMES - 1) / FPS)
    return camera_of(scene, np.arange(FRAMES) / FPS, SIZE)


def table(checkpoint: str, count: int) -> str:
    """Return the mean scores by probe, a column per way of asking, as a Markdown table."""
    sampler, lines = Sampler(model.load(checkpoint)), []
    names = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "camera_control"]
    by_probe: dict[str, list[list[float]]] = {}
    judged = []
    for name in names:
        probe = registry.probe(name)
        cases = probe.cases(count, registry.profile("small"), "t2v", SEED)
        scores = []
        for i, case in enumerate(cases):
            cameras = (None, poses(case), poses(cases[i ^ 1]))  # Twins are neighbours.
            clips = (sampler.text_to_video(case.prompt, FRAMES, SIZE, case.seed, c).frames for c in cameras)
            results = [probe.score(case, v, track(v)) for v in (Video(frames, FPS) for frames in clips)]
            scores.append([r.value or 0.0 for r in results])
            judged.append([r.value is not None for r in results])
        by_probe[name] = scores
    every = [row for scores in by_probe.values() for row in scores]
    for name, rows in [*by_probe.items(), ("all", every)]:
        lines.append(f"| {name} | {' | '.join(f'{v:.2f}' for v in np.mean(rows, axis=0))} | {len(rows)} |")
    lines.append(f"| judged | {' | '.join(f'{v:.2f}' for v in np.mean(judged, axis=0))} | {len(judged)} |")
    return "\n".join([f"| probe | {' | '.join(WAYS)} | cases |", "|---|" + "---:|" * 4, *lines])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=CHECKPOINTS[-1])
    parser.add_argument("--count", type=int, default=8)
    args = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PromptWarning)
        print(table(args.checkpoint, args.count))


if __name__ == "__main__":
    main()
