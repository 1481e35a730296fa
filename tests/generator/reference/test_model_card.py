"""The tables of the model card: `tests/benchmarks/model_card.py`."""

import json
from types import MappingProxyType

import pytest
from benchmarks.model_card import FIGURES, Entry, cost_table, history, main, scaling_table

from sora_eval.errors import ConfigError
from sora_eval.generator.reference import model
from sora_eval.generator.reference.evaluation.rows import Row
from sora_eval.generator.reference.options import CHECKPOINTS

BLOCKS = ("cost", "scaling", "tasks", "text")


def about(steps, flops, before=None, name=""):
    """Return a header of a run; flops: of the run alone."""
    own = {"steps": steps, "clips": 10 * steps, "seconds": 3.6 * steps, "processes": 1, "curve": [[steps, 0.5]]}
    plan = {"square": False}
    if before is None:
        return {**own, "plan": plan, "flops": flops}
    initial = {k: v for k, v in before.items() if k != "plan"} | {"name": name, "hash": name}
    return {**own, "plan": plan, "flops": flops + before["flops"], "initial": initial}


def entry(name, header):
    rows = {key: Row(*key, 0.5, 1.0, 0.0, n=4, error=0.25).to_json() for key in FIGURES}
    return Entry(name, 8_000_000, name, MappingProxyType(header), rows, 4)


def test_the_runs_of_a_checkpoint_that_was_trained_on_add_up():
    first = about(100, 1e15)
    second = about(20, 3e14, first, "first")
    third = about(5, 2e14, second, "between")
    entries = [entry("first", first), entry("third", third)]
    past = history(entries[1], entries)
    assert past.start == "first"
    assert [(r.steps, r.flops, r.before) for r in past.runs] == [(20, 3e14, 1e15), (5, pytest.approx(2e14), 1.3e15)]
    last = cost_table(entries).splitlines()[-1]
    assert last == "| third, from first in 2 runs | 8.0 | 25 | 250 | 0.03 | 1 | 5e+14 | 1.5e+15 |"
    assert "| operations of its training, all runs | 1e+15 | 1.5e+15 |  |  |" in scaling_table(entries)
    # Where the first one has no row of its own, its run is one of the third.
    alone = history(entries[1], entries[1:])
    assert (alone.start, [r.steps for r in alone.runs]) == ("", [100, 20, 5])


def test_of_weights_whose_cost_is_not_in_the_header_the_operations_alone_count():
    before = {"flops": 1e15, "steps": 100, "clips": 1000, "name": "older", "hash": "older"}
    last = entry("last", {**about(5, 2e14), "flops": 1.2e15, "initial": before})
    assert history(last, [last]).start == "older"
    assert cost_table([last]).splitlines()[-1] == "| last, from older | 8.0 | 5 | 50 | 0.01 | 1 | 2e+14 | 1.2e+15 |"


@pytest.fixture
def measured(tmp_path):
    """Make folders of eval-tasks of the bundled checkpoints, with made-up measures; return a function of a name's suffix."""

    def folders(prefix, count):
        paths = []
        for k, name in enumerate(CHECKPOINTS):
            rows = [Row(*key, 0.25 * (k + 1), 1.0, 0.0, n=count, error=0.125).to_json() for key in FIGURES]
            facts = {"checkpoint": name, "hash": model.load(name).hash, "count": count, "options": {}, "version": "1"}
            folder = tmp_path / f"{prefix}-{name}"
            folder.mkdir()
            (folder / "tasks.json").write_text(json.dumps({**facts, "tasks": {"all": {"rows": rows}}}))
            paths.append(str(folder))
        return paths

    return folders


def test_the_card_is_written_for_all_bundled_checkpoints(tmp_path, measured):
    card = tmp_path / "card.md"
    card.write_text("\n".join(f"<!-- {name}: made -->\n<!-- /{name} -->" for name in BLOCKS))
    main([*measured("tasks", 40), "--text", *measured("text120", 120), "--card", str(card)])
    text = card.read_text()
    assert f"| measure | {' | '.join(CHECKPOINTS)} | oracle | goal |" in text
    assert "| text to video, colour | 0.25 | 0.50 | 0.75 | 1.00 | >= .98 |" in text
    assert "120 held-out members, ± standard error." in text
    assert "| text to video, shape | 0.25 ± 0.12 | 0.50 ± 0.12 | 0.75 ± 0.12 | >= .92 |" in text
    assert f"Checkpoint {CHECKPOINTS[-1]}." in text
    computes = [model.load(name).compute for name in CHECKPOINTS]
    assert computes == sorted(computes), "the last one has the most training"
    assert (tmp_path / "model_card_curves.png").stat().st_size > 10_000


def test_measures_of_other_weights_are_refused(tmp_path, measured):
    (folder, *_) = measured("tasks", 40)
    path = tmp_path / "tasks-base" / "tasks.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hash": "0"}))
    with pytest.raises(ConfigError, match="other weights"):
        main([folder, "--card", str(tmp_path / "card.md")])
