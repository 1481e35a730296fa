import pytest

from sora_eval.generator.reference import jobs
from sora_eval.generator.reference.jobs import Phase, Recipe


def test_the_second_phase_begins_with_its_unit():
    recipe = Recipe(unit=10, phases=(Phase(0, {}), Phase(4, {"single": 0.5})))
    assert [recipe.phase(step) for step in (0, 39, 40, 1000)] == [0, 0, 1, 1]


def test_families_get_their_share_and_the_rest_is_even():
    counts = {"single": 10, "relation": 40, "bite": 5, "orbit": 15}
    shown = jobs._shown({"single": 0.4, "relation": 0.2, "absent": 0.3}, counts)
    total = {family: shown[family] * n for family, n in counts.items()}
    assert total["single"] == pytest.approx(0.4)
    assert total["relation"] == pytest.approx(0.2)
    assert sum(total.values()) == pytest.approx(1)
    assert shown["bite"] == pytest.approx(shown["orbit"])
