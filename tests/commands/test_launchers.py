"""Every launcher preset runs a sweep: its results come back, and lie where a plain run puts them, with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from sora_eval import registry
from sora_eval.commands.cli import main

TINY = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=2", "references=[]", "fidelity.metrics=[]"]
JOBS = ["generator=oracle,careless", "players=0"]
SLURM = Path(__file__).parent / "slurm"
PLACES = [Path("runs/smoke-small+modes=t2v+probes=relation", model, "default", "0") for model in ("oracle", "careless")]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Scores of the jobs, run one by one without a sweep."""
    folder = tmp_path_factory.mktemp("plain")
    found = []
    for model in ("oracle", "careless"):
        out = folder / model
        assert main(["run", *TINY, "players=0", "workers=1", f"generator={model}", f"out={out}"]) == 0
        found.append((out / "scores.jsonl").read_bytes())
    return found


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


@pytest.mark.parametrize("launcher", ["local", "joblib", "submitit_local"])
def test_on_one_machine(tmp_path: Path, plain: list[bytes], launcher: str) -> None:
    if launcher != "local":
        pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher")
    check(tmp_path, swept(tmp_path, f"hydra/launcher={launcher}"), plain)


def _slurm(tmp_path: Path) -> dict[str, str]:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
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
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1, resources={"second": 2})
import ray
ray.init(address=cluster.address)
assert len([n for n in ray.nodes() if n["Alive"]]) == 2
ray.shutdown()
from sora_eval.commands.cli import main
code = main([*sys.argv[1:], f"hydra.launcher.ray.init.address='{cluster.address}'"])
ray.shutdown()
cluster.shutdown()
sys.exit(code)
"""


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra [ray] is not installed")
def test_on_a_ray_cluster_of_two_nodes(tmp_path: Path, plain: list[bytes]) -> None:
    # The jobs ask for what only the second node has: not that of the process that launches them.
    words = ["run", "-m", *TINY, *JOBS, "hydra/launcher=ray", "+hydra.launcher.ray.remote.resources.second=1"]
    done = subprocess.run(
        [sys.executable, "-c", _ON_RAY, *words], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    check(tmp_path, done.stdout, plain)
