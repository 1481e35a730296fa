"""Checkpoint files: one safetensors file per network, with its configuration in the header; other formats are refused."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sora_eval.errors import ConfigError
from sora_eval.files import parse_json, replacing

FORMAT = "1"
"""Version of the format; raised whenever older files can no longer be read."""
_LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library."""
_LARGEST, _DEEPEST = 1 << 16, 256
"""Limits of widths and of numbers of layers: building a network from a manipulated header must not take an hour."""
C = TypeVar("C")
N = TypeVar("N", bound=nn.Module)


def save(path: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Write weights in half precision and return their hash.

    facts: the network's `kind` and sizes, to build it again. about: plan and cost of its training.
    """
    half = halved(weights)
    sha256 = hash_of(half)
    header = {"format": FORMAT, "sha256": sha256, "facts": json.dumps(facts), "about": json.dumps(dict(about))}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        save_file(half, part, header)
    # Partial files of a killed process.
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        old.unlink(missing_ok=True)
    return sha256


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in half precision, as stored."""
    return {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in weights.items()}


def hash_of(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of weights."""
    total = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name]
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises:
        ConfigError: there is no such file, or it is something else, cut short or damaged; the message names which.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file of weights {path}")
    if wrong := not_safetensors(path):
        raise ConfigError(f"{path} is {wrong}")
    try:
        with safe_open(path, "pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except Exception as error:
        raise ConfigError(f"{path} is damaged ({' '.join(str(error).split())[:200]}): copy it again") from error


def not_safetensors(path: Path) -> str:
    """Return why a file is no complete safetensors file, "" where it looks like one.

    Source: https://github.com/huggingface/safetensors#format: 8 bytes with the length of a JSON header, the header, the tensors' bytes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(9)
        if head[8:] == b"{":
            length = int.from_bytes(head[:8], "little")
            if length + 8 > size:
                return f"cut short: its header alone has {length + 8} bytes, {size} are there: copy it again"
            if length > _LONGEST_HEADER:
                return "damaged: its header is too long"
            file.seek(8)
            end = _end_of_tensors(file.read(length))
            if end is None:
                return "damaged: its header is no list of tensors: copy it again"
            if length + 8 + end > size:
                return f"cut short: {length + 8 + end} bytes belong to it, {size} are there: copy it again"
            return ""
    return foreign(path) or "cut short or no safetensors file: copy it again"


def _end_of_tensors(header: bytes) -> int | None:
    try:
        entries = parse_json(header.decode("utf-8"))
        ends = [v["data_offsets"][1] for k, v in entries.items() if k != "__metadata__"]
        return max((int(e) for e in ends), default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError):
        return None


def foreign(path: Path) -> str:
    """Return what a file is that holds no weights, or a pickle; "" where its first bytes don't show it."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "empty (0 bytes): copy it again"
    if head.startswith(b"version https://git-lfs.github.com/spec"):
        return "a Git LFS pointer, not the weights: git lfs pull brings them"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return "an HTML page, not weights: the download went wrong, fetch them again"
    if not head.strip(b"\0"):
        return "empty but for zeros: copy it again"
    # A pickle by itself begins with a byte 80 and its protocol, torch's files are zip archives with one inside.
    if head[:2] == b"PK" or (head[:1] == b"\x80" and head[1:2] in (b"\1", b"\2", b"\3", b"\4", b"\5")):
        return "a pickle, which may run code: only safetensors files are read"
    return ""


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that have a value which is not finite."""
    return [k for k, v in weights.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any], str]:
    """Return (weights in float32, facts, about, hash) of a file.

    Raises:
        ConfigError: the file is absent, no safetensors file of ours, cut short, of another version or kind, changed, or a field
            of its header is missing or of the wrong type.
    """
    if not path.is_file():
        raise ConfigError(f"there is no checkpoint {path}")
    weights, header = tensors(path)
    if "facts" not in header or "sha256" not in header:
        raise ConfigError(f"{path} is no checkpoint of sora-eval: its header lacks facts and sha256")
    if header.get("format") != FORMAT:
        raise ConfigError(f"{path} has format {header.get('format')}, this version reads format {FORMAT}")
    if hash_of(weights) != header["sha256"]:
        raise ConfigError(f"{path} was changed after it was written: its hash is wrong")
    facts, about = _object(path, header, "facts"), _object(path, header, "about")
    if facts.get("kind") != kind:
        raise ConfigError(f"{path} holds a network of kind {facts.get('kind')}, not {kind}")
    floats = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    return floats, facts, about, header["sha256"]


def _object(path: Path, header: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        value = parse_json(header.get(name, "{}"))
    except ValueError as error:
        raise ConfigError(f"{path}: {name} in its header is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {name} in its header is no JSON object")
    return value


def texts(path: Path, facts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the list of texts that a file's facts have under a name.

    Raises:
        ConfigError: there is none.
    """
    values = facts.get(name)
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ConfigError(f"{path}: {name} in its header must be a list of texts")
    return tuple(values)


def sizes(path: Path, facts: Mapping[str, Any], config: type[C]) -> C:
    """Return the sizes of a network, a dataclass of whole numbers and tuples of them, as a file's facts have them under "config".

    Raises:
        ConfigError: a size is missing, unknown, no whole number, or larger than any network of ours.
    """
    stored = facts.get("config")
    if not isinstance(stored, dict):
        raise ConfigError(f"{path}: config in its header is missing")
    known: dict[str, Any] = vars(config())
    if strange := [k for k in stored if k not in known]:
        raise ConfigError(f"{path} is of another version: config.{strange[0]} in its header is unknown")
    values: dict[str, Any] = {}
    for name, value in stored.items():
        several = isinstance(known[name], tuple)
        parts = value if isinstance(value, list) else [value]
        right = isinstance(value, list) == several and (not several or len(parts) == len(known[name]))
        most = _DEEPEST if "depth" in name or "blocks" in name else _LARGEST
        # What is 0 by default may be absent.
        least = min(1, *known[name]) if several else min(1, known[name])
        if not right or not all(type(v) is int and least <= v <= most for v in parts):
            what = f"{len(known[name])} whole numbers" if several else "a whole number"
            raise ConfigError(
                f"{path}: config.{name} in its header must be {what} from {least} to {most}, got {repr(value)[:80]}"
            )
        values[name] = tuple(parts) if several else value
    return config(**values)


def built(path: Path, build: Callable[[], N], weights: Mapping[str, Tensor]) -> N:
    """Return the network that a file's header describes with the file's weights, ready to use.

    Raises:
        ConfigError: the header describes another network than the one that the weights are of.
    """
    try:
        # Without memory first: a manipulated header may describe a network of any size.
        with torch.device("meta"):
            shapes = {k: v.shape for k, v in build().state_dict().items()}
    except (RuntimeError, TypeError, ValueError, AssertionError, ZeroDivisionError) as error:
        text = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: no network can be built from its header ({text})") from error
    if shapes != {k: v.shape for k, v in weights.items()}:
        raise ConfigError(f"{path} has the weights of another network than this version builds")
    network = build()
    fill(network, weights, path)
    return network.eval().requires_grad_(False)


def fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put the weights of a file into a network.

    Raises:
        ConfigError: they are those of another network.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"{path} has the weights of another network than this version builds") from error


def fill_from(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Take over weights of a network of other sizes: where a tensor is larger or smaller, the part that both have; the rest stays."""
    own = network.state_dict()
    for name, value in weights.items():
        if name in own and own[name].ndim == value.ndim:
            common = tuple(slice(min(a, b)) for a, b in zip(own[name].shape, value.shape, strict=True))
            own[name][common] = value[common].to(own[name])
    network.load_state_dict(own)
