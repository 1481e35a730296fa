"""Where the weights of the standard encoders are looked for, and whether they are the right ones.

Nothing is downloaded unless by `sora-eval weights fetch`, nothing absent is replaced, and no file is read that could run code:
only safetensors, and tensors that torch reads with `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sora_eval.errors import ConfigError, SoraEvalError, unknown
from sora_eval.files import replacing

FOLDER = "SORA_EVAL_WEIGHTS"
"""The environment variable that names a folder with weights, before all caches."""
_HUB = "https://huggingface.co"
_BLOCK = 1 << 20


class AbsentWeightsError(SoraEvalError):
    """Weights that are nowhere on this machine; the message has the command that brings them."""


@dataclass(frozen=True)
class Entry:
    """A file of weights."""

    name: str
    """Name of the weights."""
    used_for: str
    """The metrics and encoder that need them."""
    file: str
    """Usual file name."""
    licence: str
    """Licence of the weights."""
    source: str
    """URL."""
    megabytes: int
    """Size."""
    sha256: str = ""
    """SHA-256, or as many digits of it as the publisher puts into the file name; "" where none is published."""

    @property
    def hub(self) -> tuple[str, str] | None:
        """(repository, path in it) where the source is on the Hugging Face hub."""
        if not self.source.startswith(_HUB) or "/resolve/" not in self.source:
            return None
        repository, _, rest = self.source.removeprefix(f"{_HUB}/").partition("/resolve/")
        return repository, rest.partition("/")[2]


_TORCH = "https://download.pytorch.org/models"
_JEPA = "https://dl.fbaipublicfiles.com/jepa/vith16"
ENTRIES: tuple[Entry, ...] = (
    Entry(
        "i3d",
        "FVD, KVD (I3D, Kinetics-400)",
        "i3d_pretrained_400.pt",
        "Apache-2.0",
        f"{_HUB}/spaces/LanguageBind/Open-Sora-Plan-v1.0.0/resolve/810fa8c4bdb3a4c8eec9bd57375c29bde6fb46de"
        "/opensora/eval/fvd/videogpt/i3d_pretrained_400.pt",
        49,
    ),
    Entry(
        "videomae",
        "content-debiased FVD (VideoMAE v2 giant, Something-Something v2)",
        "vit_g_hybrid_pt_1200e_ssv2_ft.pth",
        "CC-BY-NC-4.0",
        f"{_HUB}/OpenGVLab/VideoMAE2/resolve/97d119d270aca7a1217fff7f413c0c543eb325d9/mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth",
        2020,
        "5a210a92f035dff30c53b46157b612e7a1a5d3c99700e1b2d71da5c399ca7e70",
    ),
    Entry("vjepa", "JEDi (V-JEPA huge)", "vith16.pth.tar", "CC-BY-NC-4.0", f"{_JEPA}/vith16.pth.tar", 10400),
    Entry(
        "vjepa-probe",
        "JEDi (its probe, Something-Something v2)",
        "ssv2-probe.pth.tar",
        "CC-BY-NC-4.0",
        f"{_JEPA}/ssv2-probe.pth.tar",
        80,
    ),
    Entry(
        "clip-b-32",
        "CLIP ViT-B/32 (OpenAI)",
        "open_clip_model.safetensors",
        "MIT",
        f"{_HUB}/timm/vit_base_patch32_clip_224.openai/resolve/main/open_clip_model.safetensors",
        605,
    ),
    Entry(
        "clip-l-14",
        "CLIP ViT-L/14 (OpenAI)",
        "open_clip_model.safetensors",
        "MIT",
        f"{_HUB}/timm/vit_large_patch14_clip_224.openai/resolve/main/open_clip_model.safetensors",
        1710,
    ),
    Entry(
        "lpips-alex",
        "LPIPS (AlexNet)",
        "alexnet-owt-7be5be79.pth",
        "BSD-3-Clause",
        f"{_TORCH}/alexnet-owt-7be5be79.pth",
        244,
        "7be5be79",
    ),
    Entry(
        "lpips-vgg",
        "LPIPS (VGG16)",
        "vgg16-397923af.pth",
        "BSD-3-Clause",
        f"{_TORCH}/vgg16-397923af.pth",
        553,
        "397923af",
    ),
    Entry(
        "lpips-squeeze",
        "LPIPS (SqueezeNet)",
        "squeezenet1_1-b8a52dc0.pth",
        "BSD-3-Clause",
        f"{_TORCH}/squeezenet1_1-b8a52dc0.pth",
        5,
        "b8a52dc0",
    ),
)


BUNDLED = Path(__file__).parent / "bundled"
"""Where the encoders lie that we trained."""
ENCODERS: Mapping[str, str] = {
    "world-video": "world-FVD, world-KVD",
    "world-clip": "CLIPSIM and consistency, in the world's words",
    "lpips-world": "a perceptual distance of pictures",
}
"""Those encoders, and what they are for."""


def bundled(name: str, path: str | None = None) -> Path:
    """Return the file of an encoder that comes with the package. path: set by the user.

    Raises:
        AbsentWeightsError: this copy of the package lacks it.
    """
    if path:
        return Path(path)
    if named := _named(name):
        return named
    file = BUNDLED / f"{name}.safetensors"
    if not file.is_file():
        raise AbsentWeightsError(
            f"this copy of sora-eval lacks the weights of {name}: sora-eval train encoder={name} makes them"
        )
    return file


def variable(name: str) -> str:
    """Return the environment variable that names the file of these weights."""
    return f"{FOLDER}_{name.upper().replace('-', '_')}"


def use(files_by_name: Mapping[str, str]) -> None:
    """Take weights from these files, in this process and those that it starts.

    Raises:
        ConfigError: there are no weights of a name, or no such file.
    """
    for name, path in files_by_name.items():
        if name not in ENCODERS:
            entry(name)
        os.environ[variable(name)] = str(Path(path).absolute())
        _named(name)


def _named(name: str) -> Path | None:
    """Return the file that the environment names for these weights."""
    file = os.environ.get(variable(name))
    if file and not Path(file).is_file():
        raise ConfigError(f"{variable(name)} names {file}, and there is no such file")
    return Path(file) if file else None


def files_of(encoder: str) -> list[Path]:
    """Return the files of an encoder's weights.

    Raises:
        AbsentWeightsError: one is nowhere on this machine.
    """
    if encoder in ENCODERS:
        return [bundled(encoder)]
    return [locate(name) for name in ((encoder, f"{encoder}-probe") if encoder == "vjepa" else (encoder,))]


def entry(name: str) -> Entry:
    """Return the entry of a name.

    Raises:
        ConfigError: there is none.
    """
    entries = {e.name: e for e in ENTRIES}
    if name not in entries:
        raise unknown("weights", name, entries)
    return entries[name]


def places(weights: Entry) -> Iterator[Path]:
    """Yield where a file is looked for, first to last: its variable, the folder, our cache, torch hub's, Hugging Face's.

    Raises:
        ConfigError: the variable names a file that is not there.
    """
    env = os.environ
    if named := _named(weights.name):
        yield named
    if env.get(FOLDER):
        yield Path(env[FOLDER]) / weights.name / weights.file
        yield Path(env[FOLDER]) / weights.file
    yield cache() / weights.name / weights.file
    home = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    yield Path(env.get("TORCH_HOME") or home / "torch") / "hub" / "checkpoints" / weights.file
    if weights.hub is not None:
        hub = Path(env.get("HF_HUB_CACHE") or Path(env.get("HF_HOME") or home / "huggingface") / "hub")
        repository, path = weights.hub
        kind = "spaces" if repository.startswith("spaces/") else "models"
        folder = hub / f"{kind}--{repository.removeprefix('spaces/').replace('/', '--')}"
        yield from sorted(folder.glob(f"snapshots/*/{path}"))


def cache() -> Path:
    """Return the folder that fetched weights go to."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sora-eval"


def locate(name: str, path: str | None = None) -> Path:
    """Return the file of these weights. path: set by the user; no other place is searched then.

    Raises:
        AbsentWeightsError: it is nowhere.
        ConfigError: there are no weights of that name, or no file at `path`.
    """
    weights = entry(name)
    if path is not None:
        if not Path(path).is_file():
            raise ConfigError(f"{name}: there is no file {path}")
        return Path(path)
    for place in places(weights):
        if place.is_file():
            return place
    raise AbsentWeightsError(
        f"the weights of {weights.used_for} are not on this machine: sora-eval weights fetch {name} brings {weights.megabytes} MB"
    )


def verify(name: str, path: Path) -> str:
    """Return the SHA-256 of a file of weights.

    Raises:
        ConfigError: it is not the one that the registry has.
    """
    weights, hashed = entry(name), sha256(path)
    if not hashed.startswith(weights.sha256):
        raise ConfigError(
            f"{path} is not {weights.file}: its SHA-256 is {hashed[:16]}..., not {weights.sha256[:16]}..."
        )
    return hashed


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def fetch(name: str) -> Path:
    """Download weights into our cache, unless they are there, and return their file.

    Raises:
        ConfigError: the source can't be reached, or sends something else.
    """
    weights = entry(name)
    target = cache() / name / weights.file
    if target.is_file():
        verify(name, target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(target) as part:
            with urllib.request.urlopen(weights.source, timeout=60) as answer, part.open("wb") as file:
                while block := answer.read(_BLOCK):
                    file.write(block)
            verify(name, part)
    except OSError as error:
        raise ConfigError(f"{name} can't be fetched from {weights.source}: {error}") from error
    return target
