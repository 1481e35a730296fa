"""Recipes of the bundled networks, read from recipes/NAME/*.yaml: sizes, rates, batches, loss weights and the curriculum.

"first" made base, 4x and 32x, and square, the ablation with square crops; "hourglass" made the checkpoint of that name from 32x; "second"
is for the next ones. Another folder with autoencoder.yaml and transformer.yaml is named by its path, for ablations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.reference.autoencoder import AutoencoderConfig
from sora_eval.generator.reference.transformer import TransformerConfig

FOLDER = Path(__file__).parent / "recipes"
BUNDLED: tuple[str, ...] = ("first", "hourglass", "second")


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Recipe of the autoencoder."""

    network: AutoencoderConfig
    """Sizes of the network."""
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
    shares: Mapping[str, float]
    """Shares of some scene families; the others share the rest evenly. Empty: as in the set."""
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
    ends: float = 0.15
    """Share of these of which both ends are given."""


@dataclass(frozen=True)
class Branch:
    """Compute of a named checkpoint."""

    units: int
    """Compute in units of training."""
    square: bool = False
    """Whether clips are cropped to their middle square (the ablation)."""


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
    """Steps over which the rates rise."""
    ema: float
    """Decay of the average of the weights per step."""
    text_warmup: int
    """Steps over which the rates rise in the text encoder's own training."""
    text_ema: float
    """Decay of the average of the weights per step in the text encoder's own training."""
    image_share: tuple[float, float]
    """Share of batches of single images: at the beginning, and from one unit on."""
    caption_dropout: float
    """Share of captions left out, for guidance."""
    given_dropout: float
    """Share of the other captions left out of clips with given chunks."""
    action_share: float
    """Share of clips of the world of blocks that are conditioned on their actions."""
    action_given: float
    """Share of the clips conditioned on actions of which the first chunk alone is given: actions without a world change nothing."""
    camera_share: float
    """Share of clips that are conditioned on their camera's poses."""
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


@lru_cache(maxsize=8)
def autoencoder_recipe(name: str = "first") -> AutoencoderRecipe:
    """Return the autoencoder's part of a recipe.

    Raises:
        ConfigError: there is no such recipe, or it lacks or has a value that it shouldn't.
    """
    values = _read(name, "autoencoder")
    try:
        sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["network"].items()}
        return AutoencoderRecipe(
            network=AutoencoderConfig(**sizes), **values["optimiser"], **values["data"], **values["loss"]
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"recipe {name}: autoencoder.yaml can't be so ({error})") from error


@lru_cache(maxsize=8)
def transformer_recipe(name: str = "first") -> TransformerRecipe:
    """Return the transformer's part of a recipe.

    Raises:
        ConfigError: there is no such recipe, or it lacks or has a value that it shouldn't.
    """
    values = _read(name, "transformer")
    try:
        sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["network"].items()}
        data = {**values["data"], "image_share": tuple(values["data"]["image_share"])}
        return TransformerRecipe(
            network=TransformerConfig(**sizes),
            **values["optimiser"],
            **{f"text_{k}": v for k, v in values["text"].items()},
            **data,
            **values["loss"],
            phases=tuple(Phase(**phase) for phase in values["phases"]),
            checkpoints={str(name): Branch(**branch) for name, branch in values["checkpoints"].items()},
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"recipe {name}: transformer.yaml can't be so ({error})") from error


def _read(name: str, part: str) -> dict[str, Any]:
    folder = FOLDER / name if name in BUNDLED else Path(name)
    path = folder / f"{part}.yaml"
    if not path.is_file():
        raise unknown("recipe", name, [*BUNDLED, f"the path of a folder with {part}.yaml"])
    try:
        values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {' '.join(str(error).split())[:200]}") from error
    return values
