"""Values of the command line that are text reach the configuration as they were typed."""

import pytest

from sora_eval.commands.cli import main
from sora_eval.commands.overrides import as_typed, literal
from sora_eval.config import parse


def parsed(name, words):
    return parse(name, words)[0]


@pytest.mark.parametrize(
    "prompt",
    [
        *("a, b: c; d!", "it's (small) {x} [y]", 'say "hi" \\', "a=b", "红色的球", 'a\\"b', "'so' she said"),
        *("It costs ${5}", "${", r"\${x}", r"\\${x} \n", "null", "1e3"),
    ],
)
def test_a_prompt_is_text(prompt):
    assert parsed("sample", [as_typed(f"prompt={prompt}")]).prompt == prompt


def test_a_prompt_may_be_quoted():
    assert parsed("sample", [as_typed('prompt="quoted"')]).prompt == "quoted"


@pytest.mark.parametrize(
    "name",
    [
        *("20261128_020405", "1e3", "3.10", "007", "true", "lr=1e-4", "epoch=3-step=100.safetensors", "my run (1)"),
        *(
            "ergebnis-ü",
            "a[1]",
            "{x}",
            "[x]",
            "a,b",
            "exp:1",
            "~/x",
            " x ",
            "x'y",
            'x"y',
            "C:\\x\\",
            "a#b",
            "x${y",
            "-1",
        ),
    ],
)
@pytest.mark.parametrize("key", ["out", "generator.path", "generator.checkpoint", "+fidelity.weights.i3d"])
def test_paths_and_names_are_taken_as_typed(key, name):
    generator = "reference" if key == "generator.checkpoint" else "folder"
    more = [] if key == "generator.path" or generator == "reference" else ["generator.path=x"]
    value = parsed("run", [f"generator={generator}", *more, as_typed(f"{key}={name}")]).values()
    for part in key.lstrip("+").split("."):
        value = value[part]
    assert value == name


def test_interpolations_and_null_stay_hydras():
    config = parsed("run", [as_typed("out=runs/${seed}"), "seed=7", as_typed("fidelity.video_encoder=i3d")])
    assert config.out == "runs/7"
    assert (
        parsed("run", ["generator=folder", "generator.path=x", as_typed("generator.name=null")]).generator["name"]
        is None
    )


def test_in_a_sweep_commas_separate_and_each_value_is_text():
    assert as_typed("generator.checkpoint=base,4x,epoch=2", sweep=True) == 'generator.checkpoint=base,4x,"epoch=2"'
    assert as_typed("generator.checkpoint='a,b',1e3", sweep=True) == "generator.checkpoint='a,b',\"1e3\""
    for word in ("generator.checkpoint=glob(*)", "seed=0,1", "--multirun", "checkpoints=[a,b]"):
        assert as_typed(word, sweep=True) == word


def test_a_text_with_an_escaped_interpolation_is_read_as_typed():
    assert parsed("sample", [as_typed("prompt=${5} and ${six}")]).prompt == "${5} and ${six}"
    assert literal("no interpolation \\ { }") == "no interpolation \\ { }"


def test_a_run_goes_where_it_was_said_and_without_fidelity_where_it_is_null(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=1", "references=[]", "players=0"]
    assert main(["run", *words, "fidelity=null", "out=20261128_020405"]) == 0
    assert (tmp_path / "20261128_020405" / "report.html").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["20261128_020405"]
