"""Kill -9 at random moments of a command, restarted each time, until it ends: what it makes must be what it makes when nobody disturbs it.

python tests/soak.py 50 FOLDER kills a sweep 50 times, and a run with fidelity, a merge of shards and a training a quarter as often each;
tests/test_kill.py kills a sweep a few times.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ASKED = ["suite.probes=[relation,motion]", "suite.modes=[t2v]", "suite.count=6", "references=[oracle]"]
SWEEP = ["run", "-m", *ASKED, "fidelity.metrics=[]", "players=0", "workers=2", "generator=control", "seed=0,1"]


def scores(folder: Path) -> dict[str, bytes]:
    """Return scores.jsonl of every run below a folder, by its path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("scores.jsonl"))}


@dataclass(frozen=True)
class Soak:
    """A command that is killed. before: commands that are not; words: the command. made: what it has to make, by path, of its folder.

    renew: gives a finished folder something to do again.
    """

    name: str
    before: Sequence[Sequence[str]]
    words: Sequence[str]
    made: Callable[[Path], dict[str, bytes]]
    renew: Callable[[Path, random.Random], None]


def measured(folder: Path) -> dict[str, bytes]:
    """Return the scores and the measures of fidelity of the run in a folder."""
    return {n: (folder / "run" / n).read_bytes() for n in ("scores.jsonl", "fidelity.json", "summary.json")}


def merged(folder: Path) -> dict[str, bytes]:
    """Return the scores and clips of the run that shards were merged to."""
    found = [
        p for p in sorted((folder / "whole").rglob("*")) if p.suffix in (".mkv", ".npz") or p.name == "scores.jsonl"
    ]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def trained(folder: Path) -> dict[str, bytes]:
    """Return the hash of the weights that a training exported; its file also has how many seconds it took."""
    from safetensors import safe_open

    with safe_open(folder / "trained" / "lpips-world.safetensors", "pt") as file:
        return {"lpips-world": file.metadata()["sha256"].encode()}


def forget(what: str) -> Callable[[Path, random.Random], None]:
    """Return what takes a folder of results away."""

    def renew(folder: Path, rng: random.Random) -> None:
        shutil.rmtree(folder / what)

    return renew


def start(folder: Path, words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the sweep in a process group of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sora_eval.commands.cli", *words]
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


def disturbed(
    folder: Path,
    kills: int,
    seconds: float,
    seed: int,
    words: Sequence[str] = SWEEP,
    renew: Callable[[Path, random.Random], None] | None = None,
) -> list[float]:
    """Kill the sweep `kills` times at moments drawn from its whole duration, and then let it end; return the moments.

    A sweep that ends before its moment was not killed and does not count. There is nothing left in its folder to be killed at, so half
    of its files are lost at random (or what `renew` takes away), and the next one has something to do again, down to a run's last page.
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
        (renew or lose)(folder, rng)
    undisturbed(folder, words)
    return moments


def lose(folder: Path, rng: random.Random) -> None:
    """Remove a random half of the files of a finished sweep."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    for path in rng.sample(files, len(files) // 2):
        path.unlink()


_SMALL = [
    "suite.probes=[relation,motion]",
    "suite.modes=[t2v]",
    "references=[oracle]",
    "workers=2",
    "generator=control",
]
_SHARDS = [
    ["run", *_SMALL, "suite.count=4", "fidelity.metrics=[]", "players=0", f"shard={i}/2", f"out=part{i}"]
    for i in (1, 2)
]
_TRAIN = ["train", "out=trained", "data.folder=data", "data.shards=2", "data.size=4", "workers=1"]
SOAKS = (
    Soak("sweep", [], SWEEP, scores, lose),
    Soak(
        "fidelity",
        [],
        [
            "run",
            *_SMALL,
            "suite.count=4",
            "fidelity.metrics=[frechet,motion,text_image,full_reference]",
            "players=1",
            "out=run",
        ],
        measured,
        lose,
    ),
    Soak("merge", _SHARDS, ["merge", "part1", "part2", "--out", "whole"], merged, forget("whole")),
    Soak(
        "train",
        [[*_TRAIN, "stage=data"]],
        [*_TRAIN, "encoder=lpips-world", "steps=12", "save_s=0.1"],
        trained,
        forget("trained"),
    ),
)


def soak(what: Soak, kills: int, folder: Path, seed: int = 0) -> bool:
    """Carry out a command undisturbed and killed, print both, and return whether they made the same."""
    whole, killed = folder / "whole", folder / "killed"
    for place in (whole, killed):
        for words in what.before:
            undisturbed(place, words)
    seconds = undisturbed(whole, what.words)
    print(f"{what.name} undisturbed: {seconds:.1f} s", flush=True)
    begun = time.perf_counter()
    moments = disturbed(killed, kills, seconds, seed, what.words, what.renew)
    a, b = what.made(whole), what.made(killed)
    same = a == b and len(a) > 0
    left = list(killed.rglob(".*.part"))
    spent = time.perf_counter() - begun
    print(f"{kills} kills from {min(moments):.1f} to {max(moments):.1f} s after the start, in {spent:.0f} s")
    print(f"{len(a)} files: {'the same' if same else 'DIFFERENT'}; half-written files left: {len(left)}", flush=True)
    return same and not left


def main(kills: int, folder: Path, names: Sequence[str] = ()) -> int:
    """Soak all commands, or those of some names; return 0 when what they make is the same to the byte."""
    chosen = [s for s in SOAKS if not names or s.name in names]
    # All of them, whatever the first one says.
    same = [soak(s, kills if s.name == "sweep" else max(1, kills // 4), folder / s.name) for s in chosen]
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
