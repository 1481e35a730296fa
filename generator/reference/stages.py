"""The stages of training behind `sora-eval train`, from the data to the transformer. Each goes on where it stopped."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from sora_eval.data import shards
from sora_eval.data.vocabulary import Vocabulary, world_vocabulary
from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.reference import jobs, latents, model
from sora_eval.generator.reference.autoencoder import Autoencoder, AutoencoderConfig
from sora_eval.generator.reference.transformer import Transformer, TransformerConfig
from sora_eval.training import checkpoints, loop

STAGES: tuple[str, ...] = ("data", "autoencoder", "decoder", "latents", "words", "transformer")
EXPORT = "export"
"""Write the weights of a transformer's training as they are now; no part of "all"."""
WORDS, TRUNK = "words", "trunk"
_T = TypeVar("_T")


@dataclass(frozen=True)
class DataPlan:
    """folder: of the set, of so many shards of `size` clips."""

    folder: str
    shards: int = 280
    size: int = 64


@dataclass(frozen=True)
class AutoencoderPlan:
    """steps, the last `decay` of them with a falling rate; rate: of Muon."""

    steps: int = 3000
    decay: int = 1000
    rate: float = 0.008


@dataclass(frozen=True)
class DecoderPlan:
    """The decoder alone, afterwards: steps, all with a falling rate; rate: of Muon at the start."""

    steps: int = 2500
    rate: float = 0.006


@dataclass(frozen=True)
class TransformerPlan:
    """What is trained, in units of compute of `unit` steps.

    name: of a branch's folder and file; by default "base" after one unit, "4x" after four, "square" of the ablation.
    units: the run's whole compute; its last fifth is the decay. It branches off the undecayed `trunk` where that has one, so that
    runs of 1, 4 and 32 units share their beginning. units 0 is the trunk itself, up to `trunk_units`; it keeps the state from which each
    of the `branches` can begin.
    words: steps of the stage before, of the text encoder alone, with a rate that falls over the second half.
    start: weights from which a trunk goes on that has no state here: the file that `stage=export` wrote elsewhere, or a checkpoint.
    """

    name: str = ""
    units: int = 0
    unit: int = 875
    trunk_units: int = 32
    words: int = 3000
    start: str = ""
    branches: tuple[int, ...] = (1, 4, 32)
    tokens: int = 1280
    square: bool = False
    compiled: bool = True


@dataclass(frozen=True)
class Plan:
    """All of a training."""

    out: str
    data: DataPlan
    seed: int = 0
    workers: int = 1
    autoencoder: AutoencoderPlan = field(default_factory=AutoencoderPlan)
    decoder: DecoderPlan = field(default_factory=DecoderPlan)
    transformer: TransformerPlan = field(default_factory=TransformerPlan)
    save_s: float = 120.0

    @property
    def folder(self) -> Path:
        """Where states, curves and weights go."""
        return Path(self.out)


def plan_of(values: dict[str, Any]) -> Plan:
    """Return the plan that a configuration describes.

    Raises:
        ConfigError: a value has the wrong type or is too small.
    """
    found = _build(Plan, values, "")
    t = found.transformer
    for key, value, least in (
        ("workers", found.workers, 1),
        ("data.shards", found.data.shards, 1),
        ("data.size", found.data.size, 1),
        ("autoencoder.steps", found.autoencoder.steps, 1),
        ("decoder.steps", found.decoder.steps, 1),
        ("transformer.unit", t.unit, 5),
        ("transformer.units", t.units, 0),
        ("transformer.words", t.words, 1),
        ("transformer.tokens", t.tokens, 16),
        ("transformer.trunk_units", t.trunk_units, 1),
        ("seed", found.seed, 0),
    ):
        if value < least:
            raise ConfigError(f"{key} must be at least {least}, got {value}")
    rates = {"autoencoder.rate": found.autoencoder.rate, "decoder.rate": found.decoder.rate}
    for key, much in {"save_s": found.save_s, **rates}.items():
        if not 0 < much < math.inf:
            raise ConfigError(f"{key} must be above 0, got {much}")
    if not 0 <= found.autoencoder.decay <= found.autoencoder.steps:
        raise ConfigError(f"autoencoder.decay must be in 0..{found.autoencoder.steps}, got {found.autoencoder.decay}")
    if Path(t.name).name != t.name or (t.units and t.name in (*STAGES, TRUNK, "..")):
        raise ConfigError(
            f"transformer.name must be the name of a folder, and none of a stage or the trunk, got {t.name}"
        )
    if t.name and not t.units:
        raise ConfigError(
            f"transformer.name={t.name} is of a branch: the trunk (transformer.units=0) is called {TRUNK}"
        )
    return found


def _build(kind: type[_T], values: dict[str, Any], prefix: str) -> _T:
    made: dict[str, Any] = {}
    hints = {part.__name__: part for part in (DataPlan, AutoencoderPlan, DecoderPlan, TransformerPlan)}
    simple: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
    for f in fields(kind):  # type: ignore[arg-type]
        if f.name not in values:
            continue
        value, hint = values[f.name], str(f.type)
        if hint in hints:
            if not isinstance(value, dict):
                raise ConfigError(f"{prefix}{f.name} must be a group of values, got {value}")
            made[f.name] = _build(hints[hint], value, f"{prefix}{f.name}.")
        elif hint.startswith("tuple"):
            if not isinstance(value, list | tuple) or not all(type(v) is int and v > 0 for v in value):
                raise ConfigError(f"{prefix}{f.name} must be a list of whole numbers above 0, got {value}")
            made[f.name] = tuple(value)
        elif isinstance(value, bool) != (hint == "bool") or not isinstance(value, simple[hint]):
            raise ConfigError(f"{prefix}{f.name} must be {hint}, got {value}")
        else:
            made[f.name] = value
    return kind(**made)


def run(stage: str, plan: Plan) -> Path:
    """Carry out a stage, or all of them in order, and return what the last one wrote.

    After a trunk, "all" lets each of its branches end: a trunk by itself, its rate never having fallen, is no finished model.

    Raises:
        ConfigError: the stage is unknown, or what it builds on is not there.
    """
    if stage not in (*STAGES, EXPORT, "all"):
        raise unknown("stage", stage, [*STAGES, EXPORT, "all"])
    for name in STAGES if stage == "all" else (stage,):
        found = _DO[name](plan)
    p = plan.transformer
    if stage == "all" and not p.units:
        for units in sorted(u for u in p.branches if u <= p.trunk_units):
            found = _transformer(replace(plan, transformer=replace(p, units=units)))
    return found


def _data(plan: Plan) -> Path:
    folder = Path(plan.data.folder)
    shards.prepare(folder / "training", plan.data.shards, plan.data.size, plan.seed, plan.workers)
    return folder


def _autoencoder(plan: Plan) -> Path:
    loop.carry_out(_autoencoder_work, plan.workers, plan, plan.folder / "autoencoder")
    network = Autoencoder(AutoencoderConfig())
    network.load_state_dict(_weights(plan.folder / "autoencoder"))
    path = _eyes(plan)
    if path.exists():
        _, _, before, _ = checkpoints.read(path, "autoencoder")
        if "decoder" in before and model.load_autoencoder(path)[1] == model.latents_of(network):
            # The same latents, and a decoder that went on learning: what is there is the later one.
            return path
    about = _cost(plan, plan.folder / "autoencoder", _pixels(plan, network))
    model.save_autoencoder(path, network, {"plan": asdict(plan.autoencoder), "seed": plan.seed, **about})
    return path


def _decoder(plan: Plan) -> Path:
    """Let the decoder alone go on learning, and put it into the autoencoder's file."""
    path = _eyes(plan)
    _, _, about, _ = checkpoints.read(path, "autoencoder")
    loop.carry_out(_decoder_work, plan.workers, plan, plan.folder / "decoder")
    network = Autoencoder(AutoencoderConfig())
    network.load_state_dict(_weights(plan.folder / "decoder"))
    cost = _cost(plan, plan.folder / "decoder", _pixels(plan, network, decoder_only=True))
    model.save_autoencoder(path, network, {**about, "decoder": {"plan": asdict(plan.decoder), **cost}})
    return path


def _eyes(plan: Plan) -> Path:
    return plan.folder / f"{model.AUTOENCODER}.safetensors"


def _pixels(plan: Plan, network: Autoencoder, decoder_only: bool = False) -> jobs.AutoencoderJob:
    clips = shards.read(Path(plan.data.folder) / "training")[: plan.data.shards]
    rate = plan.decoder.rate if decoder_only else plan.autoencoder.rate
    return jobs.AutoencoderJob(network, clips, plan.seed, rate, decoder_only)


def _cost(plan: Plan, folder: Path, job: loop.Job, trunk: Path | None = None) -> dict[str, Any]:
    """Return what a run has cost; processes that train together do the same work each, on clips of their own."""
    spent = loop.spent(folder, trunk)
    alike = 1 if torch.cuda.is_available() else plan.workers
    return {**spent, "flops": alike * loop.flops(job, int(spent["steps"])), "processes": alike}


def _autoencoder_work(plan: Plan, folder: Path) -> None:
    torch.manual_seed(plan.seed)
    p = plan.autoencoder
    network = Autoencoder(AutoencoderConfig()).to(loop.device())
    schedule = loop.Schedule(p.steps, warmup=30, decay=p.decay, ema=0.998, save_s=plan.save_s)
    loop.fit(_pixels(plan, network), folder, schedule, {"autoencoder": asdict(p), "seed": plan.seed})


def _decoder_work(plan: Plan, folder: Path) -> None:
    p = plan.decoder
    # From the file, in half precision as it is there: this is the encoder that latents are made with.
    network, _ = model.load_autoencoder(_eyes(plan))
    network.decoder.requires_grad_(True)
    job = _pixels(plan, network.to(loop.device()), decoder_only=True)
    schedule = loop.Schedule(p.steps, warmup=30, decay=p.steps, ema=0.998, save_s=plan.save_s)
    loop.fit(job, folder, schedule, {"decoder": asdict(p), "seed": plan.seed})


def _latents(plan: Plan) -> Path:
    return latents.encode(Path(plan.data.folder) / "training", _eyes(plan), plan.workers)


def _words(plan: Plan) -> Path:
    folder = plan.folder / WORDS
    loop.carry_out(_words_work, plan.workers, plan, folder)
    return folder / loop.EMA


def _transformer(plan: Plan) -> Path:
    folder = plan.folder / _name(plan.transformer)
    loop.carry_out(_transformer_work, plan.workers, plan, folder)
    return _written(plan, _weights(folder))


def _export(plan: Plan) -> Path:
    return _written(plan, loop.ema_of(plan.folder / _name(plan.transformer)))


def _name(p: TransformerPlan) -> str:
    if not p.units:
        return TRUNK
    return p.name or ("square" if p.square else "base" if p.units == 1 else f"{p.units}x")


def _written(plan: Plan, weights: dict[str, torch.Tensor]) -> Path:
    """Write a transformer's weights with what its training was and took so far."""
    p, name = plan.transformer, _name(plan.transformer)
    folder = plan.folder / name
    network = Transformer(TransformerConfig(words=len(world_vocabulary())))
    checkpoints.fill(network, weights, folder)
    job, space = _diffusion(plan, network)
    about = _cost(plan, folder, job, plan.folder / TRUNK if p.units and not p.square else None)
    if _learnt(plan):
        about[WORDS] = _cost(plan, plan.folder / WORDS, jobs.WordsJob(job))
    elif p.start:
        _, _, before, _ = checkpoints.read(model.find(p.start), "transformer")
        about |= {k: v for k, v in before.items() if k == WORDS}
    path = plan.folder / f"{name}.safetensors"
    model.save_transformer(path, network, job.words, space, {"plan": asdict(p), "seed": plan.seed, **about})
    return path


def _learnt(plan: Plan) -> dict[str, torch.Tensor]:
    """Return what the stage of the words has learnt, nothing where there was none.

    Raises:
        ConfigError: it was begun and is not done.
    """
    folder = plan.folder / WORDS
    if (folder / loop.EMA).exists():
        return _weights(folder)
    if (folder / loop.LOG).exists():
        raise ConfigError(f"{folder} was begun and is not done: run stage=words again, or remove it")
    return {}


def _diffusion(plan: Plan, network: Transformer) -> tuple[jobs.DiffusionJob, str]:
    """Return the job of a transformer, and the name of the latents that it learns.

    Raises:
        ConfigError: clips, or their latents, are missing.
    """
    p = plan.transformer
    network_of_pixels, space = model.load_autoencoder(_eyes(plan))
    source = Path(plan.data.folder) / "training"
    recipe = jobs.Recipe(tokens=p.tokens, seed=plan.seed, unit=p.unit, square=p.square)
    latents = source / f"latents-{space[:12]}"
    words, limit = world_vocabulary(), plan.data.shards
    missing = [s.name for s in shards.read(source)[:limit] if not (latents / s.path.name).exists()]
    if missing:
        raise ConfigError(f"{latents} lacks the latents of {len(missing)} of {limit} shards: run stage=latents first")
    return jobs.DiffusionJob(network, network_of_pixels, words, source, latents, recipe, limit), space


def _words_work(plan: Plan, folder: Path) -> None:
    p = plan.transformer
    network = _network(plan)
    job, space = _diffusion(plan, network)
    if p.start:
        past = _past(plan, job.words, space)
        checkpoints.fill(network, past.weights, past.path)
    schedule = loop.Schedule(p.words, warmup=30, decay=p.words // 2, save_s=plan.save_s)
    settings = {"words": p.words, "latents": space, "start": p.start, "seed": plan.seed}
    loop.fit(jobs.WordsJob(job), folder, schedule, settings)


def _network(plan: Plan) -> Transformer:
    torch.manual_seed(plan.seed)
    return Transformer(TransformerConfig(words=len(world_vocabulary()))).to(loop.device())


def _transformer_work(plan: Plan, folder: Path) -> None:
    p = plan.transformer
    network = _network(plan)
    if p.compiled and can_compile():
        # Block by block: one compilation serves them all, and takes half a minute per shape instead of minutes.
        torch._dynamo.config.recompile_limit = 64
        for block in (*network.blocks, *network.text.layers):
            block.compile(dynamic=False)
    job, space = _diffusion(plan, network)
    trunk, learnt = plan.folder / TRUNK, _learnt(plan)
    network.load_state_dict(learnt, strict=False)
    settings = {k: getattr(p, k) for k in ("tokens", "square", "unit")}
    settings |= {"latents": space, "seed": plan.seed, "words": bool(learnt)}
    if p.units:
        steps = p.units * p.unit
        branches = not p.square and (trunk / loop.STATE).exists()
        start = loop.kept(trunk, _branch(p.units, p.unit)) if branches else None
        if start and not start.exists() and not (folder / loop.STATE).exists():
            raise ConfigError(
                f"{start} is missing: a trunk (transformer.units=0) keeps it when it comes by, if {p.units} is among its "
                f"transformer.branches"
            )
        loop.fit(job, folder, loop.Schedule(steps, decay=steps // 5, save_s=plan.save_s), settings, start)
        return
    kept = tuple(_branch(u, p.unit) for u in p.branches)
    schedule = loop.Schedule(_branch(p.trunk_units, p.unit), save_s=plan.save_s, milestones=kept)
    past = _past(plan, job.words, space) if p.start else None
    loop.fit(job, folder, schedule, settings, past and replace(past, weights={**past.weights, **learnt}))


def can_compile() -> bool:
    """Return whether torch.compile has the compiler that it needs; says so where it hasn't: training is slower then."""
    found = torch.cuda.is_available() or shutil.which(os.environ.get("CXX") or "g++") is not None
    if not found:
        print("note: no C++ compiler (g++) is here: training goes without torch.compile, more slowly", flush=True)
    return found


def _past(plan: Plan, words: Vocabulary, space: str) -> loop.Past:
    """Return what the file `transformer.start` says of the training that it was exported from, to go on with.

    Raises:
        ConfigError: it doesn't say, or learnt other words, or other latents than those named `space`.
    """
    path = model.find(plan.transformer.start)
    weights, facts, about, _ = checkpoints.read(path, "transformer")
    if facts.get("latents") != space:
        raise ConfigError(f"{path} was trained on the latents of another autoencoder: its run can't go on here")
    if checkpoints.texts(path, facts, "words") != words.words:
        raise ConfigError(f"{path} was trained on other words: its run can't go on here")
    try:
        steps, clips, seconds, curve = (about[key] for key in ("steps", "clips", "seconds", "curve"))
        points = [(int(step), float(loss)) for step, loss in curve]
        return loop.Past(path, weights, int(steps), int(clips), float(seconds), points)
    except KeyError as error:
        raise ConfigError(f"{path} doesn't say how it was trained ({error}): a run can't go on from it") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: about in its header can't be so ({error}): a run can't go on from it") from error


def _branch(units: int, unit: int) -> int:
    return units * unit - units * unit // 5


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoints.tensors(folder / loop.EMA)[0]


_DO = {
    "data": _data,
    "autoencoder": _autoencoder,
    "decoder": _decoder,
    "latents": _latents,
    "words": _words,
    "transformer": _transformer,
    EXPORT: _export,
}
