import json
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from torch import nn

from sora_eval.errors import ConfigError
from sora_eval.training import loop
from sora_eval.training.loop import Schedule
from sora_eval.training.muon import Muon, orthogonal


class Line:
    """Fit a matrix: small enough to train in a test, with the noise of a step drawn from its number."""

    def __init__(self):
        torch.manual_seed(0)
        self.network = nn.Linear(6, 4)
        self.target = torch.randn(4, 6)

    def optimisers(self):
        weight, bias = self.network.weight, self.network.bias
        return [Muon([weight], lr=0.05), torch.optim.AdamW([bias], lr=0.01)]

    def loss(self, step, rank=0):
        x = torch.randn(16, 6, generator=loop.noise_of(0, step, f"test {rank}"))
        loss = (self.network(x) - x @ self.target.T).square().mean()
        return loss, {"clips": 16.0}

    def preview(self, weights, path):
        path.touch()


def train(folder, steps, save_s=1e9, **more):
    job = Line()
    path = loop.fit(job, folder, Schedule(steps, warmup=5, save_s=save_s, log_every=10, **more), {"job": "line"})
    return job, path


def test_it_learns_and_logs(tmp_path):
    _, path = train(tmp_path, 200, decay=100)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < 0.05 * rows[0]["loss"]
    assert rows[-1]["step"] == 200
    assert rows[-1]["clips"] == 3200
    assert path.exists()
    assert (tmp_path / "sheet-0000200.png").exists()


def test_a_run_that_was_stopped_comes_to_the_same_weights(tmp_path):
    straight, _ = train(tmp_path / "a", 60)
    for steps in (13, 37, 60):
        parts, _ = train(tmp_path / "b", steps)
    for a, b in zip(straight.network.parameters(), parts.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (tmp_path / "a" / "ema.safetensors").read_bytes() == (tmp_path / "b" / "ema.safetensors").read_bytes()


def test_a_branch_begins_at_a_kept_state(tmp_path):
    train(tmp_path / "trunk", 50, milestones=(30,))
    kept = tmp_path / "trunk" / "kept-0000030.pt"
    job = Line()
    loop.fit(job, tmp_path / "branch", Schedule(40, decay=10, log_every=10), {"job": "line"}, kept)
    rows = [json.loads(line) for line in (tmp_path / "branch" / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == [40]


def test_other_settings_and_damaged_states_are_refused(tmp_path):
    train(tmp_path, 10)
    with pytest.raises(ConfigError, match="job=line"):
        loop.fit(Line(), tmp_path, Schedule(20), {"job": "other"})
    state = tmp_path / loop.STATE
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="can't be read as a training state"):
        train(tmp_path, 20)


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost(tmp_path):
    """SIGKILL at several moments, also while a state is written: the end is the undisturbed run's."""
    straight, _ = train(tmp_path / "a", 400)
    code = textwrap.dedent(f"""
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("lines", {str(__file__)!r})
        lines = importlib.util.module_from_spec(spec); spec.loader.exec_module(lines)
        from pathlib import Path
        print("ready", flush=True)
        lines.train(Path({str(tmp_path / "b")!r}), 400, save_s=0.0)
    """)
    kills = 0
    for delay in (0.05, 0.15, 0.3, 0.5):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()
        time.sleep(delay)
        kills += process.poll() is None
        process.kill()
        process.communicate()
    assert kills >= 2
    again, _ = train(tmp_path / "b", 400)
    for a, b in zip(straight.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_killed_at_a_milestone_its_state_is_kept_all_the_same(tmp_path, monkeypatch):
    whole, saves = loop._save, []

    def dies(path, *rest):
        whole(path, *rest)
        saves.append(path.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_save", dies)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, 20, milestones=(10,))
    monkeypatch.setattr(loop, "_save", whole)
    train(tmp_path, 20, milestones=(10,))
    assert saves == ["kept-0000010.pt"]
    assert torch.load(loop.kept(tmp_path, 10), weights_only=True)["step"] == 10


def test_what_is_told_of_a_run_is_of_the_weights_that_are_saved(tmp_path, monkeypatch):
    train(tmp_path, 20)
    monkeypatch.setattr(loop, "_save", lambda *_: None)
    train(tmp_path, 50)
    found = loop.spent(tmp_path)
    assert (found["steps"], found["clips"]) == (20, 320)
    assert [step for step, _ in found["curve"]] == [10, 20]


def _work(folder):
    train(folder, 20)


def _refused():
    raise ConfigError("what is asked for is not there")


def test_what_processes_that_train_together_refuse_is_one_line():
    with pytest.raises(ConfigError, match=r"^what is asked for is not there$"):
        loop.together(_refused, 2)


def test_processes_that_train_together_take_half_the_steps_each(tmp_path):
    loop.together(_work, 2, tmp_path / "two")
    last = json.loads((tmp_path / "two" / "log.jsonl").read_text().splitlines()[-1])
    assert last["clips"] == 2 * 20 * 16
    assert (tmp_path / "two" / "ema.safetensors").exists()


def test_the_rate_rises_stays_and_falls():
    schedule = Schedule(100, warmup=10, decay=20)
    assert schedule.factor(0) == pytest.approx(0.1)
    assert schedule.factor(50) == 1
    assert schedule.factor(90) == pytest.approx(0.5)
    assert schedule.factor(100) == 0


def test_orthogonal_updates():
    x = torch.randn(3, 8, 20)
    for y in (orthogonal(x), orthogonal(x.mT).mT):
        values = torch.linalg.svdvals(y.float())
        assert ((values > 0.6) & (values < 1.3)).all()


def test_convolutions_are_matrices_to_muon():
    p = nn.Parameter(torch.randn(8, 4, 3, 3))
    p.grad = torch.randn_like(p)
    before = p.detach().clone()
    Muon([p], lr=0.1, weight_decay=0.0).step()
    assert torch.linalg.svdvals((before - p).detach().reshape(8, -1)).max() < 0.13
