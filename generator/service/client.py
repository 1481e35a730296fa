"""Requests to a service: repeated with growing pauses, at a limited rate, the key sent to the service's own host alone and never shown."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from sora_eval.errors import ConfigError
from sora_eval.files import replacing
from sora_eval.generator.service.api import File, same_origin
from sora_eval.generator.service.options import ServiceOptions

MOST_BYTES = 2 << 30
"""Largest video file that is downloaded, bytes."""
_REDIRECTS = 5
_LONGEST_PAUSE_S = 60.0
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_REJECTED = (408, 425, 429, 503)
"""HTTP statuses of a request that the service has not accepted and that may be repeated."""


class RefusedError(Exception):
    """The service refuses a request as it is: repeating it changes nothing."""


class UnavailableError(Exception):
    """No usable reply after all retries."""


class UnconfirmedError(Exception):
    """A submission may or may not have been accepted."""


class StoppedError(Exception):
    """The run has ended meanwhile."""


class Client:
    """An HTTP client of one service, for several threads."""

    def __init__(self, options: ServiceOptions, key: str, group: str = "generator") -> None:
        """Open no connection yet. key: "" for none. group: of the options in messages."""
        self._options, self._key, self._group = options, key, group
        self.stopped = threading.Event()
        self._turn, self._lock = 0.0, threading.Lock()
        timeout = httpx2.Timeout(options.reply_s, connect=min(10.0, options.reply_s))
        limits = httpx2.Limits(max_connections=None)
        self._http = httpx2.Client(timeout=timeout, limits=limits, follow_redirects=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(self, url: str, fields: Mapping[str, Any], headers: Mapping[str, str], repeatable: bool) -> Any:
        """Post a job and return the reply, as JSON.

        repeatable: whether the service knows a repetition as the same submission. Where it doesn't, only what was surely not accepted is
        sent again.

        Raises:
            RefusedError: the service refuses the request. UnconfirmedError: it may have been accepted. UnavailableError: no usable reply
                after all retries. ConfigError: the key or the URL is wrong.
        """
        for attempt in range(self._options.retries + 1):
            self._wait_for_turn()
            pause, reason = 0.0, ""
            try:
                response = self._http.post(
                    url, headers={**self._headers(url), **headers}, **_body(fields, self._options.api.encoding)
                )
                if response.status_code in _REJECTED:
                    reason, pause = self._reason(response), _retry_after(response)
                elif response.status_code >= 500:
                    self._unconfirmed(self._reason(response), repeatable)
                    reason = self._reason(response)
                else:
                    self._check(response, url)
                    if response.is_redirect:
                        raise ConfigError(
                            f"{url} redirects to {response.headers.get('location', '')}: set {self._group}.url to that host"
                        )
                    try:
                        return response.json()
                    except ValueError:
                        reason = f"{url} answered {_kind(response)} instead of JSON"
                        self._unconfirmed(reason, repeatable)
            except _NOT_SENT as error:
                reason = self._fault(error)
            except httpx2.TransportError as error:
                reason = self._fault(error)
                self._unconfirmed(reason, repeatable)
            if attempt < self._options.retries:
                self.sleep(max(pause, self._backoff(attempt)))
        raise UnavailableError(reason)

    def get_json(self, url: str) -> Any:
        """Return a JSON reply.

        Raises:
            RefusedError: the service refuses the request. UnavailableError: no usable reply after all retries. ConfigError: the key is
                wrong.
        """
        for attempt in range(self._options.retries + 1):
            pause = 0.0
            try:
                with self._stream(url) as response:
                    if response.status_code in _REJECTED or response.status_code >= 500:
                        response.read()
                        reason, pause = self._reason(response), _retry_after(response)
                    else:
                        response.read()
                        self._check(response, url)
                        try:
                            return response.json()
                        except ValueError:
                            reason = f"{url} answered {_kind(response)} instead of JSON"
            except httpx2.TransportError as error:
                reason = self._fault(error)
            if attempt < self._options.retries:
                self.sleep(max(pause, self._backoff(attempt)))
        raise UnavailableError(reason)

    def download(self, url: str, path: Path) -> None:
        """Write a file once, whole or not at all.

        Raises:
            RefusedError: the service says that there is no such file. UnavailableError: what came is no video file, or not all of it.
        """
        self._stop()
        try:
            with self._stream(url) as response, replacing(path) as part:
                if response.status_code != 200:
                    response.read()
                    if response.status_code in _REJECTED or response.status_code >= 500 or response.status_code == 404:
                        raise UnavailableError(self._reason(response))
                    self._check(response, url)
                if _kind(response) in ("HTML", "JSON"):
                    raise UnavailableError(f"{_kind(response)} came in place of a video")
                size = 0
                with part.open("wb") as file:
                    for piece in response.iter_bytes():
                        size += len(piece)
                        if size > MOST_BYTES:
                            raise RefusedError(f"the video has more than {MOST_BYTES >> 30} GiB")
                        file.write(piece)
                        self._stop()
                declared = response.headers.get("content-length")
                if size == 0 or (declared and "content-encoding" not in response.headers and size != int(declared)):
                    raise UnavailableError(f"{size} of {declared or '?'} bytes of the video came")
        except (httpx2.TransportError, ValueError) as error:
            raise UnavailableError(self._fault(error)) from None

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run ends meanwhile.

        Raises:
            StoppedError: it has.
        """
        if self.stopped.wait(seconds):
            raise StoppedError

    def hidden(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._key, "***") if self._key else text

    def _stop(self) -> None:
        if self.stopped.is_set():
            raise StoppedError

    @contextmanager
    def _stream(self, url: str) -> Iterator[httpx2.Response]:
        """Give the response to a GET, redirects followed; the key never leaves the service's host."""
        for _ in range(_REDIRECTS):
            self._stop()
            with self._http.stream("GET", url, headers=self._headers(url)) as response:
                if not response.is_redirect:
                    yield response
                    return
                url = str(response.url.join(response.headers.get("location", "")))
        raise UnavailableError("too many redirects")

    def _headers(self, url: str) -> dict[str, str]:
        if not self._key or not same_origin(url, self._options.url):
            return {}
        return {self._options.api.key_header: f"{self._options.api.key_prefix}{self._key}"}

    def _wait_for_turn(self) -> None:
        """Wait until another submission may be sent."""
        self._stop()
        if self._options.per_minute is None:
            return
        with self._lock:
            now = time.monotonic()
            self._turn = max(now, self._turn + 60.0 / self._options.per_minute)
            wait = self._turn - now
        self.sleep(wait)

    def _backoff(self, attempt: int) -> float:
        # Equal jitter, so that parallel requests don't come back at the same moment.
        return float(random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE_S, self._options.pause_s * 2**attempt))

    def _unconfirmed(self, reason: str, repeatable: bool) -> None:
        if not repeatable:
            raise UnconfirmedError(reason)

    def _check(self, response: httpx2.Response, url: str) -> None:
        if response.status_code in (401, 403) and same_origin(url, self._options.url):
            where = (
                f"the key in {self._options.key_env}"
                if self._key
                else f"requests without a key: set {self._group}.key_env"
            )
            raise ConfigError(f"{self._options.url} refuses {where} ({self._reason(response)})")
        if response.status_code >= 400:
            raise RefusedError(self._reason(response))

    def _reason(self, response: httpx2.Response) -> str:
        """Return status and message of an error reply, in a line."""
        try:
            body = response.json()
            error = body.get("error", body.get("detail", body.get("message", body))) if isinstance(body, dict) else body
            text = str(error.get("message", error) if isinstance(error, dict) else error)
        except ValueError:
            text = f"an answer in {_kind(response)}" if response.content else "no text"
        return self.hidden(f"HTTP {response.status_code}: {' '.join(text.split())[:300]}")

    def _fault(self, error: Exception) -> str:
        return self.hidden(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": "))


def _body(fields: Mapping[str, Any], encoding: str) -> dict[str, Any]:
    """Return the arguments of a POST."""
    if encoding == "json":
        return {"json": _with_data_urls(fields)}
    parts = [
        (name, (v.name, v.content, v.kind) if isinstance(v, File) else (None, str(v).encode()))
        for name, v in fields.items()
    ]
    return {"files": parts}


def _with_data_urls(value: Any) -> Any:
    if isinstance(value, File):
        return value.data_url
    if isinstance(value, Mapping):
        return {name: _with_data_urls(each) for name, each in value.items()}
    return [_with_data_urls(each) for each in value] if isinstance(value, list) else value


def _retry_after(response: httpx2.Response) -> float:
    """Return the pause that a reply asks for in seconds, 0 where it asks for none (RFC 9110, 10.2.3)."""
    text = response.headers.get("retry-after", "")
    try:
        wait = (
            float(text)
            if text.replace(".", "", 1).isdigit()
            else email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        )
    except (ValueError, TypeError):
        return 0.0
    return min(max(wait, 0.0), _LONGEST_PAUSE_S)


def _kind(response: httpx2.Response) -> str:
    """Return what a reply consists of, for messages."""
    kind = response.headers.get("content-type", "").lower()
    return "HTML" if "html" in kind else "JSON" if "json" in kind else "text" if "text" in kind else "bytes"
