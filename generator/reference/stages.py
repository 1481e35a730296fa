"""Stages of `sora-eval train`: data -> autoencoder -> decoder -> latents -> words -> transformer; distil. Each resumes where it stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from sora_eval.data import shards
from sora_eval.data.vocabulary import Vocabulary, full_vocabulary
from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.reference import model
from sora_eval.generator.reference.autoencoder import Autoencoder
from sora_eval.generator.reference.dataset import LatentDataset, PixelDataset, encode_set, latents_folder
from sora_eval.generator.reference.distillation.training import Distillation
from sora_eval.generator.reference.options import DISTIL, EXPORT, STAGES, TRUNK, WORDS, Plan
from sora_eval.generator.reference.recipe import (
    AutoencoderRecipe,
    TransformerRecipe,
    autoencoder_recipe,
    transformer_recipe,
)
from sora_eval.generator.reference.train import AutoencoderTraining, DiffusionTraining, TextTraining
from sora_eval.generator.reference.transformer import Transformer, TransformerConfig
from sora_eval.training import checkpoints, loop
from sora_eval.types import digest


def run(stage: str, plan: Plan) -> Path:
    """Carry out a stage, or all of them in order, and return the path that the last one wrote.

    After a trunk, "all" trains each of its branches to the end: a trunk, whose learning rate never falls, is no finished model.

    Raises:
        ConfigError: the stage is unknown, or its input is missing.
    """
    if stage not in (*_DO, "all"):
        raise unknown("stage", stage, [*_DO, "all"])
    for name in STAGES if stage == "all" else (stage,):
        path = _DO[name](plan)
    p = plan.transformer
    if stage == "all" and not p.units:
        begun = int(model.training_record(p.start).get("steps", 0)) if p.start else 0
        for units in sorted(u for u in p.branches if u <= p.trunk_units and _trunk_steps(u, p.unit) >= begun):
            path = _transformer(replace(plan, transformer=replace(p, units=units)))
    return path


def _data(plan: Plan) -> Path:
    """Render the training set."""
    folder = Path(plan.data.folder)
    d = plan.data
    shards.prepare(folder / "training", d.shards, d.size, plan.seed, plan.processes, looks=d.looks, families=d.families)
    return folder


def _autoencoder(plan: Plan) -> Path:
    """Train encoder and decoder on pixels."""
    folder = plan.folder / "autoencoder"
    loop.carry_out(_train_autoencoder, plan.processes, plan, folder)
    network = Autoencoder(autoencoder_recipe(plan.recipe).network)
    network.load_state_dict(_ema(folder))
    path = _autoencoder_file(plan)
    if path.exists():
        _, _, about, _ = checkpoints.read(path, "autoencoder")
        if "decoder" in about and model.load_autoencoder(path)[1] == model.latent_space(network):
            # The same encoder with a decoder that was trained on: the file is the later one.
            return path
    cost = _cost(plan, folder, _autoencoder_training(plan, network))
    model.save_autoencoder(path, network, {"plan": asdict(plan.autoencoder), "seed": plan.seed, **cost})
    return path


def _train_autoencoder(plan: Plan, folder: Path) -> None:
    torch.manual_seed(plan.seed)
    p, r = plan.autoencoder, autoencoder_recipe(plan.recipe)
    network = Autoencoder(r.network).to(loop.device())
    if p.initial:
        model.fill_autoencoder(network, Path(p.initial))
    schedule = loop.Schedule(p.steps, warmup=r.warmup, decay=p.decay, ema=r.ema, save_s=plan.save_s)
    loop.fit(_autoencoder_training(plan, network), folder, schedule, {"autoencoder": asdict(p), **_settings(plan, r)})


def _decoder(plan: Plan) -> Path:
    """Train the decoder alone, and put it into the autoencoder's file."""
    folder, path = plan.folder / "decoder", _autoencoder_file(plan)
    _, _, about, _ = checkpoints.read(path, "autoencoder")
    loop.carry_out(_train_decoder, plan.processes, plan, folder)
    network, _ = model.load_autoencoder(path)
    # The decoder's average alone: that of the frozen encoder turns its zeros' signs, and so the hash of the latent space.
    average = {k.removeprefix("decoder."): v for k, v in _ema(folder).items() if k.startswith("decoder.")}
    before = checkpoints.halved(network.decoder.state_dict())
    if checkpoints.hash_of(checkpoints.halved(average)) == checkpoints.hash_of(before):
        return path  # It is in the file already, with its cost.
    network.decoder.requires_grad_(True).load_state_dict(average)
    cost = {
        "plan": asdict(plan.decoder),
        **_cost(plan, folder, _autoencoder_training(plan, network, decoder_only=True)),
    }
    if "decoder" in about:
        cost = _added(about["decoder"], cost)
    model.save_autoencoder(path, network, {**about, "decoder": cost})
    return path


def _added(before: Mapping[str, Any], cost: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cost of two trainings of the same weights, one after the other; plan and processes are those of the second."""
    sums = {k: before[k] + cost[k] for k in ("steps", "clips", "seconds", "flops")}
    return {**cost, **sums, "curve": [*before["curve"], *([before["steps"] + k, v] for k, v in cost["curve"])]}


def _train_decoder(plan: Plan, folder: Path) -> None:
    p, r = plan.decoder, autoencoder_recipe(plan.recipe)
    # From the file, in half precision: this is the encoder that latents are made with.
    network, _ = model.load_autoencoder(_autoencoder_file(plan))
    network.decoder.requires_grad_(True)
    training = _autoencoder_training(plan, network.to(loop.device()), decoder_only=True)
    schedule = loop.Schedule(p.steps, warmup=r.warmup, decay=p.steps, ema=r.ema, save_s=plan.save_s)
    loop.fit(training, folder, schedule, {"decoder": asdict(p), **_settings(plan, r)})


def _autoencoder_training(plan: Plan, network: Autoencoder, decoder_only: bool = False) -> AutoencoderTraining:
    r = autoencoder_recipe(plan.recipe)
    clips = [s for folder in _sets(plan) for s in _shards(plan, folder)]
    rate = plan.decoder.rate if decoder_only else plan.autoencoder.rate
    return AutoencoderTraining(
        network, PixelDataset(clips, plan.seed, r.window, r.pixels, r.shares), r, rate, decoder_only
    )


def _autoencoder_file(plan: Plan) -> Path:
    return plan.folder / f"{model.AUTOENCODER}.safetensors"


def _latents(plan: Plan) -> Path:
    """Encode the training set."""
    first, *_ = [encode_set(folder, _autoencoder_file(plan), plan.processes) for folder in _sets(plan)]
    return first


def _sets(plan: Plan) -> list[Path]:
    """Return the folders of the training set and of the further ones."""
    return [Path(folder) / "training" for folder in (plan.data.folder, *plan.data.more)]


def _words(plan: Plan) -> Path:
    """Train the text encoder alone."""
    folder = plan.folder / WORDS
    loop.carry_out(_train_words, plan.processes, plan, folder)
    return folder / loop.EMA


def _train_words(plan: Plan, folder: Path) -> None:
    p, r = plan.transformer, transformer_recipe(plan.recipe)
    network = _new_transformer(plan)
    training, latent_space = _diffusion_training(plan, network)
    if p.start:
        past = _past(plan, training.words, latent_space)
        checkpoints.fill(network, past.weights, past.path)
    schedule = loop.Schedule(p.words, warmup=r.text_warmup, decay=p.words // 2, ema=r.text_ema, save_s=plan.save_s)
    settings = {"words": p.words, "latents": latent_space, "start": p.start, **_settings(plan, r)}
    loop.fit(TextTraining(training), folder, schedule, settings)


def _transformer(plan: Plan) -> Path:
    """Train the transformer on latents: the trunk, or a branch of it."""
    folder = plan.folder / _name(plan)
    loop.carry_out(_train_transformer, plan.processes, plan, folder)
    return _write(plan, _ema(folder))


def _train_transformer(plan: Plan, folder: Path) -> None:
    p, r = plan.transformer, transformer_recipe(plan.recipe)
    network = _new_transformer(plan)
    if p.compiled and can_compile():
        # Block by block: one compilation serves them all, and takes half a minute per shape instead of minutes.
        torch._dynamo.config.recompile_limit = 64
        for block in (*network.blocks, *network.text_encoder.blocks, *(network.fine.blocks if network.fine else ())):
            block.compile(dynamic=False)
    training, latent_space = _diffusion_training(plan, network)
    words = _trained_words(plan)
    network.load_state_dict(words, strict=False)
    settings: dict[str, Any] = {"tokens": p.tokens, "square": p.square, "unit": p.unit, "initial": p.initial}
    settings |= {"latents": latent_space, "words": bool(words), **_settings(plan, r)}
    start: Path | loop.Past | None = None
    if p.units:
        steps = p.units * p.unit
        # The trunk, from whose state a branch begins, has none.
        settings["units"] = p.units
        schedule = loop.Schedule(steps, r.warmup, decay=steps // 5, ema=r.ema, save_s=plan.save_s)
        start = _branch_point(plan, folder)
    else:
        kept = tuple(_trunk_steps(units, p.unit) for units in p.branches)
        steps = _trunk_steps(p.trunk_units, p.unit)
        schedule = loop.Schedule(steps, r.warmup, ema=r.ema, save_s=plan.save_s, milestones=kept)
        if p.start:
            past = _past(plan, training.words, latent_space)
            start = replace(past, weights={**past.weights, **words})
    loop.fit(training, folder, schedule, settings, start)


def _branch_point(plan: Plan, folder: Path) -> Path | None:
    """Return the state of the trunk from which a branch starts, None where there is no trunk, or the branch has a state of its own.

    Raises:
        ConfigError: the trunk did not keep it, or `transformer.start` is set and there is no trunk.
    """
    p, trunk = plan.transformer, plan.folder / TRUNK
    start = loop.kept(trunk, _trunk_steps(p.units, p.unit))
    if (folder / loop.STATE).exists():
        return None
    if not p.square and start.exists():
        return start
    if not p.square and (trunk / loop.STATE).exists():
        raise ConfigError(
            f"{start} is missing: a trunk (transformer.units=0) keeps it when it comes by, if {p.units} is among its "
            f"transformer.branches"
        )
    if p.start:
        raise ConfigError(
            f"transformer.start={p.start} is where a trunk resumes, and {trunk} is none: run transformer.units=0 first"
        )
    return None


def _trunk_steps(units: int, unit: int) -> int:
    """Return the steps of a run of so many units before its decay."""
    return units * unit - units * unit // 5


def _export(plan: Plan) -> Path:
    """Write the current weights of a transformer's training."""
    return _write(plan, loop.ema_of(plan.folder / _name(plan)))


def _write(plan: Plan, weights: dict[str, torch.Tensor]) -> Path:
    """Write a transformer's weights with the plan and the cost of its training so far.

    Raises:
        ConfigError: the run resumed from weights that `transformer.start` doesn't name.
    """
    p, name = plan.transformer, _name(plan)
    folder = plan.folder / name
    network = Transformer(_transformer_config(plan))
    checkpoints.fill(network, weights, folder)
    training, latent_space = _diffusion_training(plan, network)
    resumed = loop.resumed_at(folder)
    if resumed and not p.start:
        raise ConfigError(f"{folder} resumed from weights: name them in transformer.start for stage={EXPORT} too")
    earlier = model.training_record(p.start) if resumed else {}
    trunk = plan.folder / TRUNK if p.units and not p.square else None
    about = _cost(plan, folder, training, trunk, resumed)
    # The record has the operations of all steps until then, by the machine and the recipe of that time.
    about["flops"] += earlier.get("flops", 0.0)
    # Files by their names: where they lie is the user's own business.
    named = {k: Path(value).stem for k in ("initial", "start") if (value := getattr(p, k))}
    if p.initial:
        about["initial"] = model.begun_with(model.find(p.initial))
        about["flops"] += about["initial"].get("flops", 0.0)
    if _trained_words(plan):
        about[WORDS] = _cost(plan, plan.folder / WORDS, TextTraining(training))
    about |= {k: earlier[k] for k in (WORDS, "initial") if k in earlier and k not in about}
    path = plan.folder / f"{name}.safetensors"
    about = {"plan": asdict(p) | named, "seed": plan.seed, **about}
    model.save_transformer(path, network, training.words, latent_space, about)
    return path


def _distil(plan: Plan) -> Path:
    """Distil a checkpoint into one of fewer sampling steps."""
    p, stem = plan.distil, Path(plan.distil.teacher).stem
    folder = plan.folder / f"{stem}-{p.sampling_steps}steps"
    loop.carry_out(_train_distilled, plan.processes, plan, folder)
    training, latent_space = _distillation(plan)
    network, teacher = training.network, training.teacher
    checkpoints.fill(network, _ema(folder), folder)
    about = {"plan": asdict(p) | {"teacher": stem}, "seed": plan.seed, **_cost(plan, folder, training)}
    about |= {"initial": model.begun_with(model.find(p.teacher)), "sampling": asdict(training.options)}
    about["flops"] += about["initial"].get("flops", 0.0)
    path = plan.folder / f"{folder.name}.safetensors"
    model.save_transformer(path, network, teacher.words, latent_space, about)
    return path


def _train_distilled(plan: Plan, folder: Path) -> None:
    p, (training, latent_space) = plan.distil, _distillation(plan)
    # Begun with trained weights, and short beside a training: the average spans 50 steps, not the recipe's 500 or 1,000.
    schedule = loop.Schedule(p.steps, warmup=20, decay=p.steps, ema=0.98, save_s=plan.save_s)
    settings: dict[str, Any] = {
        "teacher": training.teacher.hash,
        "sampling": asdict(training.options),
        "latents": latent_space,
    }
    settings |= {"distil": asdict(p) | {"teacher": ""}, "tokens": plan.transformer.tokens}
    settings |= _settings(plan, transformer_recipe(plan.recipe))
    loop.fit(training, folder, schedule, settings)


def _distillation(plan: Plan) -> tuple[Distillation, str]:
    """Return the distillation of a checkpoint, and the hash of its latent space.

    Raises:
        ConfigError: the teacher can't be used or has other latents, its steps are no multiple of the student's, or latents are missing.
    """
    p, teacher = plan.distil, model.load(plan.distil.teacher)
    latent_space = model.load_autoencoder(_autoencoder_file(plan))[1]
    if model.latent_space(teacher.autoencoder) != latent_space:
        raise ConfigError(
            f"distil.teacher={p.teacher} was trained on the latents of another autoencoder than {plan.folder} has"
        )
    # A batch has the states of each of its clips before every step of the student.
    data = _latent_data(plan, latent_space, max(1, plan.transformer.tokens // p.sampling_steps))
    return Distillation(teacher, data, p.sampling_steps, p.rate), latent_space


def _name(plan: Plan) -> str:
    """Return the folder of a run and the stem of its file."""
    p = plan.transformer
    if not p.units:
        return TRUNK
    return p.name or transformer_recipe(plan.recipe).name(p.units, p.square)


def _new_transformer(plan: Plan) -> Transformer:
    torch.manual_seed(plan.seed)
    network = Transformer(_transformer_config(plan))
    if plan.transformer.initial:
        model.fill_transformer(network, model.find(plan.transformer.initial))
    return network.to(loop.device())


def _transformer_config(plan: Plan) -> TransformerConfig:
    return replace(transformer_recipe(plan.recipe).network, words=len(full_vocabulary()))


def _diffusion_training(plan: Plan, network: Transformer) -> tuple[DiffusionTraining, str]:
    """Return the training of a transformer, and the hash of the latent space.

    Raises:
        ConfigError: clips, or their latents, are missing.
    """
    autoencoder, latent_space = model.load_autoencoder(_autoencoder_file(plan))
    data = _latent_data(plan, latent_space, plan.transformer.tokens)
    return DiffusionTraining(network, autoencoder, full_vocabulary(), data), latent_space


def _latent_data(plan: Plan, latent_space: str, tokens: int) -> LatentDataset:
    """Return the training set in a latent space, in batches of so many patches.

    Raises:
        ConfigError: clips, or their latents, are missing.
    """
    p, sets = plan.transformer, [_shards(plan, folder) for folder in _sets(plan)]
    for folder, clips in zip(_sets(plan), sets, strict=True):
        latents = latents_folder(folder, latent_space)
        missing = [s.name for s in clips if not (latents / s.path.name).exists()]
        if missing:
            raise ConfigError(
                f"{latents} lacks the latents of {len(missing)} of {len(clips)} shards: run stage=latents first"
            )
    recipe = transformer_recipe(plan.recipe)
    every = [s for clips in sets for s in clips]
    return LatentDataset(every, latents.name, recipe, plan.seed, p.unit, tokens, p.square)


def _trained_words(plan: Plan) -> dict[str, torch.Tensor]:
    """Return the weights of the stage of the words, none where there was no such stage.

    Raises:
        ConfigError: it was begun and is not done.
    """
    folder = plan.folder / WORDS
    if (folder / loop.EMA).exists():
        return _ema(folder)
    if (folder / loop.LOG).exists():
        raise ConfigError(f"{folder} was begun and is not done: run stage=words again, or remove it")
    return {}


def _past(plan: Plan, words: Vocabulary, latent_space: str) -> loop.Past:
    """Return the training that the file `transformer.start` was exported from, to resume it.

    Raises:
        ConfigError: its header lacks it, or it was trained on other words or in another latent space.
    """
    path = model.find(plan.transformer.start)
    weights, facts, about, _ = checkpoints.read(path, "transformer")
    if facts.get("latents") != latent_space:
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


def _cost(
    plan: Plan, folder: Path, training: loop.Job, trunk: Path | None = None, first_step: int = 0
) -> dict[str, Any]:
    """Return the cost of a run; processes that train together do the same work each, on clips of their own.

    trunk: folder of the run that it branched off. first_step: the step from which on operations are counted.
    """
    spent = loop.spent(folder, trunk)
    # Of the run itself, where its state has them: another machine may have written the file.
    processes = spent.get("processes", _workers(plan))
    operations = processes * loop.flops(training, int(spent["steps"]), first_step)
    return {**spent, "flops": operations, "processes": processes}


def _settings(plan: Plan, recipe: AutoencoderRecipe | TransformerRecipe) -> dict[str, Any]:
    """Return what a run depends on at every stage: it resumes with the same values only."""
    first, *more = (shards.count(folder) for folder in _sets(plan))
    return {
        "seed": plan.seed,
        "workers": _workers(plan),
        "recipe": digest(asdict(recipe)),
        "shards": [min(first, plan.data.shards), *more],
    }


def _workers(plan: Plan) -> int:
    return 1 if torch.cuda.is_available() else plan.processes


def _shards(plan: Plan, folder: Path) -> list[shards.Shard]:
    """Return the shards that a training reads of a set: `data.shards` of the first one, all of a further one.

    Raises:
        ConfigError: it holds none.
    """
    return shards.read(folder)[: plan.data.shards if folder == _sets(plan)[0] else None]


def _ema(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoints.tensors(folder / loop.EMA)[0]


def can_compile() -> bool:
    """Return whether torch.compile has its compiler, with a note where it hasn't: training is slower then."""
    compiler = torch.cuda.is_available() or shutil.which(os.environ.get("CXX") or "g++") is not None
    if not compiler:
        print("note: no C++ compiler (g++) is here: training goes without torch.compile, more slowly", flush=True)
    return compiler


_DO = {
    "data": _data,
    "autoencoder": _autoencoder,
    "decoder": _decoder,
    "latents": _latents,
    "words": _words,
    "transformer": _transformer,
    EXPORT: _export,
    DISTIL: _distil,
}
