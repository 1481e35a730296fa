"""Checkpoints as files: the step of one, its time, and whether it is whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sora_eval.training.checkpoint_files import fault, signature, step_in_metadata, step_in_name, training_point


def saved(path: Path, metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.arange(20.0), "bias": torch.zeros(3)}, path, metadata)
    return path


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("step_2000.safetensors", 2000),
        ("a/iter-10k.pt", 10_000),
        ("epoch=3-step=500.ckpt", 500),
        ("model-000100.safetensors", 100),
        ("checkpoint-1m", 1_000_000),
        ("best.safetensors", None),
    ],
)
def test_steps_are_read_from_names(name: str, step: float | None) -> None:
    assert step_in_name(name) == step


@pytest.mark.parametrize(
    ("metadata", "step"),
    [
        ({"step": "700"}, 700),
        ({"format": "pt", "ss_steps": "1e3"}, 1000),
        ({"step": "many"}, None),
        ({"step": "-1"}, None),
        ({"step": "nan"}, None),
        (None, None),
    ],
)
def test_steps_are_read_from_metadata(tmp_path: Path, metadata: dict[str, str] | None, step: float | None) -> None:
    assert step_in_metadata(saved(tmp_path / "a.safetensors", metadata)) == step


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 40, (2).to_bytes(8, "little") + b"[]", (9).to_bytes(8, "little") + b"{"]
)
def test_what_is_no_safetensors_file_has_no_step_and_a_fault(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    assert step_in_metadata(path) is None
    assert fault(path)


def test_the_training_point_prefers_metadata_to_the_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "v2.safetensors", {"step": "700"})
    os.utime(path, (100, 100))
    assert training_point(path) == {"step": 700, "written": 100}
    assert training_point(saved(tmp_path / "last.safetensors")).keys() == {"written"}
    assert training_point(tmp_path / "gone") == {}


def test_every_cut_of_a_file_is_a_fault(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.safetensors").read_bytes()
    torch.save({"weight": torch.arange(20.0)}, tmp_path / "a.pt")
    assert fault(tmp_path / "a.safetensors") == fault(tmp_path / "a.pt") == ""
    for name in ("a.safetensors", "a.pt"):
        whole = (tmp_path / name).read_bytes()
        for length in (0, 4, 7, 20, len(whole) // 2, len(whole) - 1):
            if name == "a.pt" and 0 < length < 4:
                continue
            (tmp_path / name).write_bytes(whole[:length])
            assert fault(tmp_path / name), (name, length)
        (tmp_path / name).write_bytes(whole)
        assert fault(tmp_path / name) == ""
    (tmp_path / "a.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes() + b"x")
    assert "bytes are there" in fault(tmp_path / "a.safetensors")


def test_a_folder_is_as_whole_as_its_files(tmp_path: Path) -> None:
    file = saved(tmp_path / "checkpoint-5" / "lora" / "weights.safetensors")
    (file.parent / "notes.txt").write_text("any bytes")
    assert fault(tmp_path / "checkpoint-5") == ""
    before = signature(tmp_path / "checkpoint-5")
    assert before is not None and len(before) == 2
    file.write_bytes(file.read_bytes()[:-1])
    assert fault(tmp_path / "checkpoint-5").startswith("lora/weights.safetensors: ")
    assert signature(tmp_path / "checkpoint-5") != before
    assert signature(tmp_path / "gone") is None


def test_a_file_that_is_written_again_has_another_signature(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors")
    before = signature(path)
    assert signature(path) == before
    os.utime(path, ns=(0, 1))
    assert signature(path) not in (before, None)
