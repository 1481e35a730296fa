"""The probe "knocked_wall": a wall of blocks knocked down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.probes import helpers, trajectories
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import arrival, heap_of, near, pixels, uncovered
from sora_eval.probes.interaction.stages import LastingChange, bystander_stays, on_side, stage_of
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families.knocked_wall import KnockedWallParams
from sora_eval.world.families.params import OPPOSITE, SIGN


class KnockedWall(LastingChange):
    """A ball hits a wall of loose blocks: they fall then, the way that it flies, and stay down."""

    name = "knocked_wall"
    claim = "a wall of blocks stands until a ball hits it, then falls the ball's way, and its blocks stay down"
    slack = 0.15

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the height and the place of all blocks together."""
        p = KnockedWallParams.of(case)
        start = OPPOSITE[p.to]
        ball = helpers.find_object(tracks, p.ball, "ball", 0.2)
        rest = bystander_stays(tracks, p.block, ball)
        on_side(tracks, p.block, start)
        view = pixels(video, p.wall, p.ball)
        heap = heap_of(view.weight[p.wall])
        if not heap.seen[:2].all() or heap.fill[0] < 0.7:
            raise UnjudgeableError(f"the clip does not begin with a wall of {p.wall} blocks")
        wide = float(heap.area[0] / heap.height[0])
        if heap.height[0] < 1.2 * wide:
            raise UnjudgeableError(f"what is {p.wall} at the beginning is lower than the wall")
        place = np.array([heap.x[0] - wide / 2, heap.low[0] - heap.height[0], heap.x[0] + wide / 2, heap.low[0]])
        place = place / view.scale
        touch = near(tracks.box[ball], place, 1.0) & tracks.visible[ball]
        cause = arrival(tracks, ball, touch, place, start, "ball")
        # Blocks that are off their places show that it falls; how low they lie in the end, that it has fallen.
        whole = view.weight[p.wall][0]
        missing = np.clip(whole - view.weight[p.wall], 0, 1)
        stage = stage_of(missing, whole, uncovered(view.weight[p.ball]), cause)
        stage = replace(stage, done=np.clip(stage.done / 0.4, 0, 1))
        low = float(np.median(heap.height[-2:]) / heap.height[0])
        moved = SIGN[p.to] * float(np.median(heap.x[-3:]) - heap.x[0]) / wide
        left = float(np.median(heap.area[-3:]) / heap.area[0])
        return self.verdict(
            [stage],
            rest,
            tracks,
            lies=helpers.ramp_score(low, 0.65, 0.9),
            way=1 - helpers.ramp_score(moved, 0.0, 0.25),
            remains=1 - helpers.ramp_score(left, 0.3, 0.55),
        )

    def contacts(self, case: Case, tracks: Tracks) -> tuple[float, ...]:
        """Return the time at which the ball hits the wall."""
        p = KnockedWallParams.of(case)
        standing = [i for i in tracks.of(p.wall) if tracks.visible[i, 0]]
        if not standing:
            raise UnjudgeableError(f"the clip does not begin with a wall of {p.wall} blocks")
        wall = max(standing, key=lambda i: float(tracks.area[i, 0]))
        ball = helpers.find_object(tracks, p.ball, "ball", 0.2)
        # It goes on through loose blocks, more slowly by and by: its way until then gives the time better than its change of speed.
        return (trajectories.hit(tracks, ball, tracks.box[wall, :1], SIGN[p.to]).reach_s,)
