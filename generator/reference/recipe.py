"""Recipes, read from recipes/NAME/*.yaml: sizes of the networks, rates, batches, loss weights and the curriculum.

"default" is that of the bundled checkpoints. Another folder with autoencoder.yaml and transformer.yaml is named by its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.reference.autoencoder import AutoencoderConfig
from sora_eval.generator.reference.transformer import TransformerConfig
from sora_eval.settings import Settings, option
from sora_eval.world.families import BUNDLED as FAMILIES

FOLDER = Path(__file__).parent / "recipes"
BUNDLED: tuple[str, ...] = ("default",)


@dataclass(frozen=True)
class AutoencoderRecipe(Settings):
    """Recipe of the autoencoder."""

    network: AutoencoderConfig
    """Sizes of the network."""
    adamw: float = option(above=0)
    """Learning rate of AdamW; Muon's is an option."""
    warmup: int = option(least=0)
    """Steps over which the rates rise."""
    ema: float = option(least=0, below=1)
    """Decay of the average of the weights per step."""
    window: int = option(least=1)
    """Chunks of a training window."""
    pixels: int = option(least=1)
    """Pixels of a batch: height times width times windows."""
    shares: Mapping[str, float] = option(least=0, most=1)
    """Shares of some scene families; clips of the others share the rest evenly. Empty: as in the set."""
    squared: float = option(least=0)
    """Weight of the squared error beside L1."""
    saturation: float = option(least=0)
    """Extra weight of a fully saturated pixel."""
    latent_noise: float = option(least=0)
    """Standard deviation of the noise on latents."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is out of range, or shares can't be so.
        """
        super().__post_init__()
        _check_shares(self.shares, "data.shares")


@dataclass(frozen=True)
class Phase(Settings):
    """A phase of the curriculum."""

    unit: int = option(least=0)
    """Unit of training with which it begins."""
    shares: Mapping[str, float] = option(least=0, most=1)
    """Shares of some scene families; clips of the others share the rest evenly."""
    long: float = option(1.0, above=0)
    """How many times as often clips of more than five chunks are drawn."""
    given: float = option(0.3, least=0, most=1)
    """Share of clips of which some chunks are given."""
    ends: float = option(0.15, least=0, most=1)
    """Share of these of which both ends are given."""


@dataclass(frozen=True)
class Branch(Settings):
    """Compute of a named checkpoint."""

    units: int = option(least=1)
    """Compute in units of training."""
    square: bool = False
    """Whether clips are cropped to their middle square (the ablation)."""


@dataclass(frozen=True)
class TransformerRecipe(Settings):
    """Recipe of the diffusion transformer and its text encoder."""

    network: TransformerConfig
    """Sizes; of the vocabulary it is that of the world's captions."""
    muon: float = option(above=0)
    """Learning rate of Muon, for the matrices of blocks."""
    adamw: float = option(above=0)
    """Learning rate of AdamW, for the rest."""
    warmup: int = option(least=0)
    """Steps over which the rates rise."""
    ema: float = option(least=0, below=1)
    """Decay of the average of the weights per step."""
    text_unit: int = option(least=0)
    """Unit of training whose batches the text encoder's own training draws."""
    text_warmup: int = option(least=0)
    """Steps over which the rates rise in the text encoder's own training."""
    text_ema: float = option(least=0, below=1)
    """Decay of the average of the weights per step in the text encoder's own training."""
    image_share: tuple[float, float] = option(least=0, most=1, repeats=True)
    """Share of batches cut to single images, beside those of the set's single images: at the beginning, and from one unit on."""
    caption_dropout: float = option(least=0, most=1)
    """Share of captions left out, for guidance."""
    given_dropout: float = option(least=0, most=1)
    """Share of the other captions left out of clips with given chunks."""
    action_share: float = option(least=0, most=1)
    """Share of clips of the world of blocks that are conditioned on their actions."""
    action_given: float = option(least=0, most=1)
    """Share of the clips conditioned on actions of which the first chunk alone is given: actions without a world change nothing."""
    camera_share: float = option(least=0, most=1)
    """Share of clips that are conditioned on their camera's poses."""
    max_clips: int = option(least=1)
    """Clips of a batch at most."""
    grounding: float = option(least=0)
    """Weight of the grounding loss beside the velocity loss."""
    words: float = option(least=0)
    """Weight of the word loss within the grounding loss."""
    phases: tuple[Phase, ...] = option()
    """Curriculum, by `unit`."""
    checkpoints: Mapping[str, Branch] = field(default_factory=dict)
    """Compute of the bundled checkpoints by name."""

    def __post_init__(self) -> None:
        """Check the values, and that phases begin at 0, rise, and leave a share to the families that they don't name.

        Raises:
            ConfigError: they don't.
        """
        super().__post_init__()
        units = [phase.unit for phase in self.phases]
        if not units or units[0] != 0 or units != sorted(set(units)):
            raise ConfigError(f"phases must begin at unit 0 and rise, got {units}")
        for phase in self.phases:
            _check_shares(phase.shares, f"shares of the phase from unit {phase.unit} on")

    def phase(self, step: int, unit: int) -> int:
        """Return the index of the phase of a step; unit: steps of a unit."""
        return sum(p.unit * unit <= step for p in self.phases) - 1

    def name(self, units: int, square: bool) -> str:
        """Return the name of a checkpoint of so many units of compute."""
        named = (name for name, branch in self.checkpoints.items() if branch == Branch(units, square))
        return next(named, f"{'square-' if square else ''}{units}x")


def _check_shares(shares: Mapping[str, float], what: str) -> None:
    """Check that shares are of scene families, and leave some to the others.

    Raises:
        ConfigError: they don't.
    """
    for name in shares:
        if name not in FAMILIES:
            raise unknown(f"scene family of {what}", name, FAMILIES)
    if (total := sum(shares.values())) > 1:
        raise ConfigError(f"{what} sum to {total:g}, more than 1")


@lru_cache(maxsize=8)
def autoencoder_recipe(name: str = "default") -> AutoencoderRecipe:
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
    except (TypeError, KeyError, AttributeError, ConfigError) as error:
        raise ConfigError(f"recipe {name}: autoencoder.yaml can't be so ({error})") from error


@lru_cache(maxsize=8)
def transformer_recipe(name: str = "default") -> TransformerRecipe:
    """Return the transformer's part of a recipe.

    Raises:
        ConfigError: there is no such recipe, or it lacks or has a value that it shouldn't.
    """
    values = _read(name, "transformer")
    try:
        sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["network"].items()}
        return TransformerRecipe(
            network=TransformerConfig(**sizes),
            **values["optimiser"],
            **{f"text_{k}": v for k, v in values["text"].items()},
            **values["data"],
            **values["loss"],
            phases=values["phases"],
            checkpoints=values["checkpoints"],
        )
    except (TypeError, KeyError, AttributeError, ConfigError) as error:
        raise ConfigError(f"recipe {name}: transformer.yaml can't be so ({error})") from error


def _read(name: str, part: str) -> dict[str, Any]:
    folder = FOLDER / name if name in BUNDLED else Path(name)
    path = folder / f"{part}.yaml"
    if not path.is_file():
        raise unknown("recipe", name, [*BUNDLED, f"the path of a folder with {part}.yaml"])
    try:
        # OmegaConf reads 9e-4 as a number, YAML 1.1 as text.
        values: Any = OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} has no options")
    return values
