"""Kill -9 at random moments of a sweep, restarted each time, until it ends: its scores must be those of the sweep that nobody disturbed.

python tests/soak.py 50 FOLDER does it with 50 kills; tests/test_kill.py with a few.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ASKED = ["suite.probes=[relation,motion]", "suite.modes=[t2v]", "suite.count=6", "references=[oracle]"]
SWEEP = ["run", "-m", *ASKED, "fidelity.metrics=[]", "players=0", "workers=2", "generator=control", "seed=0,1"]


def scores(folder: Path) -> dict[str, bytes]:
    """Return scores.jsonl of every run below a folder, by its path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("scores.jsonl"))}


def start(folder: Path, words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the sweep in a process group of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sora_eval.cli", *words]
    with said(folder).open("ab") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def said(folder: Path) -> Path:
    """Return where what the sweeps of a folder print is kept, beside it."""
    return folder.with_name(f"{folder.name}.log")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started, as a machine that loses its power does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def undisturbed(folder: Path, words: Sequence[str] = SWEEP) -> float:
    """Run the sweep to its end; return the seconds that it took."""
    begun = time.perf_counter()
    code = start(folder, words).wait(timeout=600)
    assert code == 0, f"exit code {code}\n{said(folder).read_text()[-2000:]}"
    return time.perf_counter() - begun


def disturbed(folder: Path, kills: int, seconds: float, seed: int, words: Sequence[str] = SWEEP) -> list[float]:
    """Kill the sweep `kills` times at moments drawn from its whole duration, and then let it end; return the moments.

    A sweep that ends before its moment was not killed and does not count. There is nothing left in its folder to be killed at, so half
    of its files are lost at random, and the next one has something to do again, down to a run's last page.
    """
    rng = random.Random(seed)
    moments: list[float] = []
    while len(moments) < kills:
        moment = rng.uniform(0.1, 1.0) * seconds
        process = start(folder, words)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            end(process)
            moments.append(moment)
            continue
        lose(folder, rng)
    undisturbed(folder, words)
    return moments


def lose(folder: Path, rng: random.Random) -> None:
    """Remove a random half of the files of a finished sweep."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    for path in rng.sample(files, len(files) // 2):
        path.unlink()


def main(kills: int, folder: Path, seed: int = 0) -> int:
    """Run both sweeps and compare them; return 0 when they are the same to the byte."""
    seconds = undisturbed(folder / "whole")
    print(f"undisturbed: {seconds:.1f} s", flush=True)
    begun = time.perf_counter()
    moments = disturbed(folder / "killed", kills, seconds, seed)
    whole, killed = scores(folder / "whole"), scores(folder / "killed")
    same = whole == killed and len(whole) > 0
    left = list((folder / "killed").rglob(".*.part"))
    spent = time.perf_counter() - begun
    print(f"{kills} kills from {min(moments):.1f} to {max(moments):.1f} s after the start, in {spent:.0f} s")
    print(
        f"{len(whole)} runs, {sum(len(b.splitlines()) for b in whole.values())} scores: {'the same' if same else 'DIFFERENT'}"
    )
    print(f"half-written files left: {len(left)}")
    return 0 if same and not left else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
