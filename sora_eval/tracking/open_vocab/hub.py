"""Networks of a model hub: found in a folder or by their hub name, hashed, checked, and loaded with transformers."""

from __future__ import annotations

import importlib
import re
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import content_hash, read_json

EXTRA = "pip install 'sora-eval[open_vocab]'"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is taken from a hub: weights in the one format that can't run code, and the text files beside them."""


class AbsentModelError(SoraEvalError):
    """A network or the package that runs it is not on this machine; the message says what brings it."""


@dataclass(frozen=True)
class HubModel:
    """A network in a folder."""

    option: str
    """The option that names it, for messages."""
    name: str
    """The folder or hub name, as the user typed it."""
    folder: Path
    """Where its files are."""
    kind: str
    """Its model_type, such as grounding-dino."""

    @property
    def hash(self) -> str:
        """SHA-256 of the names and bytes of its files."""
        return content_hash(self.folder)

    @property
    def protocol(self) -> str:
        """Kind and hash, the same wherever the folder lies."""
        return f"{self.kind}@{self.hash[:8]}"


def transformers() -> Any:
    """Return the package transformers.

    Raises:
        AbsentModelError: it isn't installed.
    """
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise AbsentModelError(f"tracker=open_vocab needs transformers: {EXTRA}") from error


def find_model(option: str, name: str, kinds: tuple[str, ...]) -> HubModel:
    """Return the network of a folder or of a hub name, downloaded where it isn't in the hub's cache. kinds: model types that fit.

    Raises:
        AbsentModelError: it is neither here nor to be had from the hub.
        ConfigError: the folder is no model, or one of another kind.
    """
    folder = Path(name).expanduser()
    if not folder.exists():
        folder = _from_hub(option, name)
    config = folder / "config.json"
    if not config.is_file():
        raise ConfigError(f"{option}={name}: no config.json there; a model's folder in transformers' format is needed")
    kind = str(read_json(config).get("model_type", ""))
    if kind not in kinds:
        raise ConfigError(f"{option}={name} is a model of type {kind or 'unknown'}; {' or '.join(kinds)} is needed")
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(f"{option}={name}: no weights there; a .safetensors file is needed")
    return HubModel(option, name, folder, kind)


def _from_hub(option: str, name: str) -> Path:
    if not _HUB_NAME.fullmatch(name):
        raise AbsentModelError(f"{option}={name}: there is no such folder")
    try:
        hub: Any = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise AbsentModelError(f"tracker=open_vocab needs transformers: {EXTRA}") from error
    try:
        try:
            # What is in the cache already stays the same, and needs no network.
            return Path(hub.snapshot_download(name, allow_patterns=list(_FILES), local_files_only=True))
        except hub.errors.LocalEntryNotFoundError:
            return Path(hub.snapshot_download(name, allow_patterns=list(_FILES)))
    except Exception as error:  # of the hub, its client, the network: whatever can go wrong
        raise AbsentModelError(
            f"{option}={name} is no folder here, and the hub doesn't give it ({type(error).__name__}): name a local folder"
        ) from error


@dataclass(frozen=True)
class Loaded:
    """A network in memory, with what prepares its inputs."""

    network: Any
    """The network, on its device, not to be trained."""
    processor: Any
    """Its processor."""
    device: str
    """cpu, cuda or cuda:N."""


@cache
def load(model: HubModel, network: str, processor: str, device: str) -> Loaded:
    """Return a network with its processor. network, processor: names of the classes in transformers.

    Raises:
        AbsentModelError: transformers isn't installed.
        ConfigError: the files do not fit together, or the device isn't there.
    """
    library = transformers()
    place = f"{model.option}={model.name}"
    for name in (network, processor):
        if not hasattr(library, name):
            raise ConfigError(f"{place}: transformers {library.__version__} has no {name}; update it: {EXTRA}")
    # They write bars and reports of tensors to the console.
    verbosity = library.logging.get_verbosity()
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # Of what the libraries deprecate among themselves.
            warnings.simplefilter("ignore")
            local = {"local_files_only": True}
            made, report = getattr(library, network).from_pretrained(
                model.folder, use_safetensors=True, output_loading_info=True, **local
            )
            prepare = getattr(library, processor).from_pretrained(model.folder, **local)
    except Exception as error:  # of transformers, safetensors, tokenizers, torch: whatever a folder can lack
        raise ConfigError(f"{place} can't be loaded as {network}: {_one_line(error)}") from error
    finally:
        library.logging.set_verbosity(verbosity)
    wrong = [*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])]
    if wrong:
        # transformers would go on with random numbers in their place.
        raise ConfigError(
            f"{place} does not fit {network}: {len(wrong)} tensors are missing or of another size, {sorted(wrong)[0]} first"
        )
    try:
        made = made.to(device).eval().requires_grad_(False)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"tracker.device={device}: {_one_line(error)}") from error
    return Loaded(made, prepare, device)


def chosen_device(device: str) -> str:
    """Return a device by its name; "auto" is a GPU where there is one."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."
