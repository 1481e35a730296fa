"""Expanders: what rewrites prompts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sora_eval.errors import ConfigError
from sora_eval.generator.answers import one_line
from sora_eval.generator.callable import load_function
from sora_eval.generator.function_hash import function_hash, source_text
from sora_eval.paths import shown
from sora_eval.prompting import bundled
from sora_eval.prompting.options import BUNDLED, CHAT, NONE, PromptOptions
from sora_eval.types import digest

if TYPE_CHECKING:
    from sora_eval.generator.service.client import Client

LONGEST = 8000
"""Characters of a rewritten prompt; more is no prompt."""
INSTRUCTION = (
    "Rewrite the user's prompt for a text-to-video model: one paragraph in English, more detailed about surfaces, light and camera. Keep "
    "every object with its colour, every number, every side (left, right, above, below) and every direction of motion exactly as stated. "
    "Add no object and no motion. Answer with the rewritten prompt alone."
)
_VERSION = 1
"""Raised whenever a request to a chat endpoint changes."""
_QUOTES = {'"': '"', "'": "'", "“": "”"}


class Expander(Protocol):
    """Rewrites prompts."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Return name and version, and whatever else the answers depend on."""

    def rewrite(self, prompts: Sequence[str]) -> Iterator[str]:
        """Yield the rewriting of each prompt, in order.

        Raises:
            ConfigError: one can't be rewritten.
        """


def expander_of(options: PromptOptions) -> Expander | None:
    """Return the expander that options name, None for none.

    Raises:
        ConfigError: it can't be used.
    """
    if options.expander == NONE:
        return None
    if options.expander == BUNDLED:
        return Function(BUNDLED, str(bundled.VERSION), bundled.expand)
    if options.expander == CHAT:
        return Chat(options)
    function = load_function(options.expander, "prompts.expander")
    return Function(options.expander, _source_hash(function), function)


def cleaned(who: str, prompt: str, answer: object) -> str:
    """Return a rewritten prompt in one line, without quotes around it and without what a model thought before it.

    Raises:
        ConfigError: it is no text, empty or too long.
    """
    if not isinstance(answer, str):
        raise ConfigError(f"{who} returned a {type(answer).__name__} for '{shown(prompt, 60)}', a text is needed")
    text = " ".join(re.sub(r"<think>.*?</think>", "", answer, flags=re.DOTALL).split())
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    if not text or len(text) > LONGEST:
        what = f"a text of {len(text)} characters" if text else "an empty text"
        raise ConfigError(f"{who} returned {what} for '{shown(prompt, 60)}'")
    return text


@dataclass(frozen=True)
class Function:
    """A Python function of a prompt."""

    name: str
    """Its name: bundled, or package.module:function."""
    version: str
    """The version of the bundled one, else a hash of the function's source file."""
    function: Callable[[str], Any]
    """The function."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Name and version."""
        return {"name": self.name, "version": self.version}

    def rewrite(self, prompts: Sequence[str]) -> Iterator[str]:
        """Yield the rewriting of each prompt, in order.

        Raises:
            ConfigError: the function raises, or returns no text.
        """
        who = f"prompts.expander={self.name}"
        for prompt in prompts:
            try:
                answer = self.function(prompt)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # the user's code
                raise ConfigError(f"{who} raised {one_line(error)} on '{shown(prompt, 60)}'") from error
            yield cleaned(who, prompt, answer)


@dataclass(frozen=True)
class Chat:
    """A model behind an OpenAI-style chat endpoint."""

    options: PromptOptions
    """Where it is and how it is asked."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Name, version (of the request's form and the instruction), endpoint and temperature."""
        version = f"{_VERSION}.{digest(self._instruction, 8)}"
        about = {"name": f"chat {self.options.model}", "version": version, "url": self.options.url or ""}
        return {**about, "temperature": f"{self.options.temperature:g}"}

    @property
    def _instruction(self) -> str:
        return INSTRUCTION if self.options.instruction is None else self.options.instruction

    def rewrite(self, prompts: Sequence[str]) -> Iterator[str]:
        """Yield the rewriting of each prompt, in order; several are asked for at a time.

        Raises:
            ConfigError: the key is missing, or the endpoint does not answer as it should.
        """
        client = self._client()
        try:
            with ThreadPoolExecutor(self.options.parallel) as threads:
                try:
                    yield from threads.map(lambda prompt: self._answer(client, prompt), prompts)
                finally:
                    client.stopped.set()
                    threads.shutdown(cancel_futures=True)
        finally:
            client.close()

    def _client(self) -> Client:
        # Late: a run without a chat needs no HTTP client.
        from sora_eval.generator.service.api import Api
        from sora_eval.generator.service.client import Client
        from sora_eval.generator.service.options import ServiceOptions

        key = os.environ.get(self.options.key_env, "") if self.options.key_env else ""
        if self.options.key_env and not key:
            raise ConfigError(
                f"prompts.key_env={self.options.key_env}: there is no such environment variable, or it is empty"
            )
        api = Api(
            submit="{url}/chat/completions",
            fields={},
            remember={"id": "id"},
            job="{url}",
            done=(),
            failed=(),
            content="{url}",
        )
        return Client(
            ServiceOptions(
                url=self.options.url or "",
                api=api,
                key_env=self.options.key_env,
                retries=self.options.retries,
                reply_s=self.options.reply_s,
            ),
            key,
            group="prompts",
        )

    def _answer(self, client: Client, prompt: str) -> str:
        import jmespath

        from sora_eval.generator.service.client import RefusedError, StoppedError, UnavailableError, UnconfirmedError

        messages = [{"role": "system", "content": self._instruction}, {"role": "user", "content": prompt}]
        fields = {"model": self.options.model, "messages": messages, "temperature": self.options.temperature, "seed": 0}
        who = f"prompts.expander=chat: {self.options.model}"
        try:
            # A question may be asked twice: that costs tokens, and nothing else.
            reply = client.submit(f"{self.options.url}/chat/completions", fields, {}, repeatable=True)
        except (RefusedError, UnavailableError, UnconfirmedError, StoppedError) as error:
            reason = client.hidden(one_line(error).partition(": ")[2] or "stopped")
            raise ConfigError(f"{who} gave no answer ({reason}); the same command asks for the rest") from None
        text = jmespath.search("choices[0].message.content", reply)
        if not isinstance(text, str):
            raise ConfigError(f"{who} answered without choices[0].message.content; the same command asks for the rest")
        return cleaned(who, prompt, client.hidden(text))


def _source_hash(function: Callable[..., Any]) -> str:
    text = source_text(function)
    return digest(text) if text else function_hash(function)
