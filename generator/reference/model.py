"""The checkpoints: which there are, and a model from the files of its two networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sora_eval.data.vocabulary import Vocabulary
from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.reference.autoencoder import Autoencoder, AutoencoderConfig
from sora_eval.generator.reference.transformer import Transformer, TransformerConfig
from sora_eval.training import checkpoints
from sora_eval.types import digest

FOLDER = Path(__file__).parent / "checkpoints"
AUTOENCODER = "autoencoder"
BUNDLED: tuple[str, ...] = ("base", "4x", "32x", "square")
"""Transformers that come with the package, by the training compute that they had; "square" is the ablation."""
DEFAULT = "32x"


@dataclass(frozen=True)
class Model:
    """Both networks, ready to sample, and what their files say of them. hash: of the weights of both.

    fault: why no clip can be made with them, "" where nothing speaks against it.
    """

    autoencoder: Autoencoder
    transformer: Transformer
    words: Vocabulary
    name: str
    hash: str
    about: Mapping[str, Any]
    fault: str = ""

    @property
    def compute(self) -> float | None:
        """Operations that training the transformer took; None where its file doesn't say."""
        found = self.about.get("flops")
        return float(found) if isinstance(found, int | float) else None


def save_autoencoder(path: Path, network: Autoencoder, about: Mapping[str, Any]) -> str:
    """Write the autoencoder in half precision and return the name of its latents."""
    checkpoints.save(path, network.state_dict(), {"kind": "autoencoder", "config": asdict(network.config)}, about)
    return latents_of(network)


def latents_of(network: Autoencoder) -> str:
    """Return a hash of what decides an autoencoder's latents: another one with the same encoder may have learnt to decode better."""
    weights = {k: v for k, v in network.state_dict().items() if not k.startswith("decoder.") and v.is_floating_point()}
    return checkpoints.hash_of({k: v.half().cpu() for k, v in weights.items()})


def save_transformer(
    path: Path, network: Transformer, words: Vocabulary, latents: str, about: Mapping[str, Any]
) -> str:
    """Write a transformer in half precision, with its vocabulary and the name of its latents; return the hash of its weights."""
    facts = {"kind": "transformer", "config": asdict(network.config), "words": words.words, "latents": latents}
    return checkpoints.save(path, network.state_dict(), facts, about)


def find(checkpoint: str) -> Path:
    """Return the file of a bundled name or of a path.

    Raises:
        ConfigError: it is neither.
    """
    if checkpoint in BUNDLED:
        return FOLDER / f"{checkpoint}.safetensors"
    if checkpoint.endswith(".safetensors") or "/" in checkpoint or Path(checkpoint).exists():
        return Path(checkpoint)
    raise unknown("checkpoint", checkpoint, BUNDLED)


def load_autoencoder(path: Path | None = None) -> tuple[Autoencoder, str]:
    """Return an autoencoder, the bundled one by default, and the name of its latents.

    Raises:
        ConfigError: the file can't be used.
    """
    path = path or FOLDER / f"{AUTOENCODER}.safetensors"
    weights, facts, _, _ = checkpoints.read(path, "autoencoder")
    config = checkpoints.sizes(path, facts, AutoencoderConfig)
    network = checkpoints.built(path, lambda: Autoencoder(config), weights)
    return network, latents_of(network)


def load(checkpoint: str) -> Model:
    """Return a model by the name of a bundled checkpoint or by its path, with the autoencoder beside it, else the bundled one.

    Raises:
        ConfigError: a file can't be used, or the transformer was trained on the latents of another autoencoder.
    """
    path = find(checkpoint)
    weights, facts, about, found = checkpoints.read(path, "transformer")
    beside = path.parent / f"{AUTOENCODER}.safetensors"
    pixels, latents = load_autoencoder(beside if beside.exists() else None)
    config, words = (
        checkpoints.sizes(path, facts, TransformerConfig),
        Vocabulary(checkpoints.texts(path, facts, "words")),
    )
    if len(words) > config.words:
        raise ConfigError(f"{path}: words in its header are {len(words)}, its network knows {config.words}")
    _check_about(path, about)
    if facts.get("latents") != latents:
        raise ConfigError(f"{path} was trained on the latents of another autoencoder: put that one beside it")
    network = checkpoints.built(path, lambda: Transformer(config), weights)
    # Another decoder makes another clip of the same latent.
    both = digest([found, checkpoints.hash_of(checkpoints.halved(pixels.state_dict()))])
    wrong = [*checkpoints.not_finite(weights), *checkpoints.not_finite(pixels.state_dict())]
    fault = (
        f"checkpoint {path} makes no clips: {len(wrong)} of its tensors, {wrong[0]} first, have values that are not finite; its training "
        "diverged, or the file was written wrongly"
        if wrong
        else ""
    )
    return Model(pixels, network, words, path.stem, both, about, fault)


def _check_about(path: Path, about: Mapping[str, Any]) -> None:
    """Refuse what a file says of its training where a report would use it and it can't be so.

    Raises:
        ConfigError: the operations that the training took, or its steps, are no numbers of such.
    """
    for name in ("flops", "steps"):
        value = about.get(name, 0)
        right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
        if not right or (name == "steps" and not isinstance(value, int)):
            raise ConfigError(
                f"{path}: about.{name} in its header must be a number of at least 0, got {repr(value)[:80]}"
            )
