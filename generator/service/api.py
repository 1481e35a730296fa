"""The form of a service's API: URLs, the fields of a request, and where its JSON replies hold what is needed."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import jmespath
from jmespath.exceptions import JMESPathError

from sora_eval.errors import ConfigError
from sora_eval.settings import Settings, option

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
VALUES = ("prompt", "width", "height", "frames", "fps", "seconds", "seed", "model", "image", "video")
"""Placeholders of a request: text and numbers of the case; the model; the first given frame as PNG; the given frames as MP4."""


class MissingValueError(Exception):
    """A URL or field needs a value that is not there."""


@dataclass(frozen=True)
class File:
    """A file that a request carries."""

    name: str
    """File name."""
    kind: str
    """Media type, such as image/png."""
    content: bytes
    """Its bytes."""

    @property
    def data_url(self) -> str:
        """The file as a data URL (RFC 2397)."""
        return f"data:{self.kind};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Api(Settings):
    """How a service's API is used. Expressions are JMESPath; templates hold placeholders such as {url}."""

    GROUP: ClassVar[str] = "generator.api"

    submit: str = option()
    """Template of the URL that jobs are posted to; it may use {url} and {model}."""
    fields: Mapping[str, Any] = option()
    """Fields of a request, templates that may use {prompt}, {width}, {height}, {frames}, {fps}, {seconds}, {seed}, {model}, {image}
    and {video}. A field whose value is not there, such as an image in text-to-video, is left out."""
    remember: Mapping[str, str] = option()
    """Names, and expressions that give their values from the reply to a submission; URLs below may use them. One of them must be id."""
    job: str = option()
    """Template of the URL that tells how far a job is."""
    done: tuple[str, ...] = option(example="completed")
    """Statuses of a job whose video is there."""
    failed: tuple[str, ...] = option(example="failed")
    """Statuses of a job that ended without a video."""
    encoding: Literal["json", "multipart"] = "json"
    """How a request is encoded. Given frames are files in multipart/form-data and data URLs in JSON."""
    status: str = "status"
    """Expression for the status of a job."""
    error: str = "error"
    """Expression for the reason of a failure."""
    result: str | None = None
    """Template of the URL of a finished job's result, null where the job's own reply holds it."""
    video: str | None = None
    """Expression for the video's URL in the result; null where `content` says it."""
    content: str | None = None
    """Template of the URL of the video's bytes; null where `video` says it."""
    key_header: str = "Authorization"
    """Header that carries the key."""
    key_prefix: str = "Bearer "
    """What precedes the key in it."""
    idempotency_header: str | None = None
    """Header with which a repeated submission is known as the same one and starts no second job; null where the service has none."""
    seconds: tuple[int, ...] = option((), example="4")
    """Durations that the service makes, seconds; [] for any. The shortest that is long enough is requested, and the clip cut."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value can't be used, an expression is none, a placeholder is unknown, or nothing says where the video is.
        """
        super().__post_init__()
        if (self.video is None) == (self.content is None):
            raise ConfigError("generator.api needs either video or content: where a finished job's video is")
        if "id" not in self.remember:
            raise ConfigError(
                "generator.api.remember.id is missing: an expression for the job's id in the reply to a submission"
            )
        for name in ("status", "error", "video"):
            _check_expression(name, getattr(self, name))
        for name, expression in self.remember.items():
            _check_expression(f"remember.{name}", expression)
        known = {"url", "model", *self.remember}
        for name, allowed in (("submit", {"url", "model"}), ("job", known), ("result", known), ("content", known)):
            _check_placeholders(name, getattr(self, name), allowed)
        _check_placeholders("fields", self.fields, set(VALUES))

    def request(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a request for the values of a case; those whose value is None are left out."""
        filled = _filled(self.fields, values)
        assert isinstance(filled, dict)
        return filled

    def parse_submission(self, reply: Any) -> dict[str, str]:
        """Return what is remembered of the reply to a submission.

        Raises:
            MissingValueError: the reply lacks a value.
        """
        values = {name: jmespath.search(expression, reply) for name, expression in self.remember.items()}
        for name, value in values.items():
            if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
                raise MissingValueError(f"no {self.remember[name]} in the reply")
        return {name: str(value) for name, value in values.items()}

    def duration(self, seconds: float) -> float:
        """Return the duration to request for a clip of so many seconds: the longest there is where none is long enough."""
        if not self.seconds:
            return seconds
        return min((s for s in self.seconds if s >= seconds - 1e-6), default=max(self.seconds))


def url_of(template: str, values: Mapping[str, str]) -> str:
    """Return a URL from its template."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def same_origin(a: str, b: str) -> bool:
    """Return whether two URLs have the same scheme, host and port."""
    return [*urlsplit(a)[:2]] == [*urlsplit(b)[:2]]


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    """Return a template with values in place of placeholders; None where a value is None."""
    if isinstance(template, Mapping):
        items = {str(name): _filled(each, values) for name, each in template.items()}
        return {name: value for name, value in items.items() if value is not None}
    if isinstance(template, list | tuple):
        return [value for each in template if (value := _filled(each, values)) is not None]
    if not isinstance(template, str):
        return template
    if whole := _PLACEHOLDER.fullmatch(template):
        return values[whole[1]]
    if any(values[name] is None for name in _PLACEHOLDER.findall(template)):
        return None
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), template)


def _check_expression(name: str, expression: str | None) -> None:
    try:
        if expression is not None:
            jmespath.compile(expression)
    except JMESPathError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"generator.api.{name}={expression} is no JMESPath expression: {reason}") from error


def _check_placeholders(name: str, template: Any, known: set[str]) -> None:
    if isinstance(template, Mapping):
        for key, each in template.items():
            _check_placeholders(f"{name}.{key}", each, known)
    elif isinstance(template, list | tuple):
        for each in template:
            _check_placeholders(name, each, known)
    elif isinstance(template, str):
        for placeholder in _PLACEHOLDER.findall(template):
            if placeholder not in known:
                raise ConfigError(
                    f"generator.api.{name}: no value is named {{{placeholder}}}; there are {', '.join(sorted(known))}"
                )
