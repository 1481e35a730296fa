"""The weights on disk: one safetensors file per network, with what it takes to build it again; anything else is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sora_eval.errors import ConfigError, unknown
from sora_eval.generator.reference.autoencoder import Autoencoder, AutoencoderConfig
from sora_eval.generator.reference.text import Vocabulary
from sora_eval.generator.reference.transformer import Transformer, TransformerConfig
from sora_eval.types import digest
from sora_eval.video import replacing

FORMAT = "1"
"""Raised whenever weights of before can no longer be used."""
FOLDER = Path(__file__).parent / "checkpoints"
AUTOENCODER = "autoencoder"
BUNDLED: tuple[str, ...] = ("base", "4x", "32x", "square")
DEFAULT = "4x"
"""Transformers that come with the package, by the training compute that they had; "square" is the ablation."""


@dataclass(frozen=True)
class Model:
    """Both networks, ready to sample, and what their files say of them. hash: of the weights of both."""

    autoencoder: Autoencoder
    transformer: Transformer
    words: Vocabulary
    name: str
    hash: str
    about: Mapping[str, Any]

    @property
    def compute(self) -> float | None:
        """Operations that training the transformer took; None where its file doesn't say."""
        found = self.about.get("flops")
        return float(found) if isinstance(found, int | float) else None


def save_autoencoder(path: Path, network: Autoencoder, about: Mapping[str, Any]) -> str:
    """Write the autoencoder in half precision and return the name of its latents."""
    _save(path, network.state_dict(), {"kind": "autoencoder", "config": asdict(network.config)}, about)
    return latents_of(network)


def latents_of(network: Autoencoder) -> str:
    """Return a hash of what decides an autoencoder's latents: another one with the same encoder may have learnt to decode better."""
    weights = {k: v for k, v in network.state_dict().items() if not k.startswith("decoder.") and v.is_floating_point()}
    return hash_of({k: v.half().cpu() for k, v in weights.items()})


def save_transformer(
    path: Path, network: Transformer, words: Vocabulary, latents: str, about: Mapping[str, Any]
) -> str:
    """Write a transformer in half precision, with its vocabulary and the name of its latents; return the hash of its weights."""
    facts = {"kind": "transformer", "config": asdict(network.config), "words": words.words, "latents": latents}
    return _save(path, network.state_dict(), facts, about)


def _save(path: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    half = _halved(weights)
    found = hash_of(half)
    header = {"format": FORMAT, "sha256": found, "facts": json.dumps(facts), "about": json.dumps(dict(about))}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        save_file(half, part, header)
    return found


def _halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in weights.items()}


def hash_of(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of weights."""
    total = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name]
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any], str]:
    """Return (weights in float32, facts, about, hash) of a file.

    Raises:
        ConfigError: the file is absent, no safetensors file of ours, cut short, of another version or kind, or changed.
    """
    if not path.is_file():
        raise ConfigError(f"there is no checkpoint {path}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            weights = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        with path.open("rb") as raw:
            head = raw.read(2)
        if head in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"):
            raise ConfigError(f"{path} is a pickle, which may run code: only safetensors files are read") from error
        raise ConfigError(f"{path} is damaged or cut short ({error})") from error
    if "facts" not in header or "sha256" not in header:
        raise ConfigError(f"{path} is no checkpoint of the reference generator: its header lacks our facts")
    if header.get("format") != FORMAT:
        raise ConfigError(f"{path} has format {header.get('format')}, this version reads format {FORMAT}")
    if hash_of(weights) != header["sha256"]:
        raise ConfigError(f"{path} was changed after it was written: its hash is wrong")
    facts = json.loads(header["facts"])
    if facts.get("kind") != kind:
        raise ConfigError(f"{path} holds a network of kind {facts.get('kind')}, not {kind}")
    floats = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    return floats, facts, json.loads(header["about"]), header["sha256"]


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
    weights, facts, _, _ = read(path or FOLDER / f"{AUTOENCODER}.safetensors", "autoencoder")
    config: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["config"].items()}
    network = Autoencoder(AutoencoderConfig(**config))
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False), latents_of(network)


def load(checkpoint: str, autoencoder: Path | None = None) -> Model:
    """Return a model by the name of a bundled checkpoint or by its path.

    autoencoder: another file than the bundled one, for a transformer that was trained on other latents.

    Raises:
        ConfigError: a file can't be used, or the transformer was trained on the latents of another autoencoder.
    """
    path = find(checkpoint)
    weights, facts, about, found = read(path, "transformer")
    beside = path.parent / f"{AUTOENCODER}.safetensors"
    pixels, latents = load_autoencoder(autoencoder or (beside if beside.exists() else None))
    if facts["latents"] != latents:
        raise ConfigError(f"{path} was trained on the latents of another autoencoder: put that one beside it")
    network = Transformer(TransformerConfig(**facts["config"]))
    network.load_state_dict(weights)
    network.eval().requires_grad_(False)
    # Another decoder makes another clip of the same latent.
    both = digest([found, hash_of(_halved(pixels.state_dict()))])
    return Model(pixels, network, Vocabulary(tuple(facts["words"])), path.stem, both, about)
