"""Options of a video service; importing them needs no HTTP client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from sora_eval.errors import ConfigError
from sora_eval.generator.service.api import Api
from sora_eval.settings import Settings, option
from sora_eval.types import MODES, Mode


@dataclass(frozen=True)
class ServiceOptions(Settings):
    """Options of a video service over HTTP."""

    GROUP: ClassVar[str] = "generator"

    url: str = option()
    """Base URL of the service, such as http://localhost:8091."""
    api: Api = option()
    """Form of the API: where jobs are posted to, the fields of a request, where replies hold what is needed."""
    model: str | None = None
    """The service's name of the model; null where a server has only one."""
    title: str | None = None
    """Name of the generator in reports; null takes the model's, or the host's."""
    modes: tuple[Mode, ...] = option(("t2v", "i2v"), choices=MODES, example="t2v")
    """The modes that the service supports."""
    max_frames: int | None = option(None, least=1)
    """The longest clip that it makes, null for no limit."""
    key_env: str | None = None
    """Environment variable with the key, null for a service without one. The key goes to the host of url alone, and into no file."""
    version: str = ""
    """Whatever else the clips depend on, such as the release of the model behind the name."""
    parallel: int = option(4, least=1, most=256)
    """Jobs at a time."""
    per_minute: float | None = option(None, above=0)
    """Most submissions per minute, null for no limit."""
    max_submissions: int | None = option(None, least=1)
    """Most submissions of a run, null for no limit: a limit of what it may cost."""
    attempts: int = option(3, least=1, most=100)
    """Most submissions of a job that fails at the service."""
    retries: int = option(6, least=0, most=100)
    """Retries of a request without a reply or with a transient error (408, 425, 429, 5xx), with exponential backoff."""
    pause_s: float = option(1.0, least=0, most=60)
    """First pause of the backoff, seconds; each is twice the one before, a minute at most."""
    poll_s: float = option(2.0, least=0, most=3600)
    """Polling interval, seconds."""
    reply_s: float = option(60.0, above=0, most=3600)
    """Read timeout of HTTP, seconds."""
    timeout_s: float = option(1800.0, above=0)
    """Longest wait for a job, seconds; a later run goes on waiting."""
    resubmit_unconfirmed: bool = False
    """Whether to submit a job again that may have been accepted already; risks paying twice at a service without idempotency keys."""
    folder: str | None = None
    """Where jobs and videos are kept, null for services/NAME-HASH. What is there is never paid for again."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value can't be used.
        """
        super().__post_init__()
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"generator.url={self.url}: write a URL, such as http://localhost:8091")
        if parts.username or parts.query:
            raise ConfigError(
                "generator.url has a user or a query: put the key into the environment, and name it by generator.key_env"
            )
        object.__setattr__(self, "url", self.url.rstrip("/"))
