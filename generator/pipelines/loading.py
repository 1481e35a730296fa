"""Loading pipelines of diffusers, and putting other weights into the one that is loaded."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import content_hash, read_json
from sora_eval.generator.answers import one_line
from sora_eval.generator.pipelines.options import PipelineOptions
from sora_eval.generator.pipelines.rules import Rules, rules_of

_INDEX = "model_index.json"


@dataclass
class Loaded:
    """A pipeline in memory."""

    pipeline: Any
    """The pipeline."""
    rules: Rules
    """What it can make."""
    checkpoint: str | None = None
    """Checkpoint in it, None for the model's own weights."""
    lora: float | None = None
    """Scale of the checkpoint where that is a LoRA, else None."""
    replaced: bool = False
    """Whether a checkpoint has overwritten the model's own weights: they can't be restored, and no LoRA may be added to others."""


_LOADED: dict[tuple[Any, ...], Loaded] = {}
"""The one pipeline of this process: a second one would not fit beside it."""


def weights_hash(model: str, checkpoint: str | None) -> str:
    """Return a hash of the model's and the checkpoint's bytes; of a model on the hub its name stands for them.

    Raises:
        ConfigError: the folder is no model, or there is no such checkpoint.
    """
    folder = Path(model)
    if folder.exists() and not (folder / _INDEX).is_file():
        raise ConfigError(f"generator.model={model}: no {_INDEX} there; a folder in diffusers' format is needed")
    parts = [content_hash(folder) if folder.exists() else model]
    if checkpoint is not None:
        try:
            parts.append(content_hash(Path(checkpoint)))
        except OSError as error:
            raise ConfigError(f"generator.checkpoint={checkpoint}: no such file or folder") from error
    return ":".join(parts)


def described(model: str) -> dict[str, str]:
    """Return the classes of a model's pipeline and scheduler as its folder names them; {} for a model on the hub."""
    found = {}
    for name, file in (("pipeline", _INDEX), ("scheduler", "scheduler/scheduler_config.json")):
        try:
            found[name] = str(read_json(Path(model) / file)["_class_name"])
        except (SoraEvalError, OSError, KeyError, TypeError):
            continue
    return found


def load(options: PipelineOptions) -> Loaded:
    """Return the pipeline with the checkpoint's weights; what is loaded already stays.

    Raises:
        ConfigError: diffusers isn't there, or the model or the checkpoint can't be loaded.
    """
    key = (
        options.model, options.pipeline, options.dtype, options.device, options.device_map, options.offload, options.compile,
        options.scheduler,
    )  # fmt: skip
    loaded = _LOADED.get(key)
    if loaded is not None and loaded.checkpoint == options.checkpoint and loaded.lora in (None, options.lora_scale):
        return loaded
    tensors = {} if options.checkpoint is None else _tensors(Path(options.checkpoint))
    lora = any("lora" in name.lower() for name in tensors)
    if loaded is None or (loaded.replaced and (lora or not tensors)):
        _LOADED.clear()
        pipeline = _pipeline(options)
        loaded = _LOADED[key] = Loaded(pipeline, rules_of(pipeline))
    try:
        _swap(loaded, options, tensors, lora)
    except BaseException:
        # Half of it may be in place.
        _LOADED.clear()
        raise
    return loaded


def _pipeline(options: PipelineOptions) -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise ConfigError("generator=diffusers needs diffusers: pip install 'sora-eval[diffusers]'") from error
    kind = diffusers.DiffusionPipeline if options.pipeline is None else getattr(diffusers, options.pipeline, None)
    if kind is None or not hasattr(kind, "from_pretrained"):
        raise ConfigError(
            f"generator.pipeline={options.pipeline}: diffusers {diffusers.__version__} has no such pipeline"
        )
    device = _device(options.device)
    dtype = _dtype(options.dtype, device)
    try:
        spread = {"device_map": options.device_map} if options.device_map else {}
        diffusers.utils.logging.disable_progress_bar()
        with warnings.catch_warnings():
            # Of what the libraries deprecate; torch_dtype is the name that all versions know.
            warnings.simplefilter("ignore")
            pipeline = kind.from_pretrained(options.model, torch_dtype=dtype, **spread)
        if options.scheduler is not None:
            scheduler = getattr(diffusers, options.scheduler, None)
            if scheduler is None:
                raise ConfigError(f"generator.scheduler={options.scheduler}: diffusers has no such scheduler")
            pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
        pipeline.set_progress_bar_config(disable=True)
        if options.offload == "model":
            pipeline.enable_model_cpu_offload(device=device)
        elif options.offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=device)
        elif not options.device_map:
            pipeline.to(device)
    except ConfigError:
        raise
    except Exception as error:  # of diffusers, transformers, safetensors, the hub: whatever a model can lack
        raise ConfigError(f"generator.model={options.model} can't be loaded: {_short(error)}") from error
    if options.compile:
        name, network = network_of(pipeline)
        setattr(pipeline, name, torch.compile(network))
    return pipeline


def network_of(pipeline: Any) -> tuple[str, Any]:
    """Return name and module of the network that denoises.

    Raises:
        ConfigError: the pipeline has none that is known.
    """
    for name in ("transformer", "unet"):
        if getattr(pipeline, name, None) is not None:
            return name, getattr(pipeline, name)
    raise ConfigError(
        f"{type(pipeline).__name__} has neither a transformer nor a UNet: generator.checkpoint fits no part of it"
    )


def _swap(loaded: Loaded, options: PipelineOptions, tensors: dict[str, torch.Tensor], lora: bool) -> None:
    """Put the tensors of a checkpoint, none for the model's own weights, into the loaded pipeline in place of the one in it.

    Raises:
        ConfigError: they fit no part of it.
    """
    if loaded.lora is not None:
        loaded.pipeline.unload_lora_weights()
        loaded.lora = None
    if lora:
        _add_lora(loaded.pipeline, options, tensors)
        loaded.lora = options.lora_scale
    elif options.checkpoint is not None:
        _replace(loaded.pipeline, options.checkpoint, tensors)
        loaded.replaced = True
    loaded.checkpoint = options.checkpoint


def _add_lora(pipeline: Any, options: PipelineOptions, tensors: dict[str, torch.Tensor]) -> None:
    try:
        pipeline.load_lora_weights(tensors, adapter_name="checkpoint")
        pipeline.set_adapters(["checkpoint"], [options.lora_scale])
    except Exception as error:
        raise ConfigError(
            f"generator.checkpoint={options.checkpoint}: the LoRA doesn't fit {type(pipeline).__name__}: {_short(error)}"
        ) from error


def _replace(pipeline: Any, checkpoint: str, tensors: dict[str, torch.Tensor]) -> None:
    name, network = network_of(pipeline)
    network = getattr(network, "_orig_mod", network)
    own = network.state_dict()
    # Trainers save a network alone, or under its name in the pipeline.
    prefix = next((p for p in ("", f"{name}.", "module.", "model.") if any(f"{p}{k}" in tensors for k in own)), "")
    named = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    missing, extra = [k for k in own if k not in named], [k for k in named if k not in own]
    shapes = [k for k in own if k in named and own[k].shape != named[k].shape]
    if missing or extra or shapes:
        first = (missing or extra or shapes)[0]
        raise ConfigError(
            f"generator.checkpoint={checkpoint} doesn't fit the {name}: {len(missing)} tensors missing, {len(extra)} unknown, "
            f"{len(shapes)} of another shape ({first})"
        )
    network.load_state_dict({k: v.to(own[k].dtype) for k, v in named.items()})


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint: a safetensors file, or a folder of these.

    Raises:
        ConfigError: there are none, or a file can't be read.
    """
    from safetensors.torch import load_file

    files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"generator.checkpoint={path}: no .safetensors file there")
    found: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            found |= load_file(file)
        except Exception as error:
            raise ConfigError(f"generator.checkpoint={file} can't be read as safetensors: {_short(error)}") from error
    return found


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"generator.device={name}: write auto, cpu, cuda, cuda:N or mps") from error


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _short(error: Exception) -> str:
    """Return an exception as a line; those of transformers and diffusers have many."""
    text = one_line(error)
    return text if len(text) <= 300 else f"{text[:300]}..."
