"""A video service is paid once per video, whatever goes wrong on the way, and its key goes nowhere else."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from services.server import KEY, Service, serving

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.config import parse
from sora_eval.errors import ConfigError
from sora_eval.generator.service.generator import VideoService
from sora_eval.types import Case, Failure, Frames, Video
from sora_eval.video import encode_h264

pytestmark = pytest.mark.enable_socket
CASE = Case(
    id="relation.0001.t2v",
    suite="left_right",
    probe="relation",
    mode="t2v",
    prompt="a red ball",
    size=(64, 64),
    fps=8.0,
    frames=9,
    given=0,
    seed=7,
    scene={},
    expect={},
    cluster="relation.0001",
)


def clip(frames: int = 9, level: int = 200) -> Frames:
    """Return frames [T, 64, 64, 3] with a moving square."""
    video = np.full((frames, 64, 64, 3), level, np.uint8)
    for k in range(frames):
        video[k, 20:30, k * 3 : k * 3 + 10] = (200, 30, 30) if level else 0
    return video


VIDEO = encode_h264(Video(clip(), 8.0), crf=10)


def cases(count: int) -> list[Case]:
    return [replace(CASE, id=f"relation.{i:04}.t2v", prompt=f"ball number {i}", seed=i) for i in range(count)]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", KEY)


def generator(service: Service, folder: Path, api: str = "vllm_omni", **options: Any) -> VideoService:
    words = [
        f"generator={api}",
        f"generator.url={service.url}",
        f"generator.folder={folder}",
        "generator.key_env=SERVICE_KEY",
    ]
    words += [f"generator.{name}={value}" for name, value in {"pause_s": 0, "poll_s": 0, **options}.items()]
    made = registry.generator(parse("run", words)[0].generator)
    assert isinstance(made, VideoService)
    return made


def answers(made: VideoService, of: Sequence[Case]) -> list[Video | Failure]:
    return list(made.generate(of))


def holds_key(folder: Path) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()]


@pytest.mark.parametrize("api", ["vllm_omni", "queue"])
def test_a_video_is_submitted_polled_and_downloaded(tmp_path: Path, api: str) -> None:
    with serving(Service(VIDEO)) as service:
        form = {"api": "fal", "model": "owner/app"} if api == "queue" else {}
        made = generator(service, tmp_path, **form)
        (video,) = answers(made, [CASE])
    assert isinstance(video, Video)
    assert (len(video), video.fps, video.size) == (9, 8.0, (64, 64))
    assert np.abs(video.frames.astype(int) - clip()).mean() < 4
    (job,) = service.jobs.values()
    assert job["fields"]["prompt"] == "a red ball"
    assert str(job["fields"]["seed"]) == "7"
    assert str(job["fields"]["num_frames"]) == "9"
    if api == "vllm_omni":
        assert job["fields"]["size"] == "64x64"
        assert float(job["fields"]["seconds"]) == 9 / 8
        assert "input_reference" not in job["fields"]
        assert "model" not in job["fields"]


@pytest.mark.parametrize("api", ["vllm_omni", "fal", "replicate"])
def test_the_given_frame_is_sent(tmp_path: Path, api: str) -> None:
    from sora_eval.probes.selection import select_cases, select_probes
    from sora_eval.world import conditioning

    probes = select_probes(None, ("relation",))
    (case, *_) = select_cases(probes, registry.profile("small"), ("i2v",), 1, 0, 1)
    given = conditioning(case)
    assert given is not None
    with serving(Service(VIDEO)) as service:
        made = generator(service, tmp_path, api, **({} if api == "vllm_omni" else {"model": "owner/name"}))
        # Replicate's form differs in its status and URL from this server's.
        made._request(case)
        fields = made._request(case).fields
    fields = fields.get("input", fields)
    sent = fields["input_reference" if api == "vllm_omni" else "image_url" if api == "fal" else "image"]
    import cv2

    decoded = cv2.imdecode(np.frombuffer(sent.content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert (decoded == given[0]).all()
    assert sent.data_url.startswith("data:image/png;base64,")


@pytest.mark.slow
def test_none_is_paid_twice_and_none_lost_under_faults(tmp_path: Path) -> None:
    wanted = cases(1000)
    with serving(Service(VIDEO, faults=0.2)) as service:
        made = generator(service, tmp_path, parallel=32, retries=20, attempts=20)
        videos = answers(made, wanted)
        assert all(isinstance(v, Video) for v in videos), [v for v in videos if isinstance(v, Failure)][:3]
        assert set(service.charged.values()) == {1}
        assert len(service.charged) == len(wanted)
        assert len(service.committed) > 6
        # Another run over the same cases asks for nothing.
        before = len(service.requests)
        again = answers(generator(service, tmp_path), wanted)
        assert len(service.requests) == before
        assert all(isinstance(v, Video) for v in again)
    assert not holds_key(tmp_path)


def test_a_run_leaves_no_key_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    suite = [
        "suite.probes=[relation]",
        "suite.modes=[t2v]",
        "suite.count=2",
        "references=[]",
        "fidelity=null",
        "tracking=false",
    ]
    with serving(Service(encode_h264(Video(clip(17), 8.0)))) as service:
        words = [
            "generator=vllm_omni",
            f"generator.url={service.url}",
            "generator.key_env=SERVICE_KEY",
            "out=run",
            *suite,
        ]
        assert main(["run", *words, "generator.poll_s=0"]) == 0
        assert sum(service.charged.values()) == 2
    assert list(tmp_path.glob("services/*/*.mp4"))
    assert not holds_key(tmp_path)


def test_an_interrupted_run_goes_on_with_its_jobs(tmp_path: Path) -> None:
    wanted = cases(12)
    with serving(Service(VIDEO)) as service:
        running = generator(service, tmp_path, parallel=6).generate(wanted)
        assert len(list(islice(running, 2))) == 2
        running.close()
        assert all(isinstance(v, Video) for v in answers(generator(service, tmp_path), wanted))
        assert set(service.charged.values()) == {1}
        assert len(service.charged) == 12


@pytest.mark.parametrize("kind", ["drop", "500", "html"])
def test_what_may_have_been_accepted_is_not_sent_again_to_a_service_without_idempotency(
    tmp_path: Path, kind: str
) -> None:
    with serving(Service(VIDEO, faults=1.0, idempotent=False, kinds=(kind,))) as service:
        made = generator(service, tmp_path, "fal", model="owner/app")
        (answer,) = answers(made, [CASE])
        assert isinstance(answer, Failure)
        assert answer.technical
        assert "may have been accepted" in answer.reason
        assert sum(service.charged.values()) == 1
        service.faults = 0.0
        (answer,) = answers(generator(service, tmp_path, "fal", model="owner/app"), [CASE])
        assert isinstance(answer, Failure)
        assert sum(service.charged.values()) == 1
        (answer,) = answers(generator(service, tmp_path, "fal", model="owner/app", resubmit_unconfirmed=True), [CASE])
        assert isinstance(answer, Video)


def test_the_number_of_submissions_is_limited(tmp_path: Path) -> None:
    with serving(Service(VIDEO)) as service:
        got = answers(generator(service, tmp_path, max_submissions=3), cases(5))
    assert sum(isinstance(v, Video) for v in got) == 3
    assert "raise generator.max_submissions" in next(v.reason for v in got if isinstance(v, Failure))
    assert len(service.jobs) == 3


def test_submissions_keep_to_the_rate(tmp_path: Path) -> None:
    import time

    with serving(Service(VIDEO)) as service:
        start = time.monotonic()
        answers(generator(service, tmp_path, per_minute=600, parallel=8), cases(8))
    assert time.monotonic() - start >= 0.7


def test_a_wrong_key_ends_the_run_and_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", "sk-another")
    with (
        serving(Service(VIDEO)) as service,
        pytest.raises(ConfigError, match="refuses the key in SERVICE_KEY") as error,
    ):
        answers(generator(service, tmp_path), [CASE])
    assert "sk-another" not in str(error.value)


def test_a_missing_key_is_said_before_anything_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_KEY")
    with serving(Service(VIDEO)) as service:
        with pytest.raises(ConfigError, match="the environment has no SERVICE_KEY"):
            generator(service, tmp_path)
        assert not service.requests


def test_a_refused_prompt_fails_alone_and_hides_the_key(tmp_path: Path) -> None:
    wanted = [replace(CASE, prompt="to be refused", id="a"), replace(CASE, id="b")]
    with serving(Service(VIDEO)) as service:
        refused, made = answers(generator(service, tmp_path), wanted)
    assert isinstance(refused, Failure)
    assert "prompt refused, Bearer ***" in refused.reason
    assert isinstance(made, Video)
    assert not holds_key(tmp_path)


def test_the_key_stays_with_the_service(tmp_path: Path) -> None:
    with serving(Service(VIDEO)) as service, serving(Service(VIDEO)) as other:
        made = generator(service, tmp_path, "fal", model="owner/app")
        # The results lie on another host, as those of hosted services do.
        made.api.__dict__["video"] = f"'{other.url}/files/job-0.mp4'"
        (video,) = answers(made, [CASE])
    assert isinstance(video, Video)
    assert other.requests
    assert not any(KEY in str(headers) for _, _, headers in other.requests)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encode_h264(Video(clip(level=0), 8.0)), "every frame of the service's video is black"),
        (encode_h264(Video(clip(1), 8.0)), "1 frame, 9 were requested"),
        (b"no video at all", "no readable video"),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    with serving(Service(content)) as service:
        (answer,) = answers(generator(service, tmp_path), [CASE])
    assert isinstance(answer, Failure)
    assert answer.technical
    assert reason in answer.reason


def test_a_longer_video_is_cut_to_the_case(tmp_path: Path) -> None:
    with serving(Service(encode_h264(Video(clip(16), 8.0)))) as service:
        made = generator(service, tmp_path)
        made.api.__dict__["seconds"] = (2, 4)
        (video,) = answers(made, [CASE])
    assert isinstance(video, Video)
    assert len(video) == 9
    (job,) = service.jobs.values()
    assert job["fields"]["seconds"] == "2"


def test_a_stalled_service_is_given_up(tmp_path: Path) -> None:
    stalled = threading.Event()
    with serving(Service(VIDEO)) as service:
        service.fault = lambda *_: (stalled.wait(2.0), "")[1]  # type: ignore[method-assign]
        made = generator(service, tmp_path, reply_s=0.2, retries=1)
        (answer,) = answers(made, [CASE])
        stalled.set()
    assert isinstance(answer, Failure)
    assert "ReadTimeout" in answer.reason


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("url=ftp://host", "write a URL"),
        ("url=http://user:pw@host", "put the key into the environment"),
        ("api.status='[['", "no JMESPath expression"),
        ("api.job='{url}/{jid}'", "no value is named {jid}"),
        ("api.content=null", "either video or content"),
        ("api.fields.prompt='{words}'", "no value is named {words}"),
        ("parallel=0", "from 1 to 256"),
    ],
)
def test_wrong_options_are_one_line(word: str, message: str) -> None:
    url = [] if word.startswith("url=") else ["generator.url=http://localhost:1"]
    config = parse("run", ["generator=vllm_omni", *url, f"generator.{word}"])[0]
    with pytest.raises(ConfigError) as error:
        registry.generator(config.generator)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_records_are_plain_json(tmp_path: Path) -> None:
    with serving(Service(VIDEO)) as service:
        answers(generator(service, tmp_path), [CASE])
    (record,) = tmp_path.glob("*.json")
    assert json.loads(record.read_text()) == {"state": "submitted", "job": {"id": "job-0"}}
