import json
import subprocess
import sys
import time

import pytest

from sora_eval import registry
from sora_eval.cli import COMMANDS, main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rn"], "unknown command 'rn': did you mean run"),
        (["run", "generator=orcale"], "unknown generator 'orcale': did you mean oracle"),
        (["run", "suite=smok"], "unknown suite 'smok': did you mean smoke"),
        (["run", "profile=smal"], "unknown profile 'smal': did you mean small"),
        (["run", "suite.probes=[relatin]"], "unknown probe 'relatin': did you mean relation"),
        (["run", "suite.suites=[physic]"], "unknown suite 'physic': did you mean physics"),
        (["run", "suite.modes=[t2w]"], "unknown mode 't2w': did you mean t2v"),
        (["run", "sede=1"], "unknown option 'sede': did you mean seed"),
        (["run", "generator=folder", "generator.pth=x"], "did you mean generator.path"),
        (["run", "generator=folder"], "generator.path is missing: say generator.path=..."),
        (["run", "generator=folder", "generator.path=/no/such/folder"], "/no/such/folder: no such folder"),
        (
            ["run", "generator=violation", "generator.violation=vanish"],
            "unknown violation 'vanish': did you mean vanishes",
        ),
        (["run", "generator=control", "generator.control=frosen"], "unknown control 'frosen': did you mean frozen"),
        (["run", "suite.count=0"], "suite.count must be a whole number of at least 1, got 0"),
        (["run", "suite.count=two"], "suite.count must be a whole number of at least 1, got two"),
        (["run", "references=[frosen]"], "unknown control 'frosen': did you mean frozen"),
        (["render", "rom"], "unknown scene family 'rom': did you mean room"),
        (["list", "suits"], "unknown list 'suits': did you mean suites"),
    ],
)
def test_a_typo_is_answered_in_one_line_and_exit_code_2(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["--help"], ["list", "probes"], ["list", "generators"], ["list", "suites"]])
def test_help_and_lists_answer_within_a_second(words):
    start = time.perf_counter()
    out = subprocess.run([sys.executable, "-m", "sora_eval.cli", *words], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 1.0
    assert len(out.stdout.splitlines()) > 2


def test_scoring_a_folder_needs_no_torch():
    script = (
        "import sys\n"
        "from sora_eval.cli import main\n"
        "import sora_eval.app, sora_eval.evaluate, sora_eval.generator.folder, sora_eval.reporting.report, sora_eval.validity\n"
        "from sora_eval import registry\n"
        "[registry.probe(n) for n in registry.probe_names()]\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in COMMANDS)


def test_every_entry_of_the_configuration_says_what_it_is():
    for group in registry.GROUPS.values():
        assert all(len(text) > 20 for text in registry.names(group).values()), group
    assert all(len(claim) > 20 for _, claim in registry.probe_names().values())


@pytest.mark.parametrize("name", sorted(registry.probe_names()))
def test_probe_entries_agree_with_their_classes(name):
    suite, claim = registry.probe_names()[name]
    probe = registry.probe(name)
    assert (probe.name, probe.suite, probe.claim) == (name, suite, claim)


def test_a_users_folder_is_scored_and_its_faults_are_named(tmp_path, capsys):
    theirs, out = tmp_path / "theirs", tmp_path / "run"
    small = ["suite.probes=[relation]", "suite.modes=[t2v]"]
    assert main(["generate", "generator=oracle", *small, f"out={theirs}"]) == 0
    good = theirs / "videos" / "left_right.relation.t2v.0000.mp4"
    (theirs / "videos" / "left_right.relation.t2v.0001.mp4").write_bytes(good.read_bytes()[:700])
    with (theirs / "manifest.csv").open("a") as file:
        file.write("left_right.relation.t2v.0009,videos/nothing.mp4\n")
        file.write("left_right.relation.t2v.0000,../outside.mp4\n")
    capsys.readouterr()
    code = main(["run", "generator=folder", f"generator.path={theirs}", *small, "references=[frozen]", f"out={out}"])
    said = capsys.readouterr()
    assert code == 1
    assert "row 4" in said.err
    assert "0001.mp4" in said.err
    rows = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    mine = {r["case"]: r for r in rows if r["generator"] == "theirs"}
    assert mine["left_right.relation.t2v.0000"]["value"] == 1.0
    assert mine["left_right.relation.t2v.0001"]["value"] is None
    assert "0001.mp4" in mine["left_right.relation.t2v.0001"]["reason"]


def test_a_finished_run_says_that_there_is_nothing_to_do(tmp_path, capsys):
    words = ["run", "suite.probes=[relation]", "suite.modes=[t2v]", "references=[]", f"out={tmp_path}"]
    assert main(words) == 0
    before = (tmp_path / "manifest.json").read_bytes(), (tmp_path / "report.html").stat().st_mtime_ns
    capsys.readouterr()
    assert main(words) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert before == ((tmp_path / "manifest.json").read_bytes(), (tmp_path / "report.html").stat().st_mtime_ns)


def test_exported_cases_can_be_filled_and_scored(tmp_path, capsys):
    small = ["suite.probes=[motion]", "suite.count=2"]
    assert main(["cases", *small, f"out={tmp_path}"]) == 0
    lines = (tmp_path / "prompts.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 3
    assert (tmp_path / "conditioning").is_dir()
    assert (
        main(
            [
                "run",
                "generator=folder",
                f"generator.path={tmp_path}",
                *small,
                "references=[]",
                f"out={tmp_path / 'run'}",
            ]
        )
        == 1
    )
    assert "6 of 6 clips" in capsys.readouterr().out
