import json
from dataclasses import asdict

import pytest
from safetensors import safe_open

from sora_eval.generator.reference import model
from sora_eval.generator.reference.recipe import autoencoder_recipe, transformer_recipe


def header(name):
    with safe_open(model.FOLDER / f"{name}.safetensors", "pt") as file:
        return {k: json.loads(file.metadata()[k]) for k in ("facts", "about")}


@pytest.mark.parametrize("name", model.BUNDLED)
def test_the_recipe_is_that_of_the_bundled_checkpoints(name):
    facts, about = header(name).values()
    recipe = transformer_recipe()
    sizes = asdict(recipe.network)
    assert {k: v for k, v in facts["config"].items() if k != "words"} == {k: sizes[k] for k in sizes if k != "words"}
    plan = about["plan"]
    assert asdict(recipe.checkpoints[name]) == {"units": plan["units"], "square": plan["square"]}
    assert recipe.name(plan["units"], plan["square"]) == name


def test_the_autoencoders_sizes_are_those_of_the_bundled_one():
    sizes = json.loads(json.dumps(asdict(autoencoder_recipe().network)))
    assert sizes == header(model.AUTOENCODER)["facts"]["config"]


def test_phases_begin_at_the_beginning_and_in_order():
    units = [phase.unit for phase in transformer_recipe().phases]
    assert units[0] == 0
    assert units == sorted(set(units))
    assert all(sum(phase.shares.values()) < 1 for phase in transformer_recipe().phases)
    assert transformer_recipe().name(8, False) == "8x"
