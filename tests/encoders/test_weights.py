"""Weights: where they are looked for, that wrong ones are refused, and that nothing runs code."""

from __future__ import annotations

import hashlib
import pickle
import shlex
import urllib.request
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from safetensors.torch import save_file

from sora_eval.commands.cli import main
from sora_eval.encoders import clip, perceptual, state_dicts, video, weights
from sora_eval.encoders.names import IMAGE_DISTANCES, TEXT_IMAGE_ENCODERS, VIDEO_ENCODERS
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import ConfigError, SoraEvalError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every cache lie in an empty folder."""
    for name in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", weights.FOLDER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_places_in_their_order(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = home / "huggingface" / "hub" / "models--timm--vit_base_patch32_clip_224.openai" / "snapshots" / "abc"
    expected = [put(hub / "open_clip_model.safetensors")]
    assert weights.locate("clip-b-32") == expected[-1]
    expected.append(put(home / "torch" / "hub" / "checkpoints" / "open_clip_model.safetensors"))
    assert weights.locate("clip-b-32") == expected[-1]
    expected.append(put(home / "sora-eval" / "clip-b-32" / "open_clip_model.safetensors"))
    assert weights.locate("clip-b-32") == expected[-1]
    monkeypatch.setenv(weights.FOLDER, str(tmp_path / "mine"))
    expected.append(put(tmp_path / "mine" / "open_clip_model.safetensors"))
    assert weights.locate("clip-b-32") == expected[-1]
    monkeypatch.setenv("SORA_EVAL_WEIGHTS_CLIP_B_32", str(put(tmp_path / "this.safetensors")))
    assert weights.locate("clip-b-32") == tmp_path / "this.safetensors"
    assert weights.locate("clip-b-32", str(expected[0])) == expected[0]


def test_what_is_absent_says_what_brings_it() -> None:
    with pytest.raises(AbsentWeightsError, match="sora-eval weights fetch i3d brings 49 MB"):
        weights.locate("i3d")
    with pytest.raises(ConfigError, match="there is no file"):
        weights.locate("i3d", "nowhere.pt")
    with pytest.raises(ConfigError, match="did you mean i3d"):
        weights.locate("i3")


def test_a_wrong_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "alex.pth")
    with pytest.raises(ConfigError, match=r"is not alexnet-owt-7be5be79\.pth: its SHA-256 is"):
        weights.verify("lpips-alex", path)
    digest = hashlib.sha256(b"weights").hexdigest()
    right = tuple(replace(e, sha256=digest[:8]) for e in weights.ENTRIES)
    monkeypatch.setattr(weights, "ENTRIES", right)
    assert weights.verify("lpips-alex", path) == digest


def test_fetching_brings_a_file_once_and_keeps_no_wrong_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def answer(url: str, timeout: float) -> object:
        calls.append(url)
        return put(home / "remote", b"other" if "alexnet" in url else b"weights").open("rb")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    path = weights.fetch("i3d")
    assert path.read_bytes() == b"weights"
    assert weights.fetch("i3d") == weights.locate("i3d") == path
    assert len(calls) == 1
    with pytest.raises(ConfigError, match="is not alexnet"):
        weights.fetch("lpips-alex")
    assert not list((home / "sora-eval" / "lpips-alex").iterdir())


def test_without_a_network_fetching_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(url: str, timeout: float) -> object:
        raise OSError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    with pytest.raises(ConfigError, match=r"i3d can't be fetched from .*: no route"):
        weights.fetch("i3d")


def test_only_plain_tensors_are_read(tmp_path: Path) -> None:
    state = {"a": torch.arange(3.0)}
    save_file(state, tmp_path / "a.safetensors")
    torch.save({"model": state}, tmp_path / "a.pt")
    assert torch.equal(state_dicts.tensors(state_dicts.read(tmp_path / "a.safetensors"))["a"], state["a"])
    assert torch.equal(state_dicts.tensors(state_dicts.read(tmp_path / "a.pt"), "module", "model")["a"], state["a"])
    with pytest.raises(ConfigError, match="no state dict was found: looked for module"):
        state_dicts.tensors(state_dicts.read(tmp_path / "a.pt"), "module")

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("this must never be run",)

    put(tmp_path / "trap.pt", pickle.dumps(Trap()))
    torch.save(Trap(), tmp_path / "trap2.pt")
    for name in ("trap.pt", "trap2.pt"):
        with pytest.raises(ConfigError, match="only state dicts are read"):
            state_dicts.read(tmp_path / name)
    with ZipFile(tmp_path / "program.pt", "w") as archive:
        archive.writestr("i3d/code/__torch__.py", "print('this must never be run')")
    with pytest.raises(ConfigError, match="TorchScript, which is a program"):
        state_dicts.read(tmp_path / "program.pt")
    for content in (b"", (tmp_path / "a.safetensors").read_bytes()[:40]):
        with pytest.raises(ConfigError, match=r"is empty|is cut short"):
            state_dicts.read(put(tmp_path / "cut.safetensors", content))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_the_tensors_of_torchscript_are_saved_by_the_command_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = torch.nn.Sequential(torch.nn.Conv3d(3, 2, 1), torch.nn.BatchNorm3d(2)).eval()
    path = tmp_path / "a b" / "i3d_torchscript.pt"
    path.parent.mkdir()
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 2, 2, 2)), path)
    with pytest.raises(
        ConfigError, match=r"if you trust it, this saves its tensors in i3d_torchscript\.safetensors: "
    ) as told:
        state_dicts.read(path)
    assert "\n" not in str(told.value)
    python, option, program, *names = shlex.split(str(told.value).partition("i3d_torchscript.safetensors: ")[2])
    assert (python, option) == ("python", "-c")
    monkeypatch.setattr("sys.argv", ["-c", *names])
    exec(program, {})
    state = state_dicts.read(path.with_suffix(".safetensors"))
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())


def test_the_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    told = capsys.readouterr().out
    of_encoders = [line.split() for line in told.splitlines()[::2] if not line.startswith("natural")]
    assert sum(words[1] == "absent" for words in of_encoders) == len(weights.ENTRIES)
    assert [line.split()[:2] for line in told.splitlines()[:6:2]] == [[name, "here"] for name in weights.ENCODERS]
    for action in ("path", "fetch"):
        assert main(["weights", action, "world-clip"]) == 0
        assert capsys.readouterr().out.strip() == str(weights.bundled("world-clip"))
    path = put(home / "sora-eval" / "i3d" / "i3d_pretrained_400.pt")
    assert main(["weights", "path", "i3d"]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    assert main(["weights", "verify", "i3d"]) == 0
    assert "no hash is published" in capsys.readouterr().out
    put(home / "torch" / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth")
    assert main(["weights", "verify"]) == 1
    assert "is not alexnet" in capsys.readouterr().err
    assert main(["weights", "path", "lpips-vgg"]) == 2
    assert main(["weights", "fetch"]) == 2


def test_a_file_that_is_named_must_be_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / "sora-eval" / "i3d" / "i3d_pretrained_400.pt")
    monkeypatch.setenv("SORA_EVAL_WEIGHTS_I3D", str(home / "gone.pt"))
    with pytest.raises(ConfigError, match=r"SORA_EVAL_WEIGHTS_I3D names .*gone\.pt, and there is no such file"):
        weights.locate("i3d")


def test_files_are_given_by_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("i3d", "world-clip"):
        monkeypatch.setenv(weights.variable(name), "")
    mine = put(home / "mine.pt")
    weights.use({"i3d": str(mine), "world-clip": str(mine)})
    assert weights.locate("i3d") == weights.bundled("world-clip") == mine
    with pytest.raises(ConfigError, match="did you mean i3d"):
        weights.use({"i3e": str(mine)})
    with pytest.raises(ConfigError, match="there is no such file"):
        weights.use({"i3d": str(home / "gone.pt")})


def test_a_damaged_bundled_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(weights.bundled("lpips-world").read_bytes())
    content[-1] ^= 1
    (tmp_path / "lpips-world.safetensors").write_bytes(content)
    assert main(["weights", "verify", "lpips-world"]) == 0
    assert "whole" in capsys.readouterr().out
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    assert main(["weights", "verify", "lpips-world"]) == 1
    assert "was changed after it was written" in capsys.readouterr().err


def test_the_names_that_need_no_packages_are_those_of_the_encoders() -> None:
    assert tuple(video.ENCODERS) == VIDEO_ENCODERS
    loads = {clip.load: TEXT_IMAGE_ENCODERS, perceptual.load: IMAGE_DISTANCES}
    for load, name in ((load, name) for load, names in loads.items() for name in names):
        with pytest.raises(SoraEvalError, match=r"^(?!unknown)"):
            load(name, "pyproject.toml")
