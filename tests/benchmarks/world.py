"""The world against another version of it, family by family: how far pictures, masks and depths differ, and how much faster it is.

    PYTHONPATH=tests python -m benchmarks.world OTHER_PYTHON [members] [height] [width] [frames]

OTHER_PYTHON is an interpreter that has the other version installed. Both run by turns, one clip at a time; times are of the CPU.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

FPS = 8.0


def serve() -> None:
    """Answer each line of JSON (family, number, height, width, frames) with a clip and its truth, as the bytes of an .npz file."""
    from sora_eval.world import clip, families, scene_of

    out = sys.stdout.buffer
    for line in sys.stdin:
        family, number, height, width, frames = json.loads(line)
        drawn, _ = families.draw(family, number, 0)
        params = drawn if isinstance(drawn, dict) else drawn.to_json()
        scene = scene_of({"family": family, "params": params}, (frames - 1) / FPS)
        begin = time.process_time()
        made = clip(scene, (height, width), FPS, frames)
        took_s = time.process_time() - begin
        truth = clip(scene, (height, width), FPS, frames, full_truth=True).truth
        held = io.BytesIO()
        states = np.concatenate([truth.states.pos, truth.states.quat], axis=-1)
        np.savez(
            held,
            frames=made.video.frames,
            ids=truth.ids,
            depth=truth.depth,
            amodal=truth.amodal,
            states=states,
            took_s=took_s,
        )  # type: ignore[arg-type]
        out.write(len(held.getvalue()).to_bytes(8, "little") + held.getvalue())
        out.flush()


def _ask(server: subprocess.Popen[bytes], *what: object) -> dict[str, NDArray[Any]]:
    to, back = server.stdin, server.stdout
    assert to is not None and back is not None
    to.write(json.dumps(what).encode() + b"\n")
    to.flush()
    with np.load(io.BytesIO(_exactly(back, int.from_bytes(_exactly(back, 8), "little")))) as held:
        return dict(held)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    assert len(data) == count, "the other version failed: see its message above"
    return data


def _inside(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return masks [..., H, W] without the pixels at their border, eight neighbours each."""
    padded = np.pad(masks, [(0, 0)] * (masks.ndim - 2) + [(1, 1), (1, 1)], mode="edge")
    h, w = masks.shape[-2:]
    return np.logical_and.reduce([padded[..., a : a + h, b : b + w] for a in range(3) for b in range(3)])


def _changed(old: NDArray[Any], new: NDArray[Any]) -> tuple[int, int]:
    """Return how many pixels of body masks changed inside a border, and in all."""
    inside = 0
    for one, other in ((old, new), (new, old)):
        for i in np.unique(one):
            inside += int((_inside(one == i) & (other != i)).sum())
    return inside, int((old != new).sum())


def compare(python: str, members: int, size: tuple[int, int], frames: int) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    from sora_eval.world import families

    yield (
        "| family | grey levels, mean | worst clip | mask pixels inside borders | at borders, per 1,000 | depth, mm | states |"
        " times as fast | clips / s | frames / s |"
    )
    yield "|---" + "|---:" * 9 + "|"
    servers = [
        subprocess.Popen([p, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for p in (python, sys.executable)
    ]
    total = np.zeros(2)
    for server in servers:
        _ask(server, "room", 0, 16, 16, 2)
        _ask(server, "shatter", 0, 16, 16, 2)
    for family in families.FAMILIES:
        grey, inside, border, depth, states, took = [], 0, [], 0.0, 0.0, np.zeros(2)
        for number in range(members):
            old, new = (_ask(s, family, number, *size, frames) for s in servers)
            grey.append(float(np.abs(old["frames"].astype(int) - new["frames"]).mean()))
            changed, every = _changed(old["ids"], new["ids"])
            amodal, _ = _changed(old["amodal"], new["amodal"])
            inside += changed + amodal
            border.append(1000 * every / old["ids"].size)
            same = (old["ids"] == new["ids"]) & (old["ids"] >= 0)
            depth = max(depth, float(np.abs(old["depth"][same] - new["depth"][same]).max(initial=0.0)))
            states = max(states, float(np.abs(old["states"] - new["states"]).max()))
            took += float(old["took_s"]), float(new["took_s"])
        total += took / members
        yield (
            f"| {family} | {np.mean(grey):.3f} | {max(grey):.3f} | {inside} | {np.mean(border):.2f} | {1000 * depth:.1f} | {states:.1g} |"
            f" {took[0] / took[1]:.1f} | {members / took[1]:.1f} | {members * frames / took[1]:.0f} |"
        )
    for server in servers:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()
    speed, rate = total[0] / total[1], len(families.FAMILIES) / total[1]
    yield f"| **all, one each** | | | | | | | **{speed:.1f}** | **{rate:.1f}** | **{rate * frames:.0f}** |"


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        many, tall, wide, long = (int(v) for v in [*sys.argv[2:], *("3", "64", "64", "16")[len(sys.argv) - 2 :]])
        for row in compare(sys.argv[1], many, (tall, wide), long):
            print(row, flush=True)
