"""A video service over HTTP as a generator: OpenAI's videos API, fal, Replicate, or another one whose form is given in YAML."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import numpy as np

from sora_eval.errors import ConfigError, VideoError
from sora_eval.generator.answers import is_blocked
from sora_eval.generator.base import Capabilities, file_safe
from sora_eval.generator.service.api import File
from sora_eval.generator.service.client import Client
from sora_eval.generator.service.jobs import Jobs, Request, SubmissionBudget
from sora_eval.generator.service.options import ServiceOptions
from sora_eval.types import Case, Failure, Frames, Video, digest
from sora_eval.video import Limits, encode_h264, encode_png
from sora_eval.video.sources import Source

VERSION = 1
"""Raised whenever the same answer of a service becomes another clip."""


@dataclass(frozen=True)
class VideoService(ServiceOptions):
    """A video service: for each case a job is submitted, polled and downloaded, several at a time.

    Whatever is submitted is noted in `folder` before it is sent, and what was made is kept there: a run that is interrupted goes on with
    the jobs that it had, and another run over the same cases pays nothing. The key is read from the environment, sent to the service's own
    host alone, and written nowhere.

    Raises:
        ConfigError: a value can't be used, or the environment has no such key.
    """

    kind: ClassVar[Literal["model"]] = "model"

    def __post_init__(self) -> None:
        """Check the options, and that there is a key."""
        super().__post_init__()
        if self.key_env is not None and not os.environ.get(self.key_env):
            raise ConfigError(
                f"the environment has no {self.key_env}: set it to the key of {self.url}, or generator.key_env=null"
            )
        # One for all calls of a run, which asks for a few cases at a time.
        self.__dict__["budget"] = SubmissionBudget(self.max_submissions)

    @property
    def name(self) -> str:
        """The title, or the model's name, or the host's; file-name safe."""
        return self.title or file_safe((self.model or urlsplit(self.url).hostname or "").rpartition("/")[2])

    @property
    def capabilities(self) -> Capabilities:
        """Modes and length of the service. One process: its jobs run side by side in threads."""
        return Capabilities(self.modes, self.max_frames)

    @property
    def batch(self) -> int:
        """Cases for one call: several times its jobs, so that these seldom wait for the last one of a call."""
        return 4 * self.parallel

    @property
    def records(self) -> Path:
        """Where jobs and videos are kept."""
        return Path(self.folder or f"services/{self.name}-{digest([self.url, self.model])[:8]}")

    def fingerprint(self, case: Case) -> str:
        """Return a hash of the service, its model, version and the form of the request."""
        about = [VERSION, self.url, self.model, self.version, self.api.submit, self.api.fields, self.api.seconds]
        return digest(about)

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield each case's video, or why there is none; `parallel` jobs are at work at a time.

        Raises:
            ConfigError: the service can't be used: another URL, a key that it refuses.
        """
        key = os.environ.get(self.key_env, "") if self.key_env else ""
        client = Client(self, key)
        jobs = Jobs(self, client, self.records, self.__dict__["budget"])
        executor = ThreadPoolExecutor(self.parallel)
        waiting: deque[tuple[Case, Future[Path | Failure]]] = deque()
        try:
            for case in cases:
                if len(waiting) == self.parallel:
                    yield self._clip(*waiting.popleft())
                waiting.append((case, executor.submit(self._file, jobs, case)))
            while waiting:
                yield self._clip(*waiting.popleft())
        finally:
            client.stopped.set()
            executor.shutdown(cancel_futures=True)
            client.close()

    def _file(self, jobs: Jobs, case: Case) -> Path | Failure:
        refusal = self.capabilities.refuses(case)
        return Failure(refusal) if refusal else jobs.video(self._request(case))

    def _request(self, case: Case) -> Request:
        from sora_eval.world import conditioning

        given = conditioning(case)
        values = {
            "prompt": case.prompt,
            "width": case.size[1],
            "height": case.size[0],
            "frames": case.frames,
            "fps": _number(case.fps),
            "seconds": _number(self.api.duration(case.frames / case.fps)),
            "seed": case.seed,
            "model": self.model,
            "image": None if given is None else File("image.png", "image/png", encode_png(given[0])),
            "video": None if given is None or len(given) < 2 else _video_file(given, case.fps),
        }
        fields = self.api.request(values)
        # Not of the fields alone: a service that takes no seed is asked the same twice, and its answers are two samples.
        key = digest([self.fingerprint(case), case.id, case.seed, case.sample, _hashable(fields)])
        return Request(key[:32], fields)

    def _clip(self, case: Case, future: Future[Path | Failure]) -> Video | Failure:
        answer = future.result()
        if isinstance(answer, Failure):
            return answer
        try:
            video = Source(answer, Limits.of(case.size, case.frames, case.fps), case.fps).read()
        except VideoError as error:
            # A file that came whole and is no video: the next run asks for it again.
            answer.unlink(missing_ok=True)
            return Failure(f"the service sent no readable video: {error}", technical=True)
        wanted = max(1, round(case.frames / case.fps * video.fps))
        frames = video.frames[:wanted]
        if len(frames) == 1 < case.frames:
            return Failure(f"the service sent 1 frame, {case.frames} were requested", technical=True)
        if is_blocked(frames):
            return Failure(
                "every frame of the service's video is black, as of one that a safety checker has blocked",
                technical=True,
            )
        return Video(np.ascontiguousarray(frames), video.fps)


def _number(value: float) -> float | int:
    """Return a whole number as one: a service may not take 4.0 for 4."""
    return int(value) if float(value).is_integer() else value


def _video_file(frames: Frames, fps: float) -> File:
    return File("video.mp4", "video/mp4", encode_h264(Video(frames, fps), crf=0))


def _hashable(value: Any) -> Any:
    """Return fields with the hashes of files in their place."""
    if isinstance(value, File):
        return [value.name, digest([value.data_url])]
    if isinstance(value, Mapping):
        return {name: _hashable(each) for name, each in value.items()}
    return [_hashable(each) for each in value] if isinstance(value, list) else value
