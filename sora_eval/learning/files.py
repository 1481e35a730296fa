"""Weights on disk: one safetensors file per network, with what it takes to build it again; anything else is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sora_eval.errors import ConfigError
from sora_eval.video import replacing

FORMAT = "1"
"""Raised whenever weights of before can no longer be used."""


def save(path: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Write weights in half precision and return their hash.

    facts: what it takes to build the network again, its `kind` among it. about: what its training was and took.
    """
    half = halved(weights)
    found = hash_of(half)
    header = {"format": FORMAT, "sha256": found, "facts": json.dumps(facts), "about": json.dumps(dict(about))}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        save_file(half, part, header)
    return found


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights as a file has them."""
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
        # A pickle by itself begins with a byte 80 and its protocol, torch's files are zip archives with one inside.
        if head == b"PK" or head[:1] == b"\x80":
            raise ConfigError(f"{path} is a pickle, which may run code: only safetensors files are read") from error
        raise ConfigError(f"{path} is damaged or cut short ({error})") from error
    if "facts" not in header or "sha256" not in header:
        raise ConfigError(f"{path} is no file of weights of ours: its header lacks our facts")
    if header.get("format") != FORMAT:
        raise ConfigError(f"{path} has format {header.get('format')}, this version reads format {FORMAT}")
    if hash_of(weights) != header["sha256"]:
        raise ConfigError(f"{path} was changed after it was written: its hash is wrong")
    facts = json.loads(header["facts"])
    if facts.get("kind") != kind:
        raise ConfigError(f"{path} holds a network of kind {facts.get('kind')}, not {kind}")
    floats = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    return floats, facts, json.loads(header["about"]), header["sha256"]


def fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put the weights of a file into a network.

    Raises:
        ConfigError: they are those of another network.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"{path} has the weights of another network than this version builds") from error
