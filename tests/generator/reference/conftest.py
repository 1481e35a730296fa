import pytest
import torch

from sora_eval.data.vocabulary import world_vocabulary
from sora_eval.generator.reference import model
from sora_eval.generator.reference.autoencoder import Autoencoder, AutoencoderConfig
from sora_eval.generator.reference.options import Options
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.reference.transformer import Transformer, TransformerConfig

TINY_AUTOENCODER = AutoencoderConfig(widths=(8, 8, 16), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1, 2))


def tiny_autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    network = Autoencoder(TINY_AUTOENCODER)
    # Nothing is zero, so that a test sees every path.
    for p in network.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.1)
    return network.eval().requires_grad_(False)


def tiny_transformer() -> Transformer:
    torch.manual_seed(1)
    config = TransformerConfig(width=48, depth=2, heads=2, text_width=16, text_depth=1, words=len(world_vocabulary()))
    network = Transformer(config)
    for p in network.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.05)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    pixels = model.save_autoencoder(folder / "autoencoder.safetensors", tiny_autoencoder(), {})
    path = folder / "tiny.safetensors"
    model.save_transformer(path, tiny_transformer(), world_vocabulary(), pixels, {"steps": 0})
    return path


@pytest.fixture(scope="session")
def sampler(checkpoint):
    return Sampler(model.load(str(checkpoint)), Options(steps=2))


@pytest.fixture(scope="session")
def autoencoder():
    return tiny_autoencoder()


@pytest.fixture(scope="session")
def transformer():
    return tiny_transformer()
