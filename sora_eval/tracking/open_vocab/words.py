"""What a case asks about, as phrases for a detector."""

from __future__ import annotations

import re

from sora_eval.types import Case
from sora_eval.world.palette import COLOURS

THINGS = ("a", "b", "thing", "behind", "by")
"""Fields of an expectation that name things; the others are sides, numbers and states. A test compares them with all kinds."""
_COLOURED = re.compile(rf"\b({'|'.join(COLOURS)}) ([a-z]+)\b")


def phrases_of(case: Case | None) -> tuple[str, ...]:
    """Return the things that a case names, each once: those of its expectation; else the prompt's coloured ones.

    What is expected of them is not read: the phrases are the same for both twins.
    """
    if case is None:
        return ()
    if "kind" in case.expect:
        named = [str(case.expect[field]) for field in THINGS if isinstance(case.expect.get(field), str)]
    else:
        named = [" ".join(found) for found in _COLOURED.findall(case.prompt.lower())]
    return tuple(dict.fromkeys(named))


def states_of(case: Case | None) -> tuple[str, str, str] | None:
    """Return thing, state before and state after of a case about a change of state, None of any other."""
    if case is None or case.expect.get("kind") != "change":
        return None
    thing, before, after = (str(case.expect[field]) for field in ("thing", "before", "after"))
    return thing, before, after


def colour_of(phrase: str) -> str:
    """Return the palette's colour that a phrase begins with, "" for none: an orange alone is a fruit."""
    first, _, rest = phrase.partition(" ")
    return first if rest and first in COLOURS else ""
