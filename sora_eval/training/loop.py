"""The training loop of all bundled networks: resumable at any moment, atomic states, EMA weights, curves.

A step depends on nothing but the state and its number: data and noise of step n are drawn from (seed, n). So a run that was killed
resumes from its last state and ends with the same weights as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessRaisedException, spawn

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import parse_json, remove_parts, replacing
from sora_eval.processes import cores, end_with_parent
from sora_eval.training import checkpoints
from sora_eval.training.muon import product_dtype
from sora_eval.types import digest

STATE = "state.pt"
LOG = "log.jsonl"
EMA = "ema.safetensors"


EMA_WARMUP = 9
"""Warmup of the average: its decay at step n is at most n / (9 + n), .1 at the first step and .9 at step 81, as in TensorFlow's
ExponentialMovingAverage."""


@dataclass(frozen=True)
class Schedule:
    """Length of a training, its learning rate and its records."""

    steps: int
    """Optimiser steps of the whole training."""
    warmup: int = 200
    """First steps, over which the learning rate rises."""
    decay: int = 0
    """Last steps, over which the learning rate falls to 0."""
    ema: float = 0.999
    """Decay per step of the moving average of the weights."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    save_s: float = 120.0
    """Seconds between two saves of the state."""
    log_every: int = 50
    """Steps of a line of the log."""
    sheet_every: int = 1000
    """Steps between two sample sheets."""
    milestones: tuple[int, ...] = ()
    """Steps whose whole state is kept, for decays that branch off."""

    def factor(self, step: int, begun: int = 0) -> float:
        """Return the learning rate of a step as a share of the full one; begun: the step at which the optimisers were new."""
        rise = min(1.0, (step - begun + 1) / max(1, self.warmup))
        left = (self.steps - step) / self.decay if self.decay else 1.0
        return rise * min(1.0, max(0.0, left))


class Job(Protocol):
    """A training: the network, its optimisers, and the loss of a step."""

    @property
    def network(self) -> nn.Module:
        """Return the network."""

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return the optimisers, with their full learning rates."""

    def loss(self, step: int, rank: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of step `step` and figures for the log; processes that train together draw different clips."""

    def preview(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Write a sheet of samples of these weights at fixed seeds and prompts (PNG)."""


@dataclass
class _State:
    """Progress of a run."""

    step: int = 0
    begun: int = 0
    seconds: float = 0.0
    clips: int = 0
    ema: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Past:
    """Training record of an exported checkpoint, from which a run without optimiser state resumes."""

    path: Path
    """The file."""
    weights: Mapping[str, Tensor]
    """EMA weights by name."""
    steps: int
    """Optimiser steps so far."""
    clips: int
    """Training clips so far."""
    seconds: float
    """Wall time so far, seconds."""
    curve: Sequence[tuple[int, float]]
    """Loss curve, (step, loss)."""


def device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def autocast(where: torch.device) -> Iterator[None]:
    """Run matrix products in bfloat16, where the machine is fast at it."""
    fast = product_dtype(where) == torch.bfloat16
    with warnings.catch_warnings(), torch.autocast(where.type, torch.bfloat16) if fast else nullcontext():
        # The scales of the norms stay in float32 on purpose.
        warnings.filterwarnings("ignore", "Mismatch dtype between input and weight")
        yield


def fit(
    job: Job,
    folder: Path,
    schedule: Schedule,
    settings: Mapping[str, Any],
    start: Path | Past | None = None,
) -> Path:
    """Train until `schedule.steps` and return the file of the EMA weights; a run that is in the folder resumes.

    start: from which a new run begins: a kept state of another run (a decay that branches off), or the past of a run whose state
    was lost with its machine (it resumes with new optimisers).

    Raises:
        ConfigError: the folder holds a run with other settings, or its state can't be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network, optimisers = job.network, job.optimisers()
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    if rank == 0:
        remove_parts(folder)
    rates = [[g["lr"] for g in o.param_groups] for o in optimisers]
    state = _State(ema={k: v.detach().clone() for k, v in network.state_dict().items()})
    path = folder / STATE
    if path.exists():
        _load(path, network, optimisers, state, settings)
    elif isinstance(start, Past):
        if start.steps > schedule.steps:
            raise ConfigError(f"{start.path} has had {start.steps} steps, and the run ends at {schedule.steps}")
        _begin_from(start, network, state, folder if rank == 0 else None)
        if rank == 0 and start.steps in schedule.milestones:
            _save(kept(folder, start.steps), network, optimisers, state, settings)
        if rank == 0 and start.steps == schedule.steps:
            _save(path, network, optimisers, state, settings)
    elif start is not None:
        _load(start, network, optimisers, state, settings)
    clock, saved = time.perf_counter(), time.perf_counter()
    earlier, first = state.seconds, state.step
    writer = _curves(folder, state.step + 1) if rank == 0 else None
    rows: list[dict[str, float]] = []
    try:
        while state.step < schedule.steps:
            _set_rates(optimisers, rates, schedule.factor(state.step, state.begun))
            row, clips = _step(job, optimisers, state.step, schedule.clip, rank, world)
            state.step += 1
            if rank:
                continue
            _average(state.ema, network, min(schedule.ema, state.step / (EMA_WARMUP + state.step)))
            state.clips += clips * world
            state.seconds = earlier + time.perf_counter() - clock
            rows.append(row)
            if state.step % schedule.log_every == 0 or state.step == schedule.steps:
                _log(folder, state, rows, schedule, (state.step - first) / (state.seconds - earlier + 1e-9), writer)
                rows = []
            if state.step % schedule.sheet_every == 0 and state.step < schedule.steps:
                job.preview(state.ema, folder / f"sheet-{state.step:07d}.png")
            # The kept state comes first: killed between the two, a run that resumes passes its milestone again.
            milestone = state.step in schedule.milestones
            if milestone:
                _save(kept(folder, state.step), network, optimisers, state, settings)
            if milestone or state.step == schedule.steps or time.perf_counter() - saved > schedule.save_s:
                _save(path, network, optimisers, state, settings)
                saved = time.perf_counter()
    finally:
        if writer is not None:
            writer.close()
    return export(folder, job, state) if rank == 0 else folder / EMA


def _step(
    job: Job, optimisers: Sequence[torch.optim.Optimizer], step: int, clip: float, rank: int, world: int
) -> tuple[dict[str, float], int]:
    """Train one step and return its figures and the clips of its batch.

    Raises:
        FloatingPointError: the gradient is not finite.
    """
    loss, figures = job.loss(step, rank)
    loss.backward()  # type: ignore[no-untyped-call]
    _average_gradients(job.network, world)
    norm = nn.utils.clip_grad_norm_(job.network.parameters(), clip)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"step {step}: the gradient is not finite")
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    clips = int(figures.pop("clips", 0))
    return {"loss": float(loss.detach()), "norm": float(norm), **figures}, clips


def _set_rates(optimisers: Sequence[torch.optim.Optimizer], rates: Sequence[Sequence[float]], factor: float) -> None:
    for optimiser, full in zip(optimisers, rates, strict=True):
        for group, rate in zip(optimiser.param_groups, full, strict=True):
            group["lr"] = rate * factor


def kept(folder: Path, step: int) -> Path:
    """Return the path of the whole state that a run keeps at a milestone."""
    return folder / f"kept-{step:07d}.pt"


def carry_out(work: Callable[..., None], workers: int, *args: Any) -> None:
    """Call work(*args): in processes that train together on a CPU that has several to give, else in this one."""
    if workers > 1 and not torch.cuda.is_available():
        together(work, workers, *args)
    else:
        torch.set_num_threads(cores())
        work(*args)


def together(work: Callable[..., None], workers: int, *args: Any) -> None:
    """Call work(*args) in processes that train together, one thread each: on a CPU two of them beat one with two threads.

    Raises:
        ConfigError: one of them refused its input, or couldn't read or write a file.
    """
    with tempfile.TemporaryDirectory() as folder:
        meeting, refused = Path(folder) / "meeting", Path(folder) / "refused"
        try:
            spawn(_begin, (work, workers, str(meeting), str(refused), args), nprocs=workers)  # type: ignore[no-untyped-call]
        except ProcessRaisedException:
            if refused.exists():
                raise ConfigError(refused.read_text(encoding="utf-8", errors="surrogateescape")) from None
            raise


def _begin(rank: int, work: Callable[..., None], workers: int, meeting: str, refused: str, args: Sequence[Any]) -> None:
    torch.set_num_threads(1)
    end_with_parent()
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=workers)
    try:
        work(*args)
        # Nobody leaves before the slowest: the connection of one that is gone may end the other.
        dist.barrier()
    except (SoraEvalError, OSError) as error:
        Path(refused).write_text(str(error), encoding="utf-8", errors="surrogateescape")
        raise
    finally:
        dist.destroy_process_group()


def _average_gradients(network: nn.Module, world: int) -> None:
    """Average the gradients over the processes."""
    if world == 1:
        return
    params = [p for p in network.parameters() if p.requires_grad]
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in params])
    dist.all_reduce(flat)
    for p, part in zip(params, torch.split(flat / world, [p.numel() for p in params]), strict=True):
        p.grad = part.reshape(p.shape)


def export(folder: Path, job: Job, state: _State) -> Path:
    """Write the EMA weights as they are now, with a sheet of samples."""
    from safetensors.torch import save_file

    job.preview(state.ema, folder / f"sheet-{state.step:07d}.png")
    path = folder / EMA
    with replacing(path) as part:
        save_file({k: v.contiguous().cpu() for k, v in state.ema.items()}, part)
    return path


@torch.no_grad()
def _average(ema: dict[str, Tensor], network: nn.Module, keep: float) -> None:
    now = network.state_dict()
    floats = [k for k, v in now.items() if v.is_floating_point()]
    torch._foreach_lerp_([ema[k] for k in floats], [now[k] for k in floats], 1 - keep)
    for k in now.keys() - set(floats):
        ema[k].copy_(now[k])


def _save(
    path: Path,
    network: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    state: _State,
    settings: Mapping[str, Any],
) -> None:
    content = {
        "network": network.state_dict(),
        "optimisers": [o.state_dict() for o in optimisers],
        "ema": state.ema,
        "step": state.step,
        "begun": state.begun,
        "seconds": state.seconds,
        "clips": state.clips,
        "settings": json.dumps(settings, sort_keys=True),
    }
    with replacing(path) as part:
        torch.save(content, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())


def _load(
    path: Path,
    network: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    state: _State,
    settings: Mapping[str, Any],
) -> None:
    content = _content(path)
    before = parse_json(content["settings"])
    # A setting that a state of an earlier version lacks can't differ.
    if differing := [k for k in settings if before.get(k, settings[k]) != settings[k]]:
        pairs = ", ".join(f"{k}={before[k]} (now: {settings[k]})" for k in differing)
        raise ConfigError(
            f"{path} is the state of a run with {pairs}: set these values, or name another folder with out=..."
        )
    checkpoints.fill(network, content["network"], path)
    for optimiser, values in zip(optimisers, content["optimisers"], strict=True):
        optimiser.load_state_dict(values)
    device = next(network.parameters()).device
    state.ema = {k: v.to(device) for k, v in content["ema"].items()}
    state.step, state.seconds, state.clips = content["step"], content["seconds"], content["clips"]
    state.begun = content.get("begun", 0)


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(f"{path} can't be read as a training state ({type(error).__name__})") from error
    return content


def ema_of(folder: Path) -> dict[str, Tensor]:
    """Return the EMA weights of the run in a folder as its last saved state has them.

    Raises:
        ConfigError: there is no state, or it can't be read.
    """
    ema: dict[str, Tensor] = _last(folder)["ema"]
    return ema


def _last(folder: Path) -> dict[str, Any]:
    if not (folder / STATE).exists():
        raise ConfigError(f"{folder} holds no training that could be exported: {folder / STATE} is missing")
    return _content(folder / STATE)


def _begin_from(past: Past, network: nn.Module, state: _State, log: Path | None) -> None:
    checkpoints.fill(network, past.weights, past.path)
    device = next(network.parameters()).device
    state.ema = {k: v.to(device).clone() for k, v in past.weights.items()}
    state.step = state.begun = past.steps
    state.seconds, state.clips = past.seconds, past.clips
    if log is not None:
        text = "".join(json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in past.curve)
        with replacing(log / LOG) as part:
            part.write_text(text, encoding="utf-8")


def _curves(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    # Steps after the last saved state are made again.
    return SummaryWriter(str(folder / "curves"), purge_step=step)


def _log(
    folder: Path, state: _State, rows: Sequence[Mapping[str, float]], schedule: Schedule, rate: float, writer: Any
) -> None:
    keys = {k for row in rows for k in row}
    means = {k: math.fsum(r[k] for r in rows if k in r) / sum(k in r for r in rows) for k in sorted(keys)}
    line = {"step": state.step, "seconds": round(state.seconds, 1), "clips": state.clips, **means}
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    left = (schedule.steps - state.step) / max(rate, 1e-9)
    figures = " ".join(f"{k} {v:.4g}" for k, v in means.items())
    print(f"step {state.step}/{schedule.steps} {figures} | {rate:.2f} steps/s, {left / 60:.0f} min left", flush=True)
    if writer is not None:
        for k, v in means.items():
            writer.add_scalar(k, v, state.step)


def spent(folder: Path, trunk: Path | None = None) -> dict[str, Any]:
    """Return the cost of a run so far, with that of the trunk that it branched off, and its loss curve.

    steps, clips and seconds of wall time; curve: some 60 points (step, loss); processes that trained together, where its settings have
    their number, "workers". All as of its last saved state: the log may be ahead of it.

    Raises:
        ConfigError: there is no state, or it can't be read.
    """
    state = _last(folder)
    rows = _logged(folder)
    if trunk is not None and rows:
        rows = [row for row in _logged(trunk) if row["step"] < rows[0]["step"]] + rows
    # A run that was killed logs some steps twice: the later line counts.
    curve = sorted({row["step"]: round(row["loss"], 4) for row in rows if row["step"] <= state["step"]}.items())
    thin = curve[:: max(1, len(curve) // 60)]
    workers = parse_json(state["settings"]).get("workers")
    processes = {} if workers is None else {"processes": workers}
    return {**{k: state[k] for k in ("clips", "seconds")}, "steps": state["step"], "curve": thin, **processes}


def resumed_at(folder: Path) -> int:
    """Return the step at which a run, or its trunk, resumed from weights with new optimisers; 0 where it began with new weights.

    Raises:
        ConfigError: there is no state, or it can't be read.
    """
    return int(_last(folder).get("begun", 0))


def _logged(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, without those that were cut by a full disk or a kill."""
    rows: list[dict[str, Any]] = []
    if (folder / LOG).exists():
        for line in (folder / LOG).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                row = parse_json(line)
                if isinstance(row, dict) and all(isinstance(row.get(k), int | float) for k in ("step", "loss")):
                    rows.append(row)
    return rows


def flops(job: Job, steps: int, begun: int = 0, samples: int = 24) -> float:
    """Return the floating-point operations of training from step `begun` to `steps`, estimated from the forward passes of `samples` steps.

    Matrix products and convolutions are counted, not the optimisers. The share of the backward pass is that of the first step: twice the
    forward pass, less where a part of the network is frozen.
    """
    if steps <= begun:
        return 0.0
    counted = range(begun, steps, max(1, (steps - begun) // samples))
    before = copy.deepcopy(job.network.state_dict())
    both = operations(lambda: job.loss(begun)[0].backward())  # type: ignore[no-untyped-call]
    job.network.zero_grad(set_to_none=True)
    with torch.no_grad():
        forward = [operations(lambda step=step: job.loss(step)) for step in counted]  # type: ignore[misc]
    # Counting must not train: batch statistics are updated by every forward pass.
    job.network.load_state_dict(before)
    return both / forward[0] * sum(forward) / len(counted) * (steps - begun)


def operations(work: Callable[[], object]) -> float:
    """Return the floating-point operations of matrix products and convolutions that a call of `work` takes."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def noise_of(seed: int, step: int, stream: str) -> torch.Generator:
    """Return the noise of a step; streams of other names are independent."""
    return torch.Generator().manual_seed(int(digest([stream, seed, step])[:15], 16))
