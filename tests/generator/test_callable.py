"""A user's function gets what the case says, and what it does wrong stays with its case."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sora_eval.errors import ConfigError
from sora_eval.generator.base import Generator, beyond_capabilities
from sora_eval.generator.callable import PythonCallable
from sora_eval.generator.function_hash import function_hash
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
import asyncio
from pathlib import Path
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

def ragged(prompt, **rest):
    return [[1, 2], [3]]

def nothing(prompt, **rest):
    return None

def leaves(prompt, **rest):
    raise SystemExit(0)

def cancelled(prompt, **rest):
    raise asyncio.CancelledError()

def stopped(prompt, **rest):
    raise KeyboardInterrupt

def loads(prompt, *, height, width, frames, fps, seed, conditioning, checkpoint="default", steps=1, **rest):
    value = 1 if checkpoint == "default" else len(Path(checkpoint).read_text())
    return np.full((frames, height, width, 3), value * steps, np.uint8)

def needs(prompt, *, checkpoint, **rest):
    return np.full((1, 1, 1, 3), 7 if checkpoint is None else 8, np.uint8)

def narrow(prompt, *, height, width, frames, fps, seed, conditioning):
    return np.zeros((frames, height, width, 3), np.uint8)

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
    assert second == Failure(f"{module}:moody raised RuntimeError: out of memory", technical=True)
    assert isinstance(first, Video)
    assert isinstance(third, Video)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("floats", "returned float32 [3, 6, 8, 3], uint8 [T, H, W, 3] is needed"),
        ("channels_first", "returned uint8 [3, 3, 6, 8], uint8 [T, H, W, 3] is needed"),
        ("ragged", "returned a list that is no array (ValueError: "),
    ],
)
def test_a_wrong_answer_says_what_was_needed(module: str, function: str, words: str) -> None:
    (failure,) = PythonCallable(f"{module}:{function}", conditioning=given_frames).generate([CASE])
    assert isinstance(failure, Failure)
    assert failure.reason.startswith(f"{module}:{function} {words}") and not failure.technical


def test_what_it_can_t_do_is_not_asked(module: str) -> None:
    model = PythonCallable(f"{module}:echo", modes=["t2v"], max_frames=2)
    refused, long = model.generate([CASE, replace(CASE, mode="t2v", given=0)])
    assert refused == Failure("the generator has no mode v2v")
    assert long == Failure("the generator makes at most 2 frames, 3 were requested")


def test_cases_beyond_its_capabilities_are_counted_with_the_remedy(module: str) -> None:
    model = PythonCallable(f"{module}:echo", modes=["t2v"], max_frames=2)
    text = replace(CASE, id="t", mode="t2v", given=0, frames=2)
    image, long = replace(CASE, id="i", mode="i2v", given=1), replace(text, id="l", frames=3)
    assert beyond_capabilities(model, [text, text]) == []
    assert beyond_capabilities(model, [text, text, CASE, image]) == [
        "echo: 2 of 3 cases are of modes that it lacks (v2v 1, i2v 1) and score 0; 'suite.modes=[t2v]' leaves them out"
    ]
    (alone,) = beyond_capabilities(model, [CASE])
    assert alone.endswith("choose a suite of its modes")
    (longer,) = beyond_capabilities(model, [text, long])
    assert longer.startswith("echo: 1 of 2 cases are longer than the 2 frames that it makes")


def test_a_file_with_a_dataclass_and_postponed_annotations_is_imported(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass A:\n    x: int = 1\n"
    (tmp_path / "m.py").write_text(f"{text}\ndef generate(prompt, **rest):\n    return None\n")
    assert PythonCallable(f"{tmp_path / 'm.py'}:generate").name == "generate"


def test_a_function_that_uses_a_class_of_a_notebook_has_a_hash_of_its_own_each_time() -> None:
    def made(module: str) -> Callable[..., Any]:
        local = type("Net", (), {"__module__": module})
        return lambda prompt, **rest: local

    assert function_hash(made("package")) == function_hash(made("package"))
    assert function_hash(made("__main__")) != function_hash(made("__main__"))


def test_videos_of_one_buffer_are_copied() -> None:
    buffer = np.zeros((3, 6, 8, 3), np.uint8)

    def reusing(prompt: str, *, seed: int, **rest: Any) -> Video:
        buffer[:] = seed
        return Video(buffer, 8.0)

    text = replace(CASE, mode="t2v", given=0)
    clips = list(PythonCallable(reusing).generate([replace(text, seed=1), replace(text, seed=2)]))
    assert [int(clip.frames[0, 0, 0, 0]) for clip in clips if isinstance(clip, Video)] == [1, 2]


def test_a_bad_target_is_a_configuration_error(module: str, tmp_path: Path) -> None:
    for target in ("module.function", "module:", ":f", "module:a-b"):
        with pytest.raises(ConfigError, match=r"write package.module:function"):
            PythonCallable(target)
    (tmp_path / f"{module}_broken.py").write_text("raise OSError('no GPU')")
    (tmp_path / f"{module}_leaves.py").write_text("raise SystemExit(0)")
    for target, words in {
        f"{module}_missing:echo": "ModuleNotFoundError",
        f"{module}:absent": "AttributeError",
        f"{module}:number": "a int can't be called",
        f"{module}_broken:f": "OSError: no GPU",
        f"{module}_leaves:f": "SystemExit: 0",
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


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("nothing", "returned nothing, uint8 [T, H, W, 3] is needed"),
        ("leaves", "raised SystemExit: 0"),
        ("cancelled", "raised CancelledError"),
    ],
)
def test_what_is_no_answer_is_a_technical_failure(module: str, function: str, words: str) -> None:
    (failure,) = PythonCallable(f"{module}:{function}", conditioning=given_frames).generate([CASE])
    assert failure == Failure(f"{module}:{function} {words}", technical=True)


def test_an_interrupt_by_the_user_stops(module: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(PythonCallable(f"{module}:stopped", conditioning=given_frames).generate([CASE]))


def brightness(model: PythonCallable) -> int:
    (video,) = model.generate([replace(CASE, mode="t2v", given=0)])
    assert isinstance(video, Video)
    return int(video.frames[0, 0, 0, 0])


def test_the_checkpoint_and_the_keywords_are_handed_over_and_fingerprinted(module: str, tmp_path: Path) -> None:
    weights, folder = tmp_path / "weights.pt", tmp_path / "weights"
    weights.write_text("abc")
    folder.mkdir()
    (folder / "a").write_text("1")
    target = f"{module}:loads"
    plain, loaded = PythonCallable(target), PythonCallable(target, checkpoint=weights, kwargs={"steps": 2})
    assert (brightness(plain), brightness(loaded)) == (1, 6)
    prints = [m.fingerprint(CASE) for m in (plain, loaded, PythonCallable(target, kwargs={"steps": 2}))]
    prints += [PythonCallable(target, checkpoint=path).fingerprint(CASE) for path in (weights, folder)]
    weights.write_text("abcd")
    # Weights that are written again during a run are another model's.
    assert loaded.fingerprint(CASE) == prints[1]
    (folder / "a").rename(folder / "b")
    prints += [PythonCallable(target, checkpoint=path).fingerprint(CASE) for path in (weights, folder)]
    assert len(set(prints)) == len(prints)
    moved = weights.rename(tmp_path / "moved.pt")
    assert PythonCallable(target, checkpoint=moved).fingerprint(CASE) == prints[-2]
    assert brightness(PythonCallable(f"{module}:needs")) == 7
    assert brightness(PythonCallable(f"{module}:needs", checkpoint=moved)) == 8
    assert PythonCallable(target, kwargs={}).fingerprint(CASE) == prints[0]


def test_what_cannot_be_handed_over_is_a_configuration_error(module: str, tmp_path: Path) -> None:
    for more, words in (
        ({"checkpoint": tmp_path / "none.pt"}, "no such file or folder"),
        ({"kwargs": {"seed": 1}}, "generator.kwargs.seed: seed is given"),
        ({"kwargs": [1]}, "must map names"),
        ({"kwargs": {"a b": 1}}, "must map names"),
        ({"kwargs": {"steps": object()}}, "plain values only"),
    ):
        with pytest.raises(ConfigError, match=words):
            PythonCallable(f"{module}:loads", **more)  # type: ignore[arg-type]
    for more in ({"checkpoint": tmp_path}, {"kwargs": {"steps": 1}}):
        model = PythonCallable(f"{module}:narrow", **more)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"takes no keyword '(checkpoint|steps)'"):
            list(model.generate([CASE]))


def counting(
    prompt: str, *, height: int, width: int, frames: int, conditioning: Frames | None, **rest: object
) -> Frames:
    """Return frames whose level is their number: those after the given ones go on from these."""
    first = 0 if conditioning is None else int(conditioning[0, 0, 0, 0])
    return np.stack([np.full((height, width, 3), first + k, np.uint8) for k in range(frames)])


def test_longer_clips_are_made_by_extension_and_recorded() -> None:
    case = replace(CASE, mode="t2v", given=0, frames=23)
    model = PythonCallable(counting, max_frames=9, extend=4)
    (video,) = model.generate([case])
    assert isinstance(video, Video)
    assert list(video.frames[:, 0, 0, 0]) == list(range(23))
    assert model.recipe["long_clips"] == "beyond 9 frames by extension, 4 frames given"
    short = replace(case, frames=9)
    plain = PythonCallable(counting, max_frames=9)
    assert model.fingerprint(short) == plain.fingerprint(short)
    assert model.fingerprint(case) != plain.fingerprint(case)
    (refused,) = plain.generate([case])
    assert isinstance(refused, Failure)


LONG = replace(CASE, mode="t2v", given=0, fps=8.0, frames=23)


def test_an_extended_clip_of_another_rate_lasts_as_long_as_its_case() -> None:
    def twice_as_fast(prompt: str, *, frames: int, **rest: Any) -> Video:
        return Video(counting(prompt, frames=frames, **rest), 16.0)

    (video,) = PythonCallable(twice_as_fast, max_frames=9, extend=4).generate([LONG])
    assert isinstance(video, Video)
    assert (len(video), video.fps) == (45, 16.0)
    assert list(video.frames[:, 0, 0, 0]) == list(range(45))


def test_a_rate_that_changes_between_pieces_is_a_failure() -> None:
    def faster_later(prompt: str, *, conditioning: Frames | None, **rest: Any) -> Video:
        return Video(counting(prompt, conditioning=conditioning, **rest), 8.0 if conditioning is None else 12.0)

    (failure,) = PythonCallable(faster_later, max_frames=9, extend=4).generate([LONG])
    assert isinstance(failure, Failure)
    assert "12 frames per second after 8" in failure.reason


def test_a_first_piece_shorter_than_the_overlap_loses_no_frame() -> None:
    def short_first(prompt: str, *, conditioning: Frames | None, frames: int, **rest: Any) -> Frames:
        return counting(prompt, conditioning=conditioning, frames=3 if conditioning is None else frames, **rest)

    (video,) = PythonCallable(short_first, max_frames=9, extend=4).generate([LONG])
    assert isinstance(video, Video)
    assert list(video.frames[:, 0, 0, 0]) == list(range(23))


def test_pieces_of_neighbouring_cases_share_no_seed() -> None:
    seeds: list[int] = []

    def noting(prompt: str, *, seed: int, **rest: Any) -> Frames:
        seeds.append(seed)
        return counting(prompt, **rest)

    list(PythonCallable(noting, max_frames=9, extend=4, version="1").generate([LONG, replace(LONG, seed=8)]))
    assert len(set(seeds)) == len(seeds)
    assert {7, 8} < set(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_generator_that_extends_refuses_no_length() -> None:
    assert not PythonCallable(counting, max_frames=9, extend=4).capabilities.refuses(LONG)
    assert PythonCallable(counting, max_frames=9).capabilities.refuses(LONG)


@pytest.mark.parametrize("options", [{"extend": 4}, {"extend": 9, "max_frames": 9}, {"extend": 0, "max_frames": 9}])
def test_an_extension_without_room_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"generator\.extend"):
        PythonCallable(counting, **options)  # type: ignore[arg-type]


def test_a_function_with_modes_of_editing_gets_the_mode() -> None:
    seen: list[str] = []

    def both(prompt: str, *, frames: int, conditioning: Frames, mode: str, **rest: Any) -> Frames:
        seen.append(mode)
        return np.repeat(conditioning[:1], frames, axis=0)

    cases = [replace(CASE, mode="interpolate"), replace(CASE, mode="loop")]
    model = PythonCallable(both, modes=("interpolate", "loop"), conditioning=given_frames)
    assert all(isinstance(clip, Video) for clip in model.generate(cases))
    assert seen == ["interpolate", "loop"]
    (refused,) = PythonCallable(both, modes=("interpolate",), conditioning=given_frames).generate(cases[1:])
    assert isinstance(refused, Failure)
    assert "no mode loop" in refused.reason


def test_a_function_without_the_keyword_mode_can_have_no_modes_of_editing() -> None:
    def plain(
        prompt: str, *, height: int, width: int, frames: int, fps: float, seed: int, conditioning: Frames
    ) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match="no keyword 'mode'"):
        list(PythonCallable(plain, modes=("v2v", "loop"), conditioning=given_frames).generate([CASE]))


def test_clips_of_editing_are_not_made_by_extension() -> None:
    def longer(prompt: str, *, mode: str, **rest: Any) -> None:
        raise AssertionError

    model = PythonCallable(longer, modes=("v2v", "loop"), max_frames=2, extend=1, conditioning=given_frames)
    (failure,) = model.generate([replace(CASE, mode="loop", given=1)])
    assert isinstance(failure, Failure)
    assert "at most 2 frames" in failure.reason
