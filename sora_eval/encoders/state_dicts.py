"""Reading files of weights: safetensors, and tensors that torch reads with `weights_only=True`; nothing that could run code is loaded."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from torch import Tensor

from sora_eval.encoders.weights import bundled
from sora_eval.errors import ConfigError
from sora_eval.training import checkpoints
from sora_eval.types import digest

_SAVE_STATE = (
    "import sys, torch; from safetensors.torch import save_file; "
    "state = torch.jit.load(sys.argv[1], map_location='cpu').state_dict(); "
    "save_file({k: v.contiguous().clone() for k, v in state.items()}, sys.argv[2])"
)
"""A program that writes the tensors of a TorchScript file."""


def load_bundled(name: str, path: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Return the weights of an encoder that comes with the package, the facts that build it, and a hash of both.

    Raises:
        AbsentWeightsError: this copy of the package lacks it.
        ConfigError: the file is damaged, or of another encoder.
    """
    file = bundled(name, path)
    state, facts, _, hashed = checkpoints.read(file, name)
    _check_finite(file, state)
    return state, facts, digest([hashed, facts])


def read(path: Path) -> dict[str, Any]:
    """Return the tensors of a file, as they lie there: a state dict, or a dict that has one.

    Raises:
        ConfigError: it is neither safetensors nor a plain file of tensors, or it is damaged.
    """
    if path.suffix == ".safetensors":
        safe = checkpoints.tensors(path)[0]
        _check_finite(path, safe)
        return dict(safe)
    # A pickle is what a file of this ending is, and torch reads its tensors alone.
    wrong = checkpoints.foreign(path)
    if not wrong.startswith("a pickle"):
        raise ConfigError(f"{path} is {wrong or 'no file of weights: fetch it again'}")
    if _has_code(path):
        made = path.with_suffix(".safetensors")
        raise ConfigError(
            f"{path} is TorchScript, which is a program and is not run here; if you trust it, this saves its tensors in {made.name}: "
            f"{shlex.join(['python', '-c', _SAVE_STATE, str(path), str(made)])}"
        )
    try:
        with warnings.catch_warnings():
            # Of a pickle's protocol, which it then refuses.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # Torch's own message advises to let the file run its code.
        raise ConfigError(
            f"{path} holds more than tensors, or is damaged: only state dicts are read; torch.save(model.state_dict(), FILE) writes one"
        ) from error
    except Exception as error:
        raise ConfigError(f"{path} is damaged or cut short ({type(error).__name__}): fetch it again") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds a {type(content).__name__}, not a dict of tensors")
    return content


def tensors(content: Mapping[str, Any], *keys: str) -> dict[str, Tensor]:
    """Return the state dict in what `read` returned: under the first of `keys` that is there, or the whole.

    Raises:
        ConfigError: there is none.
    """
    inner = next((content[k] for k in keys if k in content), content)
    if not isinstance(inner, dict) or not all(isinstance(v, Tensor) for v in inner.values()):
        raise ConfigError(f"no state dict was found: looked for {', '.join(keys) or 'tensors'}")
    if wrong := checkpoints.not_finite(inner):
        raise ConfigError(f"{len(wrong)} of the weights' tensors, {wrong[0]} first, have values that are not finite")
    return inner


def _check_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    if wrong := checkpoints.not_finite(state):
        raise ConfigError(
            f"{path} is damaged: {len(wrong)} of its tensors, {wrong[0]} first, have values that are not finite"
        )


def _has_code(path: Path) -> bool:
    if not is_zipfile(path):
        return False
    try:
        with ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (BadZipFile, OSError):
        return False
