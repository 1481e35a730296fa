"""What a training is made with: recipes and plans.

A recipe is a file of recipes/: sizes, rates, batches, loss weights and the curriculum of a bundled network. A plan is the options of
`sora-eval train`: folders, steps and compute of one training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from sora_eval.errors import ConfigError
from sora_eval.generator.reference.autoencoder import AutoencoderConfig
from sora_eval.generator.reference.transformer import TransformerConfig

FOLDER = Path(__file__).parent / "recipes"
STAGES: tuple[str, ...] = ("data", "autoencoder", "decoder", "latents", "words", "transformer")
EXPORT = "export"
"""Write the current weights of a transformer's training; not part of "all"."""
WORDS, TRUNK = "words", "trunk"
_T = TypeVar("_T")


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Recipe of the autoencoder."""

    network: AutoencoderConfig
    adamw: float
    """Learning rate of AdamW; Muon's is an option."""
    warmup: int
    """Steps over which the rates rise."""
    ema: float
    """Decay of the average of the weights per step."""
    window: int
    """Chunks of a training window."""
    pixels: int
    """Pixels of a batch: height times width times windows."""
    squared: float
    """Weight of the squared error beside L1."""
    saturation: float
    """Extra weight of a fully saturated pixel."""
    latent_noise: float
    """Standard deviation of the noise on latents."""


@dataclass(frozen=True)
class Phase:
    """A phase of the curriculum."""

    unit: int
    """Unit of training with which it begins."""
    shares: Mapping[str, float]
    """Shares of some scene families; the others share the rest evenly."""
    long: float = 1.0
    """How many times as often clips of more than five chunks are drawn."""
    given: float = 0.3
    """Share of clips of which some chunks are given."""


@dataclass(frozen=True)
class Branch:
    """Compute of a named checkpoint."""

    units: int
    square: bool = False


@dataclass(frozen=True)
class TransformerRecipe:
    """Recipe of the diffusion transformer and its text encoder."""

    network: TransformerConfig
    """Sizes; of the vocabulary it is that of the world's captions."""
    muon: float
    """Learning rate of Muon, for the matrices of blocks."""
    adamw: float
    """Learning rate of AdamW, for the rest."""
    warmup: int
    ema: float
    text_warmup: int
    """Warm-up of the text encoder's own training, like `text_ema`."""
    text_ema: float
    image_share: tuple[float, float]
    """Share of batches of single images: at the beginning, and from one unit on."""
    caption_dropout: float
    """Share of captions left out, for guidance."""
    action_share: float
    """Share of clips of the world of blocks that are conditioned on their actions."""
    max_clips: int
    """Clips of a batch at most."""
    grounding: float
    """Weight of the grounding loss beside the velocity loss."""
    words: float
    """Weight of the word loss within the grounding loss."""
    phases: tuple[Phase, ...]
    """Curriculum, by `unit`."""
    checkpoints: Mapping[str, Branch] = field(default_factory=dict)
    """Compute of the bundled checkpoints by name."""

    def phase(self, step: int, unit: int) -> int:
        """Return the index of the phase of a step; unit: steps of a unit."""
        return sum(p.unit * unit <= step for p in self.phases) - 1

    def name(self, units: int, square: bool) -> str:
        """Return the name of a checkpoint of so many units of compute."""
        if square:
            return next(name for name, branch in self.checkpoints.items() if branch.square)
        return next((name for name, branch in self.checkpoints.items() if branch == Branch(units)), f"{units}x")


@lru_cache(maxsize=1)
def autoencoder_recipe() -> AutoencoderRecipe:
    """Return recipes/autoencoder.yaml."""
    values = _read("autoencoder")
    sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["network"].items()}
    return AutoencoderRecipe(
        network=AutoencoderConfig(**sizes), **values["optimiser"], **values["data"], **values["loss"]
    )


@lru_cache(maxsize=1)
def transformer_recipe() -> TransformerRecipe:
    """Return recipes/transformer.yaml."""
    values = _read("transformer")
    data = {**values["data"], "image_share": tuple(values["data"]["image_share"])}
    return TransformerRecipe(
        network=TransformerConfig(**values["network"]),
        **values["optimiser"],
        **{f"text_{k}": v for k, v in values["text"].items()},
        **data,
        **values["loss"],
        phases=tuple(Phase(**phase) for phase in values["phases"]),
        checkpoints={str(name): Branch(**branch) for name, branch in values["checkpoints"].items()},
    )


def _read(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return values


@dataclass(frozen=True)
class DataPlan:
    """The training set."""

    folder: str
    shards: int = 280
    size: int = 64
    """Clips per shard."""


@dataclass(frozen=True)
class AutoencoderPlan:
    """Training of the autoencoder."""

    steps: int = 3000
    decay: int = 1000
    """Last steps, over which the learning rate falls to 0."""
    rate: float = 0.008
    """Learning rate of Muon."""


@dataclass(frozen=True)
class DecoderPlan:
    """Further training of the decoder alone, with a falling rate."""

    steps: int = 2500
    rate: float = 0.006
    """Learning rate of Muon at the start."""


@dataclass(frozen=True)
class TransformerPlan:
    """Training of the transformer, in units of compute of `unit` steps."""

    name: str = ""
    """Folder and file of a branch; by default that of its compute in recipes/transformer.yaml, such as base."""
    units: int = 0
    """Compute of the run; its last fifth is the decay. It branches off the undecayed trunk where that has come so far, so that runs of 1, 4
    and 32 units share their beginning. 0 is the trunk itself, of `trunk_units`."""
    unit: int = 875
    trunk_units: int = 32
    words: int = 3000
    """Steps of the stage before, of the text encoder alone; the rate falls over the second half."""
    start: str = ""
    """Weights from which a trunk without a state resumes: a file of `stage=export`, or a checkpoint."""
    branches: tuple[int, ...] = (1, 4, 32)
    """Units of the branches for which the trunk keeps its state."""
    tokens: int = 1280
    """Patches of a batch."""
    square: bool = False
    """Crop every clip to its middle square (the ablation)."""
    compiled: bool = True
    """Use torch.compile, block by block."""


@dataclass(frozen=True)
class Plan:
    """A whole training."""

    out: str
    """Folder of states, curves and weights."""
    data: DataPlan
    seed: int = 0
    workers: int = 1
    """Processes that render and train together."""
    autoencoder: AutoencoderPlan = field(default_factory=AutoencoderPlan)
    decoder: DecoderPlan = field(default_factory=DecoderPlan)
    transformer: TransformerPlan = field(default_factory=TransformerPlan)
    save_s: float = 120.0
    """Seconds between two saves of the state."""

    @property
    def folder(self) -> Path:
        """`out` as a path."""
        return Path(self.out)


def plan_of(values: dict[str, Any]) -> Plan:
    """Return the plan that a configuration describes.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
    """
    plan = _build(Plan, values, "")
    t = plan.transformer
    for key, value, least in (
        ("workers", plan.workers, 1),
        ("data.shards", plan.data.shards, 1),
        ("data.size", plan.data.size, 1),
        ("autoencoder.steps", plan.autoencoder.steps, 1),
        ("decoder.steps", plan.decoder.steps, 1),
        ("transformer.unit", t.unit, 5),
        ("transformer.units", t.units, 0),
        ("transformer.words", t.words, 1),
        ("transformer.tokens", t.tokens, 16),
        ("transformer.trunk_units", t.trunk_units, 1),
        ("seed", plan.seed, 0),
    ):
        if value < least:
            raise ConfigError(f"{key} must be at least {least}, got {value}")
    rates = {"autoencoder.rate": plan.autoencoder.rate, "decoder.rate": plan.decoder.rate}
    for key, positive in {"save_s": plan.save_s, **rates}.items():
        if not 0 < positive < math.inf:
            raise ConfigError(f"{key} must be above 0, got {positive}")
    if not 0 <= plan.autoencoder.decay <= plan.autoencoder.steps:
        raise ConfigError(f"autoencoder.decay must be in 0..{plan.autoencoder.steps}, got {plan.autoencoder.decay}")
    if Path(t.name).name != t.name or (t.units and t.name in (*STAGES, TRUNK, "..")):
        raise ConfigError(
            f"transformer.name must be the name of a folder, and none of a stage or the trunk, got {t.name}"
        )
    if t.name and not t.units:
        raise ConfigError(
            f"transformer.name={t.name} is of a branch: the trunk (transformer.units=0) is called {TRUNK}"
        )
    return plan


def _build(kind: type[_T], values: dict[str, Any], prefix: str) -> _T:
    checked: dict[str, Any] = {}
    groups = {part.__name__: part for part in (DataPlan, AutoencoderPlan, DecoderPlan, TransformerPlan)}
    simple: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
    for f in fields(kind):  # type: ignore[arg-type]
        if f.name not in values:
            continue
        value, hint = values[f.name], str(f.type)
        if hint in groups:
            if not isinstance(value, dict):
                raise ConfigError(f"{prefix}{f.name} must be a group of values, got {value}")
            checked[f.name] = _build(groups[hint], value, f"{prefix}{f.name}.")
        elif hint.startswith("tuple"):
            if not isinstance(value, list | tuple) or not all(type(v) is int and v > 0 for v in value):
                raise ConfigError(f"{prefix}{f.name} must be a list of whole numbers above 0, got {value}")
            checked[f.name] = tuple(value)
        elif isinstance(value, bool) != (hint == "bool") or not isinstance(value, simple[hint]):
            raise ConfigError(f"{prefix}{f.name} must be {hint}, got {value}")
        else:
            checked[f.name] = value
    return kind(**checked)
