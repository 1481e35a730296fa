"""Every launcher preset runs a sweep: its results come back, and lie where a plain run puts them, with the same bytes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from sora_eval import registry
from sora_eval.commands.cli import main

pytestmark = pytest.mark.slow
TINY = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=2", "references=[]", "fidelity.metrics=[]"]
JOBS = ["generator=oracle,careless", "players=0"]
SLURM = Path(__file__).parent / "slurm"
PLACES = [Path("runs/smoke-small+modes=t2v+probes=relation", model, "default", "0") for model in ("oracle", "careless")]


def plain_scores(folder: Path, words: Sequence[str]) -> list[bytes]:
    """Scores of the jobs, run one by one without a sweep."""
    found = []
    for model in ("oracle", "careless"):
        out = folder / model
        assert main(["run", *words, "players=0", "workers=1", f"generator={model}", f"out={out}"]) == 0
        found.append((out / "scores.jsonl").read_bytes())
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Scores of the jobs, run one by one without a sweep."""
    return plain_scores(tmp_path_factory.mktemp("plain"), TINY)


def swept(folder: Path, *words: str, env: dict[str, str] | None = None) -> str:
    """Run the sweep in a folder by a process of its own, and return what it printed."""
    command = [sys.executable, "-m", "sora_eval.commands.cli", "run", "-m", *TINY, *JOBS, *words]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | (env or {}), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Warning" not in done.stderr
    return done.stdout


def check(folder: Path, said: str, plain: list[bytes]) -> None:
    """The jobs' outcomes came back and stand in the table, and their folders hold what plain runs make."""
    table = said[said.index("state  ") :].splitlines()
    assert [line.split()[-1] for line in table[1:3]] == [str(p) for p in PLACES]
    assert all(line.startswith("done ") for line in table[1:3])
    assert table[3].startswith("2 jobs in ") and table[4].startswith("leaderboard: runs/sweeps/")
    assert [(folder / p / "scores.jsonl").read_bytes() for p in PLACES] == plain
    assert sorted(p.name for p in folder.iterdir()) == ["runs"]


def test_every_preset_is_run_by_a_test() -> None:
    assert set(registry.names("launcher")) == {"local", "joblib", "submitit_local", "submitit_slurm", "ray"}


def test_one_after_the_other_in_one_process(
    tmp_path: Path, plain: list[bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing of it depends on a process of its own, whose start is what takes long.
    monkeypatch.chdir(tmp_path)
    assert main(["run", "-m", *TINY, *JOBS, "hydra/launcher=local"]) == 0
    check(tmp_path, capsys.readouterr().out, plain)


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_on_one_machine(tmp_path: Path, plain: list[bytes], launcher: str) -> None:
    check(tmp_path, swept(tmp_path, f"hydra/launcher={launcher}"), plain)


def _slurm(tmp_path: Path) -> dict[str, str]:
    state = tmp_path / "cluster"
    state.mkdir()
    return {"PATH": f"{SLURM}{os.pathsep}{os.environ['PATH']}", "SLURM_STAND_IN": str(state)}


def test_on_slurm(tmp_path: Path, plain: list[bytes]) -> None:
    env = _slurm(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    said = swept(work, "hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", env=env)
    check(work, said, plain)
    script = (tmp_path / "cluster" / "1.sh").read_text()
    assert "--cpus-per-task=1" in script and "--array=0-1" in script
    assert len(list((tmp_path / "cluster").glob("*.sh"))) == 1


def test_a_job_that_runs_out_of_time_on_slurm_is_queued_again_and_goes_on(tmp_path: Path) -> None:
    env = os.environ | _slurm(tmp_path)
    words = [*TINY[:2], "suite.count=24", *TINY[3:], "players=0", "workers=1", "hydra/launcher=submitit_slurm"]
    command = [sys.executable, "-m", "sora_eval.commands.cli", "run", "-m", *words, f"out={tmp_path / 'run'}"]
    work = tmp_path / "work"
    work.mkdir()
    sweep = subprocess.Popen(command, cwd=work, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def scored() -> int:
        return len(list((tmp_path / "run" / "scores").rglob("[!.]*.json")))

    # What Slurm does to a job shortly before its time is over.
    while scored() < 4 and sweep.poll() is None:
        time.sleep(0.02)
    pid = next((tmp_path / "cluster").glob("*.pid"))
    os.kill(int(pid.read_text()), signal.SIGUSR2)
    said, _ = sweep.communicate(timeout=200)
    assert sweep.returncode == 0, said
    (log,) = (work / "runs").rglob("*_log.out")
    # Hydra silences what submitit says in between.
    assert log.read_text().count("Starting with JobEnvironment") == 2
    assert main(["run", *words[:-1], f"out={tmp_path / 'whole'}"]) == 0
    assert (tmp_path / "run" / "scores.jsonl").read_bytes() == (tmp_path / "whole" / "scores.jsonl").read_bytes()


_ON_RAY = """
import sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
import ray
ray.init(address=cluster.address, log_to_driver=False)
assert len([n for n in ray.nodes() if n["Alive"]]) == 2
ray.shutdown()
from sora_eval.commands.cli import main
places = [Path(p) for p in sys.argv[1].split(",")]

def scored(place):
    return len(list((place / "scores").rglob("[!.]*.json")))

def kill():
    # A core for each job: one runs on either node. Both are in the midst of it.
    while not all(scored(p) for p in places):
        time.sleep(0.01)
    cluster.remove_node(second, allow_graceful=False)
    assert not any((p / "report.html").exists() for p in places)
    print("one node died after", [scored(p) for p in places], flush=True)

killer = threading.Thread(target=kill, daemon=True)
killer.start()
code = main([*sys.argv[2:], f"hydra.launcher.ray.init.address='{cluster.address}'"])
killer.join(10)
ray.shutdown()
cluster.shutdown()
sys.exit(code)
"""


def test_on_a_ray_cluster_of_two_nodes_of_which_one_dies(tmp_path: Path) -> None:
    # Enough of them that the job of the node that starts first is not done before the other's begins.
    words = [*TINY[:2], "suite.count=96", *TINY[3:]]
    command = [sys.executable, "-c", _ON_RAY, ",".join(map(str, PLACES)), "run", "-m", *words, *JOBS]
    # A busy machine takes its time to start a node.
    env = os.environ | {"RAY_raylet_start_wait_time_s": "120"}
    done = subprocess.run(
        [*command, "hydra/launcher=ray"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "one node died after" in done.stdout
    # Its job was started again on the other one, and went on.
    assert re.search(r"[1-9]\d* clips reused, \d+ made", done.stdout)
    check(tmp_path, done.stdout, plain_scores(tmp_path.with_name("plain"), words))
