"""Jobs of a service: each noted on disk before it is submitted, so that no interruption makes it be paid for twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jmespath

from sora_eval.errors import ConfigError
from sora_eval.files import read_json, write_json
from sora_eval.generator.service.api import MissingValueError, url_of
from sora_eval.generator.service.client import Client, RefusedError, StoppedError, UnavailableError, UnconfirmedError
from sora_eval.generator.service.options import ServiceOptions
from sora_eval.types import Failure

_SUBMITTING, _SUBMITTED = "submitting", "submitted"


@dataclass(frozen=True)
class Request:
    """A request for a video."""

    key: str
    """Hash of all that the video depends on; names its files, and marks repeated submissions as the same one."""
    fields: Mapping[str, Any]
    """The request's fields."""


class SubmissionBudget:
    """Thread-safe budget of submissions."""

    def __init__(self, most: int | None) -> None:
        """Allow `most` of them, None for any number."""
        self._left, self._lock = most, threading.Lock()

    def take(self) -> bool:
        """Use one up; return whether there was one."""
        with self._lock:
            if self._left is None:
                return True
            self._left -= 1
            return self._left >= 0


@dataclass(frozen=True)
class Jobs:
    """Submits, polls and downloads; the record and the video of a request lie in `folder`, KEY.json and KEY.mp4."""

    options: ServiceOptions
    """How the service is used."""
    client: Client
    """The HTTP client."""
    folder: Path
    """Where records and videos are kept."""
    budget: SubmissionBudget
    """Submissions that are left to the run."""

    def video(self, request: Request) -> Path | Failure:
        """Return the file of a request's video, or why there is none.

        Raises:
            ConfigError: the service can't be used at all. StoppedError: the run has ended.
        """
        path = self.folder / f"{request.key}.mp4"
        if path.exists():
            return path
        try:
            return self._made(request, path)
        except (RefusedError, UnavailableError, MissingValueError) as error:
            record = self._record_path(request)
            lost = f" (its job is kept in {record}; without that file it is made anew)" if record.exists() else ""
            return _failure(f"{self.client.hidden(str(error))}{lost}")
        except UnconfirmedError as error:
            return _failure(
                f"{self.client.hidden(str(error))}: the submission may have been accepted, and is not sent again; "
                "generator.resubmit_unconfirmed=true does"
            )

    def _made(self, request: Request, path: Path) -> Path | Failure:
        stored = self._record_path(request)
        record = read_json(stored) if stored.exists() else {}
        reason = ""
        for _ in range(self.options.attempts):
            if record.get("state") != _SUBMITTED:
                if not self.budget.take():
                    return _failure("the limit of submissions is reached: raise generator.max_submissions to go on")
                self._submit(request, record)
            reason = self._finish(record["job"], path)
            if not reason:
                return path
            # It ended without a video: the next submission is another job.
            record = {"number": record.get("number", 0) + 1, "failure": reason}
            self._write(request, record)
        return _failure(reason)

    def _submit(self, request: Request, record: dict[str, Any]) -> None:
        repeatable = self.options.api.idempotency_header is not None or self.options.resubmit_unconfirmed
        if record.get("state") == _SUBMITTING and not repeatable:
            raise UnconfirmedError("the run was interrupted while it submitted this job")
        record["state"] = _SUBMITTING
        self._write(request, record)
        name = self.options.api.idempotency_header
        headers = {name: f"{request.key}-{record.get('number', 0)}"} if name else {}
        url = url_of(self.options.api.submit, {"url": self.options.url, "model": self.options.model or ""})
        try:
            reply = self.client.submit(url, request.fields, headers, repeatable)
        except (RefusedError, UnavailableError, ConfigError, StoppedError):
            # Surely not accepted (a run ends between requests, never within one), or by a service that knows repetitions.
            record["state"] = ""
            self._write(request, record)
            raise
        record.update(state=_SUBMITTED, job=self.options.api.parse_submission(reply))
        self._write(request, record)

    def _finish(self, job: Mapping[str, str], path: Path) -> str:
        """Wait for a job and download its video; return why it ended without one, "" where it did not."""
        urls = {**job, "url": self.options.url, "model": self.options.model or ""}
        deadline = time.monotonic() + self.options.timeout_s
        while True:
            reply = self.client.get_json(url_of(self.options.api.job, urls))
            status = jmespath.search(self.options.api.status, reply)
            if _is_one(status, self.options.api.done):
                return self._download(reply, urls, path, deadline)
            if _is_one(status, self.options.api.failed):
                reason = jmespath.search(self.options.api.error, reply)
                text = reason.get("message", reason) if isinstance(reason, dict) else reason
                return self.client.hidden(f"the service's job failed: {' '.join(str(text or status).split())[:300]}")
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"the job was {status!r} after {self.options.timeout_s:g} s: run again to go on waiting"
                )
            self.client.sleep(self.options.poll_s)

    def _download(self, reply: Any, urls: Mapping[str, str], path: Path, deadline: float) -> str:
        """Download a finished job's video. A service may name it before it is there, or send a part of it: each is tried again."""
        for attempt in range(self.options.retries + 1):
            try:
                if self.options.api.content is not None:
                    url = url_of(self.options.api.content, urls)
                else:
                    result = (
                        self.client.get_json(url_of(self.options.api.result, urls))
                        if self.options.api.result
                        else reply
                    )
                    url = jmespath.search(self.options.api.video or "", result)
                    if not isinstance(url, str) or not url:
                        raise UnavailableError(f"the finished job has no {self.options.api.video}")
                self.client.download(url, path)
                return ""
            except UnavailableError as error:
                if attempt == self.options.retries or time.monotonic() > deadline:
                    raise UnavailableError(f"the video can't be downloaded: {error}") from None
                self.client.sleep(self.options.pause_s * 2**attempt)
        return ""

    def _record_path(self, request: Request) -> Path:
        return self.folder / f"{request.key}.json"

    def _write(self, request: Request, record: Mapping[str, Any]) -> None:
        write_json(self._record_path(request), json.loads(self.client.hidden(json.dumps(record))))


def _is_one(status: Any, names: Sequence[str]) -> bool:
    return isinstance(status, str) and status.casefold() in {name.casefold() for name in names}


def _failure(reason: str) -> Failure:
    return Failure(" ".join(reason.split()), technical=True)
