import json
import shutil
from dataclasses import asdict, replace

import pytest
from safetensors import safe_open

from sora_eval.errors import ConfigError
from sora_eval.generator.reference import model
from sora_eval.generator.reference.options import CHECKPOINTS
from sora_eval.generator.reference.recipe import BUNDLED, FOLDER, autoencoder_recipe, transformer_recipe
from sora_eval.generator.reference.transformer import TransformerConfig


def header(name):
    with safe_open(model.FOLDER / f"{name}.safetensors", "pt") as file:
        return {k: json.loads(file.metadata()[k]) for k in ("facts", "about")}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_recipe_is_that_of_the_bundled_checkpoints(name):
    facts, about = header(name).values()
    recipe = transformer_recipe()
    sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["config"].items()}
    assert recipe.network == replace(TransformerConfig(**sizes), words=recipe.network.words)
    checkpoint = recipe.checkpoints[name]
    assert recipe.name(checkpoint.units, checkpoint.square) == name
    assert asdict(checkpoint) == {k: about["plan"][k] for k in ("units", "square")}


def test_the_autoencoders_sizes_are_those_of_the_bundled_one():
    sizes = json.loads(json.dumps(asdict(autoencoder_recipe().network)))
    assert sizes == header(model.AUTOENCODER)["facts"]["config"]


@pytest.mark.parametrize("name", BUNDLED)
def test_phases_begin_at_the_beginning_and_in_order(name):
    recipe = transformer_recipe(name)
    units = [phase.unit for phase in recipe.phases]
    assert units[0] == 0
    assert units == sorted(set(units))
    assert all(sum(phase.shares.values()) < 1 for phase in recipe.phases)
    assert recipe.name(8, False) == "8x"
    assert recipe.network.channels == autoencoder_recipe(name).network.channels


def test_a_recipe_is_a_bundled_one_or_a_folder(tmp_path):
    for part in ("autoencoder", "transformer"):
        shutil.copy(FOLDER / "default" / f"{part}.yaml", tmp_path)
    assert transformer_recipe(str(tmp_path)) == transformer_recipe("default")
    assert autoencoder_recipe(str(tmp_path)) == autoencoder_recipe("default")
    with pytest.raises(ConfigError, match="did you mean default"):
        transformer_recipe("defalt")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "autoencoder.yaml").write_text("network: {}\n")
    with pytest.raises(ConfigError, match="can't be so"):
        autoencoder_recipe(str(tmp_path / "b"))


@pytest.mark.parametrize(
    ("part", "old", "new", "message"),
    [
        ("transformer", "muon: 0.02", "muon: fast", "muon must be a number above 0, got fast"),
        ("transformer", "caption_dropout: 0.1", "caption_dropout: 10", "caption_dropout must be a number from 0 to 1"),
        ("transformer", "image_share: [0.7, 0.12]", "image_share: 0.5", "can't be so"),
        (
            "transformer",
            "image_share: [0.7, 0.12]",
            "image_share: [7, 0.12]",
            "image_share must be a number from 0 to 1",
        ),
        ("transformer", "unit: 0,", "unit: 1,", "phases must begin at unit 0 and rise"),
        ("transformer", "single: 0.3", "single: 0.9", "sum to"),
        (
            "transformer",
            "relation: 0.12",
            "relations: 0.12",
            "unknown scene family of shares of the phase from unit 0 on",
        ),
        ("autoencoder", "shares: {}", "shares: {ball: 0.1}", "unknown scene family of data.shares"),
        ("transformer", "base: {units: 1}", "base: {units: 0}", "units must be a whole number of at least 1"),
        ("autoencoder", "adamw: 1.5e-3", "adamw: -1", "adamw must be a number above 0"),
        ("autoencoder", "network:", "nets:", "can't be so"),
    ],
)
def test_values_of_a_recipe_are_checked(tmp_path, part, old, new, message):
    text = (FOLDER / "default" / f"{part}.yaml").read_text()
    assert old in text
    (tmp_path / f"{part}.yaml").write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        (transformer_recipe if part == "transformer" else autoencoder_recipe)(str(tmp_path))


def test_rates_may_be_written_as_powers_of_ten(tmp_path):
    text = (FOLDER / "default" / "autoencoder.yaml").read_text()
    (tmp_path / "autoencoder.yaml").write_text(text.replace("adamw: 1.5e-3", "adamw: 9e-4"))
    assert autoencoder_recipe(str(tmp_path)).adamw == 9e-4
