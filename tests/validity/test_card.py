"""The validity card: no probe or metric is left out of the committed one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from validity.made_up import ROOT, SMALL, trials_of

from sora_eval import registry
from sora_eval.commands import cli
from sora_eval.errors import ConfigError
from sora_eval.reporting.validity.write import markdown
from sora_eval.validity.card import VERSION, absent_from, make_card, probe_subject
from sora_eval.validity.fidelity_metrics import (
    fidelity_metric_names,
)
from sora_eval.validity.tracking import (
    metric_names,
)
from sora_eval.validity.trials import (
    SEVERITIES,
    Trial,
    TrialPlan,
)


@pytest.fixture
def plan(tmp_path: Path) -> TrialPlan:
    return TrialPlan(SMALL, ("i2v",), 1, 0, tmp_path, "abc")


def test_a_probe_without_a_row_is_absent_from_a_card() -> None:
    probe = registry.probe("relation")
    plan = TrialPlan(SMALL, ("t2v",), 8, 0, Path("nowhere"), "abc")
    trials = [replace(t, subject="relation") for t in trials_of("oracle", "oracle", [1.0] * 8, 0.0)]
    card = make_card("sora-eval validate", "8 scenes", [probe], plan, 0, trials, {}, []).to_json()
    assert absent_from(card, ["relation", "motion", "FVD"]) == ["motion", "FVD"]
    card["subjects"].append({"name": "FVD", "unavailable": "its weights are not here"})
    assert absent_from(card, ["relation", "FVD"]) == []


def test_a_card_of_another_version_is_refused_with_the_remedy() -> None:
    for old in ({"version": 2, "rows": [], "subjects": []}, {}):
        with pytest.raises(ConfigError, match=f"this sora-eval reads {VERSION}: make validate"):
            absent_from(old, ["relation"])


def test_the_committed_card_has_a_row_of_every_probe_and_metric() -> None:
    card = json.loads((ROOT / "reports" / "validity.json").read_text(encoding="utf-8"))
    absent = absent_from(card, [*registry.probe_names(), *fidelity_metric_names(), *metric_names()])
    assert not absent, f"no row of {', '.join(absent)}: make validate"


@pytest.mark.parametrize("optional", [False, True])
def test_the_committed_cards_are_of_the_probes_as_they_are(optional: bool) -> None:
    card = json.loads(
        (ROOT / "reports" / ("abilities" if optional else "") / "validity.json").read_text(encoding="utf-8")
    )
    versions = {s["name"]: s["version"] for s in card["subjects"] if s["kind"] == "probe"}
    names = (
        set(registry.probe_names(optional=True)) - set(registry.probe_names()) if optional else registry.probe_names()
    )
    assert versions == {name: registry.probe(name).version for name in names}


def test_the_suite_of_abilities_has_every_suite_that_is_chosen_by_name() -> None:
    values = yaml.safe_load((ROOT / "conf" / "suite" / "abilities.yaml").read_text(encoding="utf-8"))
    assert tuple(values["suites"]) == registry.OPTIONAL_SUITES
    probes = [registry.probe(name) for name in registry.probe_names(optional=True)]
    assert {mode for p in probes if p.suite in values["suites"] for mode in p.modes} == set(values["modes"])


def test_a_partial_card_does_not_replace_a_fuller_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = {"subjects": [{"name": "relation"}, {"name": "motion"}], "scenes": 8, "clips": 0}
    (tmp_path / "validity.json").write_text(json.dumps(full))
    args = [f"out={tmp_path}", f"cache={tmp_path / 'cache'}", "fidelity.count=0"]
    assert cli.main(["validate", "suite.probes=[relation]", *args]) == 2
    assert "would lose 1 of its probes and metrics, such as motion" in capsys.readouterr().err
    assert cli.main(["validate", "suite.probes=[relation,motion]", "suite.count=2", *args]) == 2
    assert "6 of its 8 scenes" in capsys.readouterr().err
    assert json.loads((tmp_path / "validity.json").read_text()) == full


def test_blindness_counts_in_its_modes_only() -> None:
    dolly = registry.probe("dolly")
    assert ("t2v", "mirrored") in probe_subject(dolly, ("t2v", "i2v")).blind_spots
    assert not probe_subject(dolly, ("i2v",)).blind_spots


def test_a_card_has_a_part_on_tracking(plan: TrialPlan) -> None:
    def trials(kind: str, what: str, value: float | None, severity: float) -> list[Trial]:
        return [Trial("HOTA", "", kind, what, severity, f"{kind == 'held'}{i}", value, "why") for i in range(8)]

    rows = [*trials("oracle", "oracle", 0.9, 0.0), *trials("held", "other scenes", 0.9, 0.0)]
    rows += trials("control", "frozen", 0.3, 1.0)
    rows += [t for s in SEVERITIES[1:] for t in trials("violation", "vanishes", 0.9 - s / 2, s)]
    card = make_card("made", "about", [], plan, 0, rows, {}, [])
    (subject,) = card.subjects
    assert (subject.suite, subject.higher_is_better, subject.unit) == ("tracking", True, "clip")
    assert [d.threshold for d in card.dose_responses] == [0.25]
    assert not card.missed
    text = markdown(card)
    assert "## Tracking metrics" in text
    assert "| HOTA | vanishes | 0.9, 0.775, 0.65, 0.525, 0.4 | 1.00 | 1, 1, 1, 1 | 0.25 |" in text
