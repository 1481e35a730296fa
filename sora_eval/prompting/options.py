"""Options of the rewriting of prompts; importing them needs no HTTP client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from sora_eval.errors import ConfigError
from sora_eval.settings import Settings, option

NONE, BUNDLED, CHAT = "none", "bundled", "chat"


@dataclass(frozen=True)
class PromptFile(Settings):
    """A file of prompts with expectations, in place of a suite."""

    GROUP: ClassVar[str] = "prompts"

    file: str | None = None
    """YAML or CSV file of prompts with expectations, in place of a suite; or a bundled set: natural for all of them, natural/SUITE for one.
    prompts=FILE is short for it on the command line."""
    twins: bool = False
    """Whether each prompt gets its mirrored or matched twin, where its words allow: left and right exchanged, another number."""
    swapped: bool = False
    """Whether each prompt that names two things is there again with the other one named first."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value can't be used, or there is no file that it is for.
        """
        super().__post_init__()
        if self.file is None and (self.twins or self.swapped):
            raise ConfigError("prompts.twins and prompts.swapped are for prompts=FILE: name one, or leave them out")


@dataclass(frozen=True)
class PromptOptions(PromptFile):
    """Prompts of a file, and the rewriting of prompts before they are sent to the model; what is judged is the original's expectation."""

    expander: str = NONE
    """none; bundled (a deterministic elaboration); chat (an OpenAI-style chat endpoint, prompts.url); or a function of a prompt,
    package.module:function or FILE.py:function, that returns the rewritten one."""
    on_lost: Literal["keep", "original", "refuse"] = "keep"
    """What to do with a rewritten prompt that lacks or contradicts a colour, number, side or direction of the original: keep it, send the
    original in its place, or refuse, which ends the run before its first clip."""
    url: str | None = None
    """Base URL of the chat endpoint, such as http://localhost:8000/v1; requests go to URL/chat/completions."""
    model: str | None = None
    """The endpoint's name of the model."""
    key_env: str | None = None
    """Environment variable with the endpoint's key, null for one without. The key goes to the host of url alone, and into no file."""
    instruction: str | None = None
    """System message of the chat; null for the bundled one."""
    temperature: float = option(0.0, least=0, most=2)
    """Sampling temperature of the chat."""
    parallel: int = option(4, least=1, most=64)
    """Requests to the endpoint at a time."""
    retries: int = option(6, least=0, most=100)
    """How often a request is repeated that is not answered, with growing pauses."""
    reply_s: float = option(120.0, above=0, most=3600)
    """Longest wait for a reply, seconds."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value can't be used.
        """
        super().__post_init__()
        if self.expander not in (NONE, BUNDLED, CHAT) and ":" not in self.expander:
            raise ConfigError(
                f"prompts.expander={self.expander}: choose none, bundled or chat, or write package.module:function"
            )
        if self.expander == CHAT:
            self._check_url()

    def _check_url(self) -> None:
        parts = urlsplit(self.url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"prompts.url={self.url}: write the chat endpoint's URL, such as http://localhost:8000/v1"
            )
        if parts.username or parts.query:
            raise ConfigError(
                "prompts.url has a user or a query: put the key into the environment, and name it by prompts.key_env"
            )
        if self.model is None:
            raise ConfigError("prompts.model is missing: set prompts.model=..., the endpoint's name of the model")
        assert self.url is not None
        object.__setattr__(self, "url", self.url.rstrip("/"))
