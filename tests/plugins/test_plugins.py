"""An installed package and a folder bring generators, trackers, probes, families and metrics."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sora_eval.tracking.base import HUE_VERSION

SOURCE = Path(__file__).parent / "tiny_plugin"
SMALL = ("suite.modes=[t2v]", "suite.count=2", "references=[oracle]", "workers=2", "players=0")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The package as `pip install --no-deps --target` lays it down."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    shutil.copy(SOURCE / "tiny_plugin.py", folder)
    info = folder / "tiny_plugin-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())])
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    return folder


def sora_eval(*words, path=None, cwd=None):
    env = {**os.environ, "PYTHONPATH": str(path or ""), "OMP_NUM_THREADS": "1"}
    env.pop("SORA_EVAL_INCLUDE", None)
    command = [sys.executable, "-m", "sora_eval", *map(str, words)]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)


def scores(folder):
    return [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("generators", "tiny The true clip, darker. (tiny-plugin 0.1)"),
        ("trackers", "tiny The world's boxes, labelled. (tiny-plugin 0.1)"),
        ("probes", "the object that the prompt names is there (tiny-plugin 0.1)"),
        ("families", "One object alone. (tiny-plugin 0.1)"),
        ("metrics", "A full-reference metric: a number for each clip"),
    ],
)
def test_list_names_plug_ins_and_their_package(site, kind, line):
    listed = sora_eval("list", kind, path=site)
    assert listed.returncode == 0
    assert line in re.sub(" +", " ", listed.stdout)
    assert "tiny-plugin" not in sora_eval("list", kind).stdout


def test_a_faulty_plug_in_is_a_line_and_an_error_only_if_chosen(site, tmp_path):
    lines = sora_eval("list", "generators", path=site).stderr.splitlines()
    assert sorted(lines) == [
        "sora-eval: warning: plug-in tiny-plugin 0.1: generator broken can't be imported "
        "(ModuleNotFoundError: No module named 'tiny_plugin_that_is_not_there')",
        "sora-eval: warning: plug-in tiny-plugin 0.1: generator oracle: the name is sora-eval's own, the plug-in is not used",
    ]
    chosen = sora_eval("run", "generator=broken", path=site, cwd=tmp_path)
    assert chosen.returncode == 2
    assert "generator broken can't be imported" in chosen.stderr.splitlines()[-1]
    assert "did you mean tiny" in sora_eval("run", "generator=tini", path=site, cwd=tmp_path).stderr
    assert "'tiny'" in sora_eval("run", "generator=tiny", cwd=tmp_path).stderr


@pytest.mark.slow
def test_a_run_of_plug_ins(site, tmp_path):
    words = ("generator=tiny", "generator.light=0.8", "tracker=tiny", "suite.probes=[tiny,relation]", *SMALL)
    done = sora_eval("run", *words, "fidelity.metrics=[tiny,tiny_shift]", "out=run", path=site, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {(row["generator"], row["probe"]) for row in scores(tmp_path / "run")} == {
        (generator, probe) for generator in ("tiny", "oracle") for probe in ("tiny", "relation")
    }
    assert all(row["value"] == 1 for row in scores(tmp_path / "run"))
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["config"]["generator"] == {
        "_target_": "tiny_plugin.TinyGenerator",
        "light": 0.8,
        "name": "tiny",
        "checkpoint": None,
    }
    assert manifest["config"]["tracker"] == {"_target_": "tiny_plugin.TinyTracker", "least": 2}
    assert manifest["versions"]["tracker"] == f"tiny 3 least2 hue {HUE_VERSION}"
    measures = json.loads((tmp_path / "run" / "fidelity.json").read_text())
    assert "tiny (levels)" in json.dumps(measures)
    assert "tiny_shift" in json.dumps(measures)


@pytest.mark.slow
def test_runs_of_different_trackers_are_not_compared(site, tmp_path):
    for tracker in ("world", "tiny"):
        words = ("generator=tiny", "suite.probes=[relation]", *SMALL, "fidelity=null", "tracking=false")
        done = sora_eval("run", *words, f"tracker={tracker}", f"out={tracker}", path=site, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    board = sora_eval("leaderboard", "world", "tiny", "--out", "board", cwd=tmp_path)
    assert board.returncode == 2
    assert f"tracker: world {HUE_VERSION} in world; tiny 3 least2 hue {HUE_VERSION} in tiny" in board.stderr
    saved = sora_eval("baseline", "save", "tiny", "--out", "base", cwd=tmp_path)
    assert saved.returncode == 0, saved.stderr
    gate = ("gate", "--baseline", "base", "--sequential", "--out", "again", "generator=tiny")
    told = f"tracker: tiny 3 least2 hue {HUE_VERSION} in the baseline, {HUE_VERSION} here"
    assert told in sora_eval(*gate, path=site, cwd=tmp_path).stderr
    assert sora_eval(*gate, "tracker=tiny", path=site, cwd=tmp_path).returncode in (0, 3)


@pytest.mark.slow
def test_a_folder_is_included(site, tmp_path):
    folder = tmp_path / "mine"
    (folder / "conf" / "tracker").mkdir(parents=True)
    (folder / "conf" / "generator").mkdir()
    (folder / "conf" / "tracker" / "own.yaml").write_text("# Own.\n_target_: my_module.Own\nleast: 5\n")
    (folder / "conf" / "generator" / "oracle.yaml").write_text("# Taken.\n_target_: my_module.Own\n")
    (folder / "my_module.py").write_text((SOURCE / "tiny_plugin.py").read_text() + "\nOwn = TinyTracker\n")
    module = "import my_module\ngenerators = {'dim': my_module.TinyGenerator}\nprobes = {'tiny': my_module.TinyProbe}\n"
    (folder / "sora_eval_plugin.py").write_text(module + "families = {'tiny': my_module.FAMILY}\n")
    words = ("--include", folder, "generator=dim", "tracker=own", "suite.suites=[tiny]", *SMALL, "fidelity=null")
    for more in ((), ("--multirun", "seed=1,2")):
        done = sora_eval("run", *words, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    runs = sorted(tmp_path.glob("runs/**/scores.jsonl"))
    assert [run.parent.name for run in runs] == ["0", "1", "2"]
    assert "tracker=Own-" in runs[0].relative_to(tmp_path).parts[1]
    assert all(row["value"] == 1 for run in runs for row in scores(run.parent))
    assert f"--include {folder}" in json.loads((runs[0].parent / "manifest.json").read_text())["command"]
    rendered = sora_eval("render", "tiny", "count=1", "--include", folder, cwd=tmp_path)
    assert rendered.returncode == 0, rendered.stderr
    assert len(list((tmp_path / "clips" / "tiny").glob("*.mkv"))) == 1
    listed = sora_eval("list", "trackers", f"--include={folder}")
    assert "own Own." in re.sub(" +", " ", listed.stdout)
    assert "oracle.yaml: the name is sora-eval's own" in sora_eval("list", "generators", "--include", folder).stderr
    assert "no such folder" in sora_eval("list", "--include", folder / "nothing").stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", [("run", "+sweep=checkpoints"), ("run", "+sweep=lights"), ("watch", "once=true")])
def test_checkpoints_of_a_plug_in(site, tmp_path, command):
    folder = tmp_path / "mine"
    (folder / "conf" / "sweep").mkdir(parents=True)
    lights = "# @package _global_\n# Lights.\ncheckpoints: ???\n"
    lights += "hydra: {sweeper: {params: {generator.checkpoint: '${files:${checkpoints}}'}}}\n"
    (folder / "conf" / "sweep" / "lights.yaml").write_text(lights)
    (tmp_path / "ckpts").mkdir()
    for step, light in ((9, 0.7), (10, 0.8)):
        (tmp_path / "ckpts" / f"step-{step}.txt").write_text(str(light))
    small = ("suite.probes=[relation]", *SMALL, "fidelity=null", "tracking=false")
    words = ("--include", folder, "generator=tiny", "checkpoints=ckpts/*.txt", *small)
    more = ("poll_s=0.01",) if command[0] == "watch" else ()
    done = sora_eval(*command, *words, *more, path=site, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = sorted(tmp_path.glob("runs/*/tiny/*/0/manifest.json"))
    assert [json.loads(run.read_text())["generators"][0]["step"] for run in runs] == [10, 9]
    (curves,) = tmp_path.glob("runs/*/*/curves.md")
    assert "Scores over training step" in curves.read_text()
    missing = sora_eval(*command, *words[:3], *small, path=site, cwd=tmp_path)
    assert missing.returncode == 2 and "checkpoints is missing: set checkpoints=..." in missing.stderr


def test_help_reads_no_entry_points():
    script = "import sys, sora_eval.commands.cli as cli\ncli.main(['--help'])\nassert 'importlib.metadata' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_an_included_folder_whose_plug_ins_would_not_be_found_is_refused(site, tmp_path):
    (tmp_path / "a:b").mkdir()
    assert "separates folders" in sora_eval("list", "--include", tmp_path / "a:b").stderr
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "sora_eval_plugin.py").write_text("generators = {}\n")
    other = sora_eval("list", "generators", "--include", tmp_path / "one", path=tmp_path / "two")
    assert "comes before it" in other.stderr
    assert other.returncode == 2
