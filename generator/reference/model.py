"""Checkpoints: the bundled ones, and loading and saving of the two networks of a model."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sora_eval.data.vocabulary import Vocabulary, full_vocabulary
from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.reference.autoencoder import Autoencoder, AutoencoderConfig
from sora_eval.generator.reference.options import CHECKPOINTS, Options
from sora_eval.generator.reference.transformer import Transformer, TransformerConfig
from sora_eval.training import checkpoints
from sora_eval.types import digest

FOLDER = Path(__file__).parent / "checkpoints"
AUTOENCODER = "autoencoder"


@dataclass(frozen=True)
class Model:
    """Both networks, ready to sample, with the header of the transformer's file."""

    autoencoder: Autoencoder
    """Network between frames and latents."""
    transformer: Transformer
    """Network that denoises latents."""
    words: Vocabulary
    """Vocabulary of the text encoder."""
    name: str
    """Stem of the transformer's file."""
    hash: str
    """SHA-256 over the weights of both."""
    about: Mapping[str, Any]
    """Training of the transformer: plan, steps, clips, seconds, loss curve; flops, with those of the runs before; initial, the weights that
    it began with, and the cost of these."""
    fault: str = ""
    """Why no clip can be made with these weights, "" where one can."""

    @property
    def compute(self) -> float | None:
        """Floating-point operations of the transformer's training, of all its runs; None where its file lacks them."""
        flops = self.about.get("flops")
        return float(flops) if isinstance(flops, int | float) else None

    @property
    def sampling(self) -> Mapping[str, Any]:
        """Options of sampling that the transformer was distilled for; empty where the defaults are meant."""
        own: Mapping[str, Any] = self.about.get("sampling", {})
        return own


def save_autoencoder(path: Path, network: Autoencoder, about: Mapping[str, Any]) -> str:
    """Write the autoencoder in half precision and return the hash of its latent space."""
    checkpoints.save(path, network.state_dict(), {"kind": "autoencoder", "config": asdict(network.config)}, about)
    return latent_space(network)


def latent_space(network: Autoencoder) -> str:
    """Return the hash of an autoencoder's latent space, which its encoder defines: the decoder may be trained on."""
    weights = {k: v for k, v in network.state_dict().items() if not k.startswith("decoder.") and v.is_floating_point()}
    return checkpoints.hash_of({k: v.half().cpu() for k, v in weights.items()})


def save_transformer(
    path: Path, network: Transformer, words: Vocabulary, latents: str, about: Mapping[str, Any]
) -> str:
    """Write a transformer in half precision, with its vocabulary and the hash of its latent space; return the hash of its weights."""
    facts = {"kind": "transformer", "config": asdict(network.config), "words": words.words, "latents": latents}
    return checkpoints.save(path, network.state_dict(), facts, about)


def find(checkpoint: str) -> Path:
    """Return the file of a bundled name or of a path.

    Raises:
        ConfigError: it is neither.
    """
    if checkpoint in CHECKPOINTS:
        return FOLDER / f"{checkpoint}.safetensors"
    if checkpoint.endswith(".safetensors") or "/" in checkpoint or Path(checkpoint).exists():
        return Path(checkpoint)
    raise unknown("checkpoint", checkpoint, CHECKPOINTS)


def load_autoencoder(path: Path | None = None) -> tuple[Autoencoder, str]:
    """Return an autoencoder, the bundled one by default, and the hash of its latent space.

    Raises:
        ConfigError: the file can't be used.
    """
    path = path or FOLDER / f"{AUTOENCODER}.safetensors"
    weights, facts, _, _ = checkpoints.read(path, "autoencoder")
    config = checkpoints.sizes(path, facts, AutoencoderConfig)
    network = checkpoints.built(path, lambda: Autoencoder(config), weights)
    return network, latent_space(network)


def load(checkpoint: str) -> Model:
    """Return a model by the name of a bundled checkpoint or by its path, with the autoencoder beside it, else the bundled one.

    Raises:
        ConfigError: a file can't be used, or the transformer was trained on the latents of another autoencoder.
    """
    path = find(checkpoint)
    weights, facts, about, hashed = checkpoints.read(path, "transformer")
    beside = path.parent / f"{AUTOENCODER}.safetensors"
    pixels, latents = load_autoencoder(beside if beside.exists() else None)
    config = checkpoints.sizes(path, facts, TransformerConfig)
    words = Vocabulary(checkpoints.texts(path, facts, "words"))
    if len(words) > config.words:
        raise ConfigError(f"{path}: words in its header are {len(words)}, its network knows {config.words}")
    _check_about(path, about)
    if facts.get("latents") != latents:
        raise ConfigError(f"{path} was trained on the latents of another autoencoder: put that one beside it")
    network = checkpoints.built(path, lambda: Transformer(config), weights)
    # Another decoder makes another clip of the same latent.
    hash_of_both = digest([hashed, checkpoints.hash_of(checkpoints.halved(pixels.state_dict()))])
    wrong = [*checkpoints.not_finite(weights), *checkpoints.not_finite(pixels.state_dict())]
    fault = (
        f"checkpoint {path} makes no clips: {len(wrong)} of its tensors, {wrong[0]} first, have values that are not finite; its training "
        "diverged, or the file was written wrongly"
        if wrong
        else ""
    )
    return Model(pixels, network, words, path.stem, hash_of_both, about, fault)


def _check_about(path: Path, about: Mapping[str, Any]) -> None:
    """Check the fields of `about` that are used.

    Raises:
        ConfigError: flops or steps are no such numbers, or sampling has no options of the sampler.
    """
    sampling = about.get("sampling", {})
    if not isinstance(sampling, dict):
        raise ConfigError(f"{path}: about.sampling in its header must be options of the sampler, got {sampling!r:.80}")
    try:
        Options.of(sampling)
    except ConfigError as error:
        raise ConfigError(f"{path}: about.sampling in its header can't be so ({error})") from error
    for name in ("flops", "steps"):
        value = about.get(name, 0)
        right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
        if not right or (name == "steps" and not isinstance(value, int)):
            raise ConfigError(
                f"{path}: about.{name} in its header must be a number of at least 0, got {repr(value)[:80]}"
            )


def fill_autoencoder(network: Autoencoder, path: Path) -> None:
    """Take over the weights of an autoencoder with fewer channels, or fewer blocks at its last level.

    Raises:
        ConfigError: the file can't be used, or has other sizes.
    """
    weights, facts, _, _ = checkpoints.read(path, "autoencoder")
    old = checkpoints.sizes(path, facts, AutoencoderConfig)
    # More blocks of an earlier level would number those behind them anew.
    for key, fixed in (("widths", None), ("encoder_blocks", -1), ("decoder_blocks", -1)):
        _same(f"autoencoder.initial={path}", key, getattr(old, key)[:fixed], getattr(network.config, key)[:fixed])
    layer = re.compile(r"encoder\.body\.(\d+)\.")
    last = max(int(match[1]) for name in weights if (match := layer.match(name)))
    # The last layer of the encoder, the convolution to the latent, comes after however many blocks there are.
    own = f"encoder.body.{len(network.encoder.body) - 1}."
    checkpoints.fill_from(network, {k.replace(f"encoder.body.{last}.", own): v for k, v in weights.items()})


def fill_transformer(network: Transformer, path: Path) -> None:
    """Take over what fits of a checkpoint of other sizes or words.

    Raises:
        ConfigError: the file can't be used, or its weights would mean something else in this network.
    """
    weights, facts, _, _ = checkpoints.read(path, "transformer")
    old = checkpoints.sizes(path, facts, TransformerConfig)
    # Part of a layer whose outputs are several things, such as queries, keys and values, would land in another one of them.
    for key in ("width", "heads", "text_width", *(("fine_width", "fine_heads") if any(old.fine_depth) else ())):
        _same(f"transformer.initial={path}", key, getattr(old, key), getattr(network.config, key))
    if any(old.fine_depth):
        # More blocks before the others would number those after them anew.
        depths = (config.fine_depth[0] for config in (old, network.config))
        _same(f"transformer.initial={path}", "fine_depth before the other blocks", *depths)
    table, own = "text_encoder.word_embed.weight", full_vocabulary().ids
    embedded = network.text_encoder.word_embed.weight.detach().clone()
    embedded[:2] = weights[table][:2]
    for word, i in Vocabulary(checkpoints.texts(path, facts, "words")).ids.items():
        if word in own:
            embedded[own[word]] = weights[table][i]
    checkpoints.fill_from(network, {**weights, table: embedded})


def _same(file: str, name: str, before: object, now: object) -> None:
    """Check a size of a network that begins with the weights of a file.

    Raises:
        ConfigError: it is not that of the file.
    """
    if before != now:
        raise ConfigError(f"{file} has {name} {before}, the recipe {now}: it can't begin with these weights")


def training_record(checkpoint: str) -> dict[str, Any]:
    """Return the training record in the header of a transformer checkpoint: plan, steps, clips, seconds, loss curve and operations.

    Raises:
        ConfigError: there is no such checkpoint, or its file can't be read.
    """
    return checkpoints.read(find(checkpoint), "transformer")[2]


def begun_with(path: Path) -> dict[str, Any]:
    """Return what a header keeps of the weights that a training began with: name, hash and cost, and the same of those before.

    `flops` is that of all runs until then; steps, clips, seconds, processes and curve are the run's own.

    Raises:
        ConfigError: the file can't be read.
    """
    _, _, about, hashed = checkpoints.read(path, "transformer")
    kept = ("flops", "steps", "clips", "seconds", "processes", "curve", "initial")
    return {**{k: about[k] for k in kept if k in about}, "name": path.stem, "hash": hashed}
