"""`make bench`: how fast the world, the tracker and the probes are, as Markdown tables. The world: one thread, one process."""

from __future__ import annotations

import numpy as np
from benchmarks import codecs, fidelity, growth, leaderboard, reference, run
from benchmarks.reference import least

from sora_eval import registry
from sora_eval.generator.reference import model
from sora_eval.generator.reference.options import CHECKPOINTS
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.simulator import true_video
from sora_eval.tracking.world import track
from sora_eval.types import Profile
from sora_eval.world import clip, frame_times, physics, scene_of
from sora_eval.world.families import FAMILIES, family


def render_table() -> str:
    """Return clips per second at 64 x 64 x 16 for every family, 2 x 2 rays per pixel, physics included."""
    lines = ["| family | clips / s | physics, share |", "|---|---:|---:|"]
    every = []
    for name, kind in FAMILIES.items():
        scene = kind.build(kind.sample(np.random.default_rng(0)), 15 / 8)
        whole = least(lambda s=scene: clip(s, (64, 64), 8, 16))  # type: ignore[misc]
        moved = least(lambda s=scene: physics.simulate(s, frame_times(16, 8)))  # type: ignore[misc]
        every.append(whole)
        lines.append(f"| {name} | {1 / whole:.1f} | {moved / whole:.0%} |")
    lines.append(f"| **all, one each** | **{len(every) / sum(every):.1f}** | |")
    return "\n".join(lines)


def size_table() -> str:
    """Return frames per second by frame size, for one scene."""
    kind = family("pass_behind")
    scene = kind.build(kind.sample(np.random.default_rng(0)), 1.0)
    lines = ["| size | 2 x 2 rays a pixel, frames / s | 1 ray a pixel, frames / s |", "|---|---:|---:|"]
    for height, width, frames in ((64, 64, 16), (128, 128, 8), (256, 256, 4), (512, 512, 2), (480, 832, 2)):
        rates = [
            frames / least(lambda s=(height, width), f=frames, k=ss: clip(scene, s, 8, f, supersample=k), 2)  # type: ignore[misc]
            for ss in (2, 1)
        ]
        lines.append(f"| {width} x {height} | {rates[0]:.1f} | {rates[1]:.1f} |")
    return "\n".join(lines)


def probe_table() -> str:
    """Return the time of making, tracking and scoring one small clip, in milliseconds, for one probe of each suite."""
    small = Profile("small", 64, 64, 17, 8, 5)
    lines = ["| probe | render, ms | track, ms | score, ms |", "|---|---:|---:|---:|"]
    for name in ("orbit", "pass_behind", "free_fall_bounce", "motion"):
        probe = registry.probe(name)
        case = probe.cases(1, small, "t2v")[0]
        video = true_video(case)
        tracks = track(video)
        scene = scene_of(case.scene, small.duration_s)
        made = least(lambda s=scene: clip(s, (64, 64), 8, 17))  # type: ignore[misc]
        tracked = least(lambda v=video: track(v))  # type: ignore[misc]
        scored = least(lambda p=probe, c=case, v=video, t=tracks: p.score(c, v, t))  # type: ignore[misc]
        lines.append(f"| {name} | {1e3 * made:.0f} | {1e3 * tracked:.0f} | {1e3 * scored:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Print all tables."""
    print("## World: clips per second and core, 64 x 64 x 16\n")
    print(render_table())
    print("\n## World: frames per second and core by size\n")
    print(size_table())
    print("\n## One clip from case to score\n")
    print(probe_table())
    print("\n## A run: each stage per clip, and two processes against one\n")
    print(run.stage_table())
    print()
    print(run.speed_up_table())
    print("\n## A clip at the three profiles: CPU seconds by stage\n")
    print(growth.profile_table())
    print("\n## How the cost of a clip grows: times that of the first line\n")
    print(growth.size_table())
    print()
    print(growth.length_table())
    print("\n## Memory of a run: peak of all its processes (PSS), no cache\n")
    print(growth.memory_table())
    print()
    print(growth.cases_table())
    print("\n## Stored clips: one of 832 x 480, 9 frames, by codec\n")
    print(codecs.table((480, 832, 9), 1))
    print("\n## A leaderboard over 100 runs, the report of 1,050 cases\n")
    print(leaderboard.board_table())
    print()
    print(leaderboard.report_table())
    print("\n## Frechet distance: time and relative error against 80-bit arithmetic\n")
    print(fidelity.frechet_table())
    print("\n## Reading clips of 64 x 64 x 17 for fidelity\n")
    print(fidelity.reading_table())
    sampler = Sampler(model.load(CHECKPOINTS[-1]))
    print("\n## Reference generator: sampling one clip of 64 x 64 x 17\n")
    print(reference.sampling_table(sampler))
    print("\n## Reference generator: quality by sampler steps\n")
    print(reference.steps_table(sampler))
    print("\n## Reference generator: time and memory by duration and size\n")
    print(reference.growth_table(sampler))
    print("\n## Reference generator: against the diffusers library, the same width, depth, tokens and text\n")
    print(reference.block_table())
    print("\n## Reference generator: training, one core\n")
    print(reference.training_table())


if __name__ == "__main__":
    main()
