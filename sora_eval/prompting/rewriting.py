"""A generator that gets rewritten prompts. RUN/prompts/CASE.json holds each, so that no run asks twice.

The case stays the original: trackers and probes see its prompt and its expectation, and the generator alone sees what was sent.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import read_json, write_json
from sora_eval.generator.base import Capabilities, Delivery, Generator, input_problems
from sora_eval.generator.devices import on_device
from sora_eval.paths import shown
from sora_eval.prompting import checker
from sora_eval.prompting.expanders import Expander, expander_of
from sora_eval.prompting.options import PromptOptions
from sora_eval.types import Case, Failure, Video, digest

FOLDER = "prompts"


@dataclass(frozen=True)
class Rewritten:
    """A prompt and its rewriting."""

    prompt: str
    """As written."""
    rewritten: str
    """As the expander answered."""
    expander: Mapping[str, str]
    """Identity of the expander: name, version and what else its answers depend on."""
    checker: int
    """Version of the check."""
    lost: tuple[str, ...]
    """Statements of the original that the rewriting lacks or contradicts, a line each."""

    def sent(self, on_lost: str) -> str:
        """Return what the model gets."""
        return self.prompt if self.lost and on_lost == "original" else self.rewritten


class Prompted:
    """A generator behind an expander; whatever else the generator has, such as `batch`, it has too."""

    def __init__(self, inner: Generator, expander: Expander, on_lost: str) -> None:
        self._inner, self._expander, self._on_lost = inner, expander, on_lost
        self._folder: Path | None = None
        self._seen: dict[str, Rewritten] = {}

    def __getattr__(self, name: str) -> Any:
        # Not of what a copy in another process lacks while it is made.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process reads the few that it needs.
        return {**self.__dict__, "_seen": {}, "_expander": _Named(self._expander.identity)}

    @property
    def name(self) -> str:
        """The generator's name."""
        return self._inner.name

    @property
    def kind(self) -> str:
        """The generator's kind."""
        return self._inner.kind

    @property
    def capabilities(self) -> Capabilities:
        """The generator's capabilities."""
        return self._inner.capabilities

    @property
    def rewriting(self) -> dict[str, Any]:
        """The expander's identity, what is done with prompts that lost something, and the counts of cases, as in a manifest."""
        every = self._seen.values()
        return {
            "expander": dict(self._expander.identity),
            "on_lost": self._on_lost,
            "cases": len(self._seen),
            "changed": sum(r.sent(self._on_lost) != r.prompt for r in every),
            "lost": sum(bool(r.lost) for r in every),
        }

    def on_device(self, device: str) -> Generator:
        """Return the generator on a device, with the same prompts.

        Raises:
            ConfigError: see `devices.on_device`.
        """
        copied = copy.copy(self)
        copied._inner = on_device(self._inner, device)
        return cast("Generator", copied)

    def fingerprint(self, case: Case) -> str:
        """Return a hash of the generator's fingerprint and the expander; the prompt as sent is an input of the clip alone."""
        return digest([self._inner.fingerprint(case), dict(self._expander.identity)])

    def sent(self, case: Case) -> str:
        """Return the prompt that the generator gets for a case.

        Raises:
            ConfigError: it is not there.
        """
        return self._of(case).sent(self._on_lost)

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield the generator's answers to the cases with their prompts as sent."""
        return self._inner.generate([replace(case, prompt=self.sent(case)) for case in cases])

    def input_problems(self, deliveries: Sequence[Delivery]) -> list[str]:
        """Return the faults of the generator's input, and how many prompts lost something and were sent so."""
        lines = input_problems(self._inner, deliveries)
        line = self.lost_line()
        return [*lines, line] if line and self._on_lost == "keep" else lines

    def lost_line(self) -> str:
        """Return how many prompts lost something, with an example; "" for none."""
        lost = {case: r for case, r in self._seen.items() if r.lost}
        if not lost:
            return ""
        case, example = next(iter(lost.items()))
        done = "the original was sent" if self._on_lost == "original" else "they were sent all the same"
        name = self._expander.identity["name"]
        return (
            f"{len(lost)} of {len(self._seen)} prompts lost a statement when {name} rewrote them, {done} "
            f"(in {case} {shown(example.lost[0])})"
        )

    def prepare(self, folder: Path, cases: Sequence[Case], say: Callable[[str], None]) -> None:
        """Rewrite the prompts of cases that are not yet stored in a run's folder.

        Raises:
            ConfigError: a prompt can't be rewritten; or one lost something, and such are refused.
        """
        self._folder, self._seen = folder, {}
        waiting: dict[str, list[Case]] = {}
        for case in cases:
            if (stored := self._stored(case)) is not None:
                self._seen[case.id] = stored
            else:
                waiting.setdefault(case.prompt, []).append(case)
        # Cases of one scene share a prompt, which is rewritten once.
        known = {r.prompt: r for r in self._seen.values()}
        for prompt in [p for p in waiting if p in known]:
            self._keep(waiting.pop(prompt), known[prompt])
        if waiting:
            say(f"rewriting {len(waiting)} prompts with {self._expander.identity['name']}")
        for (prompt, own), text in zip(waiting.items(), self._expander.rewrite(list(waiting)), strict=True):
            lost = checker.lost(prompt, text)
            self._keep(own, Rewritten(prompt, text, dict(self._expander.identity), checker.VERSION, lost))
        if line := self.lost_line():
            if self._on_lost == "refuse":
                raise ConfigError(f"{line.replace(', they were sent all the same', '')}: prompts.on_lost=refuse")
            say(line)

    def _keep(self, cases: Iterable[Case], rewritten: Rewritten) -> None:
        assert self._folder is not None
        for case in cases:
            write_json(_path(self._folder, case), asdict(rewritten))
            self._seen[case.id] = rewritten

    def _of(self, case: Case) -> Rewritten:
        found = self._seen.get(case.id) or self._stored(case)
        if found is None:
            raise ConfigError(f"{case.id}: its rewritten prompt is not there; run the same command again")
        self._seen[case.id] = found
        return found

    def _stored(self, case: Case) -> Rewritten | None:
        """Return the stored rewriting of a case's prompt by this expander, None where there is none; checked anew by a newer checker."""
        stored = None if self._folder is None else read_rewritten(self._folder, case.id)
        if stored is None or stored.prompt != case.prompt or dict(stored.expander) != dict(self._expander.identity):
            return None
        if stored.checker == checker.VERSION:
            return stored
        return replace(stored, checker=checker.VERSION, lost=checker.lost(stored.prompt, stored.rewritten))


@dataclass(frozen=True)
class _Named:
    """What is left of an expander in a worker process, where nothing is rewritten."""

    identity: Mapping[str, str]
    """Its identity."""

    def rewrite(self, prompts: Sequence[str]) -> Iterator[str]:
        raise ConfigError("prompts are rewritten before the first clip")


def prompted(generator: Generator, options: PromptOptions) -> Generator:
    """Return a generator that gets rewritten prompts; as it is without an expander.

    Raises:
        ConfigError: the expander can't be used, or the generator's clips are there already.
    """
    expander = expander_of(options)
    if expander is None:
        return generator
    if hasattr(generator, "source"):
        raise ConfigError(f"prompts.expander={options.expander}: the clips of a folder were made before; leave it out")
    return Prompted(generator, expander, options.on_lost)


def prepare(generator: Generator, folder: Path, cases: Sequence[Case], say: Callable[[str], None]) -> None:
    """Rewrite the prompts of a run's cases, where its generator has an expander. See `Prompted.prepare`."""
    if isinstance(generator, Prompted):
        generator.prepare(folder, cases, say)


def read_rewritten(folder: Path, case: str) -> Rewritten | None:
    """Return the rewriting of a case's prompt that is stored in a run's folder, None where there is none in a readable form."""
    path = folder / FOLDER / f"{case}.json"
    with suppress(SoraEvalError, OSError, KeyError, TypeError, ValueError):
        if path.is_file():
            return rewritten_of(read_json(path))
    return None


def write_rewritten(folder: Path, case: Case, rewritten: Rewritten) -> None:
    """Store the rewriting of a case's prompt in a run's folder: a run there sends it in place of asking."""
    write_json(_path(folder, case), asdict(rewritten))


def rewritten_of(row: Mapping[str, Any]) -> Rewritten:
    """Return the rewriting of a JSON object.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    made = Rewritten(row["prompt"], row["rewritten"], dict(row["expander"]), int(row["checker"]), tuple(row["lost"]))
    texts = [made.prompt, made.rewritten, *made.lost, *made.expander, *made.expander.values()]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a prompt, a line or a name that is no text")
    return made


def _path(folder: Path, case: Case) -> Path:
    return folder / FOLDER / f"{case.id}.json"
