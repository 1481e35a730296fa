"""A user's function gets what the case says, and what it does wrong stays with its case."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sora_eval.errors import ConfigError
from sora_eval.generator.base import Generator
from sora_eval.generator.callable import PythonCallable
from sora_eval.types import Case, Failure, Frames, Video

CASE = Case(
    id="a.0001",
    suite="suite",
    probe="probe",
    mode="v2v",
    prompt="a ball",
    size=(6, 8),
    fps=12.0,
    frames=3,
    given=2,
    seed=7,
    scene={},
    expect={},
    cluster="a",
)

SOURCE = """
import numpy as np
from sora_eval.types import Video

buffer = np.zeros((3, 6, 8, 3), np.uint8)

def echo(prompt, *, height, width, frames, fps, seed, conditioning):
    assert (prompt, fps) == ("a ball", 12.0)
    clip = np.full((frames, height, width, 3), seed, np.uint8)
    if conditioning is not None:
        clip[: len(conditioning)] = conditioning
        conditioning[:] = 0
    return clip

def video(prompt, **rest):
    return Video(np.zeros((2, 4, 4, 3), np.uint8), 5.0)

def reused(prompt, *, seed, **rest):
    buffer[:] = seed
    return buffer

def moody(prompt, *, seed, **rest):
    if seed == 1:
        raise RuntimeError("out of\\nmemory")
    return np.zeros((3, 6, 8, 3), np.uint8)

def floats(prompt, **rest):
    return np.zeros((3, 6, 8, 3), np.float32)

def channels_first(prompt, **rest):
    return np.zeros((3, 3, 6, 8), np.uint8)

def nothing(prompt, **rest):
    return None

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"user_model_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def given_frames(case: Case) -> Frames:
    return np.full((case.given, *case.size, 3), 99, np.uint8)


def test_the_function_gets_the_case_and_the_conditioning(module: str) -> None:
    made: list[Frames] = []

    def conditioning(case: Case) -> Frames:
        made.append(given_frames(case))
        return made[-1]

    model = PythonCallable(f"{module}:echo", conditioning=conditioning)
    assert isinstance(model, Generator)
    assert (model.name, model.kind) == ("echo", "model")
    (video,) = model.generate([CASE])
    assert isinstance(video, Video)
    assert video.fps == 12.0
    assert video.frames[:, 0, 0, 0].tolist() == [99, 99, 7]
    assert made[0].min() == 99  # the function scribbled on its own copy


def test_a_case_without_given_frames_asks_for_none(module: str) -> None:
    def conditioning(case: Case) -> Frames:
        raise AssertionError("not needed")

    model = PythonCallable(f"{module}:echo", conditioning=conditioning)
    (video,) = model.generate([replace(CASE, mode="t2v", given=0)])
    assert isinstance(video, Video)
    assert np.all(video.frames == 7)


def test_a_video_keeps_its_own_rate_and_a_reused_buffer_is_copied(module: str) -> None:
    (video,) = PythonCallable(f"{module}:video", conditioning=given_frames).generate([CASE])
    assert isinstance(video, Video)
    assert (video.fps, len(video)) == (5.0, 2)
    model = PythonCallable(f"{module}:reused", conditioning=given_frames)
    first, second = model.generate([CASE, replace(CASE, seed=8)])
    assert isinstance(first, Video)
    assert isinstance(second, Video)
    assert (first.frames[0, 0, 0, 0], second.frames[0, 0, 0, 0]) == (7, 8)


def test_an_exception_is_its_case_s_failure_and_the_others_go_on(module: str) -> None:
    model = PythonCallable(f"{module}:moody", conditioning=given_frames)
    first, second, third = model.generate([CASE, replace(CASE, seed=1), CASE])
    assert second == Failure(f"{module}:moody raised RuntimeError: out of memory")
    assert isinstance(first, Video)
    assert isinstance(third, Video)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("floats", "returned float32 [3, 6, 8, 3], uint8 [T, H, W, 3] is needed"),
        ("channels_first", "returned uint8 [3, 3, 6, 8], uint8 [T, H, W, 3] is needed"),
        ("nothing", "returned object [], uint8 [T, H, W, 3] is needed"),
    ],
)
def test_a_wrong_answer_says_what_was_needed(module: str, function: str, words: str) -> None:
    (failure,) = PythonCallable(f"{module}:{function}", conditioning=given_frames).generate([CASE])
    assert failure == Failure(f"{module}:{function} {words}")


def test_what_it_can_t_do_is_not_asked(module: str) -> None:
    model = PythonCallable(f"{module}:echo", modes=["t2v"], max_frames=2)
    refused, long = model.generate([CASE, replace(CASE, mode="t2v", given=0)])
    assert refused == Failure("the generator has no mode v2v")
    assert long == Failure("the generator makes at most 2 frames, 3 were asked")


def test_a_bad_target_is_a_configuration_error(module: str, tmp_path: Path) -> None:
    for target in ("module.function", "module:", ":f", "module:a-b"):
        with pytest.raises(ConfigError, match=r"write package.module:function"):
            PythonCallable(target)
    (tmp_path / f"{module}_broken.py").write_text("raise OSError('no GPU')")
    for target, words in {
        f"{module}_missing:echo": "ModuleNotFoundError",
        f"{module}:absent": "AttributeError",
        f"{module}:number": "a int can't be called",
        f"{module}_broken:f": "OSError: no GPU",
    }.items():
        model = PythonCallable(target)  # nothing is imported yet
        with pytest.raises(ConfigError) as caught:
            list(model.generate([CASE]))
        assert target in str(caught.value)
        assert words in str(caught.value)


def test_the_fingerprint_follows_target_version_and_source(module: str, tmp_path: Path) -> None:
    prints = [
        PythonCallable(f"{module}:echo").fingerprint(CASE),
        PythonCallable(f"{module}:echo", name="other").fingerprint(CASE),
        PythonCallable(f"{module}:video").fingerprint(CASE),
        PythonCallable(f"{module}:echo", version="checkpoint 2").fingerprint(CASE),
    ]
    (tmp_path / f"{module}.py").write_text(SOURCE + "\nnumber = 4\n")
    prints.append(PythonCallable(f"{module}:echo").fingerprint(CASE))
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


def test_a_module_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_model_here.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    (video,) = PythonCallable("my_model_here:video", conditioning=given_frames).generate([CASE])
    assert isinstance(video, Video)
