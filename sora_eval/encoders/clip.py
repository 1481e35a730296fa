"""Encoders of pictures and words into one space, through open_clip: the public CLIP networks, and our own small one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from sora_eval.data.vocabulary import Vocabulary, words_of
from sora_eval.encoders import state_dicts, weights, world_clip
from sora_eval.encoders.names import TEXT_IMAGE_ENCODERS, Unread
from sora_eval.errors import ConfigError, unknown
from sora_eval.training import checkpoints
from sora_eval.types import Floats, Frames

_BATCH = 32


@dataclass(frozen=True)
class TextImageEncoder:
    """Frames and texts as unit vectors [n, d]; their products are cosines."""

    name: str
    """Name of the network."""
    hash: str
    """Hash of its weights."""
    model: nn.Module
    """An open_clip network."""
    transform: Callable[[Image.Image], Tensor]
    """A frame to the network's input."""
    tokenise: Callable[[Sequence[str]], Tensor]
    """Texts to ids [n, L]."""
    unread: Callable[[str], Unread]
    """The part of a text that is not read."""

    @property
    def protocol(self) -> str:
        """All that a vector depends on, but the frame or the text."""
        return f"{self.name}@{self.hash[:8]}"

    @property
    def scale(self) -> float:
        """The learnt factor of cosines before a softmax over texts."""
        learnt: Any = self.model.logit_scale
        return float(learnt.exp())

    def images(self, frames: Frames) -> Floats:
        """Return unit vectors [T, d] of frames uint8 [T, H, W, 3]."""
        vectors = []
        encode: Any = self.model.encode_image
        for i in range(0, len(frames), _BATCH):
            batch = torch.stack([self.transform(Image.fromarray(np.asarray(f))) for f in frames[i : i + _BATCH]])
            with torch.inference_mode():
                vectors.append(encode(batch, normalize=True).double().numpy())
        return np.concatenate(vectors)

    def texts(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors [n, d] of texts."""
        encode: Any = self.model.encode_text
        with torch.inference_mode():
            vectors: Floats = encode(self.tokenise(texts), normalize=True).double().numpy()
        return vectors


_PUBLIC: Mapping[str, str] = {"clip-b-32": "ViT-B-32-quickgelu", "clip-l-14": "ViT-L-14-quickgelu"}
"""OpenAI's networks were trained with the quick GELU; without it their vectors are slightly, silently wrong."""


def load(name: str, path: str | None = None) -> TextImageEncoder:
    """Return an encoder. path: of its weights, where they are to be taken from there and nowhere else.

    Raises:
        AbsentWeightsError: its weights are not on this machine.
        ConfigError: there is no such encoder, or its weights are damaged or others.
    """
    if name == world_clip.NAME:
        return _world(path)
    if name not in _PUBLIC:
        raise unknown("text and image encoder", name, TEXT_IMAGE_ENCODERS)
    file = weights.locate(name, path)
    return from_file(name, _PUBLIC[name], file, weights.verify(name, file))


def _world(path: str | None) -> TextImageEncoder:
    file = weights.bundled(world_clip.NAME, path)
    _, facts, digest = state_dicts.load_bundled(world_clip.NAME, path)
    words = Vocabulary(checkpoints.texts(file, facts, "words"))
    world_clip.add_architecture()
    model = _model(world_clip.NAME, file)

    def transform(image: Image.Image) -> Tensor:
        return world_clip.pixels(np.asarray(image)[None])[0]

    tokenise = world_clip.WordTokenizer(words)

    def unread(text: str) -> Unread:
        limit = f"{world_clip.CONTEXT - 1} words" if tokenise.cuts(text) else ""
        unknown = tuple(tokenise.words.unknown(text)) if words_of(text) else (text,)
        return Unread(text, unknown, limit)

    return TextImageEncoder(world_clip.NAME, digest, model, transform, tokenise, unread)


def from_file(name: str, architecture: str, file: Path, digest: str) -> TextImageEncoder:
    """Return an encoder from a file of weights of one of open_clip's architectures.

    Raises:
        ConfigError: the file does not fit.
    """
    open_clip: Any = importlib.import_module("open_clip")
    model: Any = _model(architecture, file)
    mean, spread = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    size = model.visual.image_size
    transform = open_clip.image_transform(size, is_train=False, mean=mean, std=spread, interpolation="bicubic")
    tokenise = open_clip.get_tokenizer(architecture)

    def unread(text: str) -> Unread:
        # Pieces of words down to single bytes: no word is unknown. One token begins every text and one ends it.
        length = len(tokenise.encode(text)) + 2
        return Unread(text, limit=f"{tokenise.context_length} tokens" if length > tokenise.context_length else "")

    return TextImageEncoder(name, digest, model, transform, tokenise, unread)


def _model(architecture: str, file: Path) -> nn.Module:
    open_clip: Any = importlib.import_module("open_clip")
    if not file.is_file():
        raise ConfigError(f"there is no file of weights {file}")
    wrong = checkpoints.not_safetensors(file) if file.suffix == ".safetensors" else checkpoints.foreign(file)
    if wrong and not wrong.startswith("a pickle"):
        raise ConfigError(f"{file} is {wrong}")
    try:
        # Given a name that it knows, open_clip would load what belongs to it; given none, it would go on with random weights.
        model: nn.Module = open_clip.create_model(architecture, pretrained=str(file), require_pretrained=True)
    except Exception as error:
        # Not in torch's words, which advise to let a file run its code.
        raise ConfigError(
            f"{file} can't be loaded as {architecture} ({type(error).__name__}): it is damaged or of another network"
        ) from error
    return model.eval().requires_grad_(False)
