"""A card has what a run needs to be made again, without secrets, and the run that it makes has the same scores."""

import json

import pytest
from recipe.conftest import SMALL

from sora_eval.commands.cli import main
from sora_eval.files import without_secrets
from sora_eval.prompting.bundled import expand


def test_a_card_has_the_recipe_of_each_case(made):
    card = json.loads((made / "card.json").read_text())
    assert {"command", "config", "generators", "hashes", "versions", "machine", "prompts"} <= card.keys()
    assert card["command"].startswith("sora-eval run generator=careless prompts.expander=bundled")
    assert len(card["cases"]) == 8
    for row in card["cases"]:
        assert row["rewritten"]["rewritten"] == expand(row["prompt"]) != row["prompt"]
        assert row["asked"] == {"width": 64, "height": 64, "frames": 17, "fps": 8, "given": int(row["mode"] == "i2v")}
        assert row["made"] == {"width": 96, "height": 96, "frames": 25, "fps": 12.0}
    scores = [json.loads(line) for line in (made / "scores.jsonl").read_text().splitlines()]
    assert [(r["case"], r["score"]) for r in card["cases"]] == [(r["case"], r["value"]) for r in scores]
    assert "Reproduction card" in (made / "report.html").read_text()


def test_a_run_is_made_again_with_the_same_scores(run, tmp_path, monkeypatch, capsys):
    def refuse(prompt):
        raise AssertionError("asked again")

    monkeypatch.setattr("sora_eval.prompting.bundled.expand", refuse)
    assert main(["reproduce", str(run / "card.json"), f"out={tmp_path / 'again'}", "workers=1"]) == 0
    out = capsys.readouterr().out
    assert "reproduced: all 8 scores are equal to the card's" in out
    assert "note:" not in out
    files = [sorted(p.name for p in (folder / "videos/careless").iterdir()) for folder in (run, tmp_path / "again")]
    assert files[0] == files[1]


def test_other_scores_are_named_case_by_case(run, tmp_path, capsys):
    card = json.loads((run / "card.json").read_text())
    card["cases"][2]["score"] = 0.123
    card["versions"]["numpy"] = "1.0"
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert main(["reproduce", str(tmp_path / "card.json"), f"out={tmp_path / 'again'}", "workers=1"]) == 1
    out = capsys.readouterr().out
    assert "not reproduced: 7 of 8 scores are equal" in out
    assert f"{card['cases'][2]['case']}: 0.123 in the card" in out
    assert "version of numpy: 1.0 in card" in out


@pytest.mark.parametrize(
    ("node", "named"),
    [
        ({"_target_": "os.system"}, "generator._target_=os.system"),
        (
            {"_target_": "sora_eval.generator.callable.PythonCallable", "target": "os:system"},
            "generator.target=os:system",
        ),
        ({"_target_": "sora_eval.generator.faulty.RandomFaults", "more": [{"_target_": "os.system"}]}, "os.system"),
    ],
)
def test_code_of_others_is_not_run_untrusted(run, tmp_path, capsys, node, named):
    card = json.loads((run / "card.json").read_text())
    card["config"]["generator"] = node
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert main(["reproduce", str(tmp_path / "card.json"), f"out={tmp_path / 'again'}"]) == 2
    error = capsys.readouterr().err
    assert "would run code that is not sora-eval's own" in error
    assert named in error
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"card_version": 9}', '{"card_version": 1, "config": 3, "cases": []}']
)
def test_a_broken_card_is_one_line(tmp_path, capsys, text):
    (tmp_path / "card.json").write_text(text)
    assert main(["reproduce", str(tmp_path / "card.json")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_secret_of_the_environment_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_API_KEY", "sk-very-secret-value")
    (tmp_path / "model.py").write_text(
        "import numpy as np\n"
        "def model(prompt, *, height, width, frames, fps, seed, conditioning, token):\n"
        "    assert token == 'sk-very-secret-value'\n"
        "    return np.full((frames, height, width, 3), 120, np.uint8)\n"
    )
    words = [
        "generator=callable",
        "generator.target=model.py:model",
        "generator.kwargs={token: '${oc.env:MY_API_KEY}'}",
    ]
    assert main(["run", *words, *SMALL, "out=run"]) == 0
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or b"sk-very-secret-value" not in path.read_bytes(), path
    for name in ("manifest.json", "card.json", "identity.json"):
        stored = json.loads((tmp_path / "run" / name).read_text())
        assert stored.get("config", {"generator": stored.get("source")})["generator"]["kwargs"] == {"token": "***"}
    again = ["reproduce", "run/card.json", "trust=true", "workers=1"]
    assert main(again) == 2
    assert "generator.kwargs.token was a secret and is not in the card" in capsys.readouterr().err
    assert main([*again, "generator.kwargs.token=${oc.env:MY_API_KEY}"]) == 0


def test_secrets_are_masked_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("SERVICE_TOKEN", "abcdefgh12345")
    monkeypatch.setenv("SHORT_KEY", "abc")
    value = {"a": ["x abcdefgh12345 y", 3], "b": {"c": "abc"}}
    assert without_secrets(value) == {"a": ["x *** y", 3], "b": {"c": "abc"}}
