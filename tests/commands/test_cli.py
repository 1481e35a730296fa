import json
import subprocess
import sys
import time

import pytest

from sora_eval import registry
from sora_eval.commands.cli import COMMANDS, main


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
        (["run", "generator=folder"], "generator.path is missing: set generator.path=..."),
        (["run", "generator=folder", "generator.path=/no/such/folder"], "/no/such/folder: no such folder"),
        (
            ["run", "generator=violation", "generator.violation=vanish"],
            "unknown violation 'vanish': did you mean vanishes",
        ),
        (["run", "generator=control", "generator.control=frosen"], "unknown control 'frosen': did you mean frozen"),
        (["run", "suite.count=0"], "suite.count must be a whole number from 1 to 100000, got 0"),
        (["run", "suite.count=two"], "suite.count must be a whole number from 1 to 100000, got two"),
        (["run", "references=[frosen]"], "unknown control 'frosen': did you mean frozen"),
        (["run", "references=frozen"], "references must be a list of names, write references=[frozen], got frozen"),
        (["run", "suite.modes=t2v"], "suite.modes must be a list of names, write suite.modes=[t2v]"),
        (["run", "suite.modes=[]"], "suite.modes is empty: choose from t2v"),
        (["validate", "suite.modes=[]"], "suite.modes is empty: choose from t2v"),
        (["run", "suite.probes=relation"], "suite.probes must be a list of names, write suite.probes=[relation]"),
        (["run", "suite.probes=[1]"], "suite.probes must be a list of names"),
        (["run", "players=-1"], "players must be a whole number of at least 0, got -1"),
        (["run", "players=abc"], "players must be a whole number of at least 0, got abc"),
        (["run", "workers=0"], "workers must be a whole number of at least 1, got 0"),
        (["validate", "workers=-1"], "workers must be a whole number of at least 1, got -1"),
        (["run", "workers=abc"], "workers must be a whole number of at least 1, got abc"),
        (["run", "seed=true"], "seed must be a whole number of at least 0, got True"),
        (["run", "out="], "out is empty: name a folder"),
        (["cases", "out="], "out is empty: name a folder"),
        (["run", "out=/dev/full/x"], "out=/dev/full/x can't be a folder"),
        (["run", "out=/proc/nope"], "out=/proc/nope can't be a folder"),
        (["cases", "out=/dev/null"], "out=/dev/null can't be a folder"),
        (["render", "motion", "out=/dev/null"], "out=/dev/null can't be a folder"),
        (["run", "profile.height=0"], "profile.height must be a whole number from 8 to 8192, got 0"),
        (["run", "profile.height=abc"], "profile.height must be a whole number from 8 to 8192, got abc"),
        (["run", "profile.frames=0"], "profile.frames must be a whole number from 2 to 100000, got 0"),
        (["run", "profile.fps=0"], "profile.fps must be a number from 0.1 to 1000, got 0"),
        (["cases", "profile.fps=-8"], "profile.fps must be a number from 0.1 to 1000, got -8"),
        (["generate", "crf=abc"], "crf must be a whole number from 0 to 51, got abc"),
        (["render", "count=abc"], "count must be a whole number of at least 1, got abc"),
        (["render", "seed=-1"], "seed must be a whole number of at least 0, got -1"),
        (["render", "profile.height=0"], "profile.height must be a whole number from 8 to 8192, got 0"),
        (["run", "generator=orcale", "--cfg", "job"], "unknown generator 'orcale': did you mean oracle"),
        (["run", "generator=oracle,orcale", "-m"], "unknown generator 'orcale': did you mean oracle"),
        (["run", "sute=smoke", "--multirun"], "unknown option 'sute': did you mean suite"),
        (["run", "generator=folder", "generator.path=/nope", "-m"], "/nope: no such folder"),
        (["run", "generator=callable", "generator.target=m:oracle"], "'oracle' is the name of a reference"),
        (
            ["run", "generator=callable", "generator.target=m:f", "generator.name=frozen"],
            "'frozen' is the name of a reference",
        ),
        (
            ["run", "generator=callable", "generator.target=m:f", "generator.name=../x"],
            "generator.name='../x' is no file name",
        ),
        (
            ["run", "generator=callable", "generator.target=m:f", "generator.name=a/b"],
            "generator.name='a/b' is no file name",
        ),
        (["run", "suite=null"], "unknown suite 'null'"),
        (["run", "suite.count=1e11"], "suite.count must be a whole number from 1 to 100000, got 100000000000.0"),
        (["run", "suite.count=100000000000"], "suite.count must be a whole number from 1 to 100000"),
        (["run", "fidelity=frechet"], "fidelity must be a group of options, such as fidelity.metrics=..., got frechet"),
        (["run", "fidelity.weights=null"], "fidelity.weights must be a group of options {NAME: VALUE}, got None"),
        (["run", "generator=careless", "generator.rate=abc"], "generator.rate must be a number from 0 to 1, got abc"),
        (
            ["run", "generator=callable", "generator.target=m:f", "generator.max_frames=abc"],
            "max_frames must be a whole",
        ),
        (["run", "generator=reference", "generator.short_side=1e400"], "short_side must be a whole number from"),
        (["run", "--resolve"], "The --resolve flag can only be used in conjunction with --cfg"),
        (["run", "out=a\0b"], "embedded null byte"),
        (["run", "out=${nothing}"], r"for a literal ${ write \${"),
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
    # A job of a sweep that failed is recorded where its run would be; nothing else leaves anything.
    assert {p.name for p in tmp_path.iterdir()} <= ({"runs"} if "-m" in words else set())


@pytest.mark.parametrize("words", [["--help"], ["list", "generators"], ["list", "suites"]])
def test_help_and_lists_answer_within_a_second(words):
    start = time.perf_counter()
    out = subprocess.run(
        [sys.executable, "-m", "sora_eval.commands.cli", *words], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - start < 1.0
    assert len(out.stdout.splitlines()) > 2


def test_scoring_a_folder_needs_no_torch(tmp_path):
    small = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=1", "workers=1"]
    assert main(["generate", "generator=oracle", *small[:3], f"out={tmp_path / 'theirs'}"]) == 0
    words = ["run", "generator=folder", f"generator.path={tmp_path / 'theirs'}", *small, f"out={tmp_path / 'run'}"]
    # Fidelity needs its networks.
    words.append("fidelity.metrics=[]")
    script = f"import sys\nfrom sora_eval.commands.cli import main\nassert main({words!r}) == 0\nassert 'torch' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "run" / "report.html").exists()


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize(
    "name", ["run", "cases", "generate", "render", "validate", "encoders", "train", "sample", "eval-tasks"]
)
def test_help_of_a_command_says_what_every_option_means(name, capsys):
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: sora-eval {name}" in text
    assert "out:" in text
    assert "\ndefaults:" not in text


def test_every_entry_of_the_configuration_says_what_it_is():
    for group in registry.GROUPS.values():
        assert all(len(text) > 20 for text in registry.names(group).values()), group
    assert all(len(claim) > 20 for _, claim in registry.probe_names().values())


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
    again = main(["run", "generator=folder", f"generator.path={theirs}", *small, "references=[frozen]", f"out={out}"])
    said_again = capsys.readouterr()
    assert "nothing to do" in said_again.out
    assert (again, said_again.err.splitlines()) == (
        1,
        [line for line in said.err.splitlines() if line.startswith("problem")],
    )
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


def _theirs(folder, *more):
    assert main(["generate", "generator=oracle", "suite.modes=[t2v]", f"out={folder}", *more]) == 0
    return ["run", "generator=folder", f"generator.path={folder}", "suite.modes=[t2v]", "references=[]"]


def test_a_part_of_a_folder_can_be_scored_in_silence(tmp_path, capsys):
    words = _theirs(tmp_path / "theirs", "suite.probes=[relation,motion]", "suite.count=4")
    for clip in (tmp_path / "theirs" / "videos").glob("*.motion.*"):
        clip.unlink()
    assert main([*words, "suite.probes=[relation]", "suite.count=2", f"out={tmp_path / 'run'}"]) == 0
    assert "problem" not in capsys.readouterr().err


def test_videos_made_with_another_seed_are_not_scored(tmp_path, capsys):
    words = _theirs(tmp_path / "theirs", "suite.probes=[relation]", "seed=1")
    capsys.readouterr()
    assert main([*words, "suite.probes=[relation]", f"out={tmp_path / 'run'}"]) == 2
    assert "run with the same seed=" in capsys.readouterr().err
    assert main([*words, "suite.probes=[relation]", f"out={tmp_path / 'run'}", "seed=1"]) == 0


def test_a_video_of_another_shape_is_told_by_every_run(tmp_path, capsys):
    from sora_eval.types import Video
    from sora_eval.video import read_video, write_h264

    words = [
        *_theirs(tmp_path / "theirs", "suite.probes=[relation]"),
        "suite.probes=[relation]",
        f"out={tmp_path / 'run'}",
    ]
    clip = tmp_path / "theirs" / "videos" / "left_right.relation.t2v.0000.mp4"
    video = read_video(clip)
    write_h264(clip, Video(video.frames[:, :40], video.fps))
    said = []
    for _ in range(2):
        capsys.readouterr()
        assert main(words) == 1
        said.append([line for line in capsys.readouterr().err.splitlines() if line.startswith("problem")])
    assert said[0] == said[1]
    assert len(said[0]) == 1
    assert "another aspect ratio" in said[0][0]


def test_many_problems_are_counted(tmp_path, capsys):
    words = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=12"]
    assert main(["cases", *words, f"out={tmp_path / 'theirs'}"]) == 0
    folder = ["generator=folder", f"generator.path={tmp_path / 'theirs'}"]
    capsys.readouterr()
    assert main(["run", *folder, *words, "references=[]", f"out={tmp_path / 'run'}"]) == 1
    problems = [line for line in capsys.readouterr().err.splitlines() if line.startswith("problem")]
    assert len(problems) == 11
    assert problems[-1].startswith("problem: 2 more, listed in")


def test_changed_settings_write_the_report_again_and_a_broken_one_is_completed(tmp_path, capsys):
    words = ["run", "suite.probes=[relation]", "suite.modes=[t2v]", f"out={tmp_path}", "workers=1"]
    assert main([*words, "references=[frozen]"]) == 0
    assert main([*words, "references=[]"]) == 0
    assert "frozen" not in (tmp_path / "scores.jsonl").read_text()
    assert main([*words, "references=[]", "players=0"]) == 0
    assert "nothing to do" not in capsys.readouterr().out
    for name in ("summary.json", "report.md", "report.html", "manifest.json"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        assert main([*words, "references=[]", "players=0"]) == 0
        assert (tmp_path / name).read_bytes() == whole or name in ("manifest.json", "report.html")
    capsys.readouterr()
    assert main([*words, "references=[]", "players=0"]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_the_manifest_names_what_scores_depend_on(tmp_path):
    assert main(["run", "suite.probes=[relation]", "suite.modes=[t2v]", "references=[]", f"out={tmp_path}"]) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert {"tracker", "world", "libavcodec", "mujoco-core"} <= set(manifest["versions"])


def test_every_run_of_a_sweep_over_seeds_has_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=1", "references=[]"]
    assert main(["run", *small, "seed=1,2", "--multirun"]) == 0
    here = tmp_path / "runs" / "smoke-small+modes=t2v+probes=relation" / "oracle" / "default"
    assert {p.name for p in here.iterdir()} == {"1", "2"}


def test_generated_clips_are_of_the_rewritten_prompts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(
        "import numpy as np\n\n"
        "def generate(prompt, *, height, width, frames, fps, seed, conditioning):\n"
        "    with open('sent.txt', 'a') as file:\n        file.write(prompt + '\\n')\n"
        "    return np.zeros((frames, height, width, 3), np.uint8)\n"
    )
    words = ["generate", "generator=callable", "generator.target=model.py:generate", "suite.probes=[relation]"]
    words += ["suite.modes=[t2v]", "suite.count=1", "out=made"]
    assert main([*words, "prompts.expander=bundled"]) == 0
    (stored,) = (tmp_path / "made" / "prompts").glob("*.json")
    rewritten = json.loads(stored.read_text())
    assert rewritten["rewritten"] != rewritten["prompt"]
    assert main(words) == 0
    assert (tmp_path / "sent.txt").read_text().splitlines() == [rewritten["rewritten"], rewritten["prompt"]]


def test_generated_clips_are_made_again_for_another_generator_or_seed(tmp_path, capsys):
    words = ["generate", "suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=1", f"out={tmp_path / 'theirs'}"]
    clip = tmp_path / "theirs" / "videos" / "left_right.relation.t2v.0000.mp4"
    seen = []
    for more in (["generator=oracle"], ["generator=oracle"], ["generator=control"], ["generator=control", "seed=1"]):
        assert main([*words, *more]) == 0
        seen.append((clip.stat().st_mtime_ns, clip.read_bytes()))
    assert seen[0] == seen[1]
    assert len({data for _, data in seen}) == 3
    (tmp_path / "theirs" / "generate.json").unlink()
    assert main([*words, "generator=oracle"]) == 2
    assert "holds clips that sora-eval generate didn't make" in capsys.readouterr().err
    assert clip.read_bytes() == seen[3][1]


def test_generate_fails_only_when_nothing_was_made(tmp_path):
    broken = ["generate", "generator=violation", "generator.violation=bite_heals", "suite.modes=[t2v]", "suite.count=1"]
    assert main([*broken, "suite.probes=[bite,motion]", f"out={tmp_path / 'one'}"]) == 0
    assert main([*broken, "suite.probes=[motion]", f"out={tmp_path / 'none'}"]) == 1


def test_a_fault_of_the_system_is_one_line(monkeypatch, capsys):
    def full(args):
        raise OSError(28, "No space left on device", "scores.jsonl")

    monkeypatch.setitem(COMMANDS, "run", full)
    assert main(["run"]) == 2
    assert capsys.readouterr().err == "sora-eval: [Errno 28] No space left on device: 'scores.jsonl'\n"
