"""The mirrored or matched twin of a prompt, and the same prompt with its two things in the other order. By rules on words, in English."""

from __future__ import annotations

import re

from sora_eval.probes.natural.events import Change
from sora_eval.probes.natural.expectations import Count, Relation
from sora_eval.probes.natural.views import Camera
from sora_eval.probes.natural.words import NUMBERS, OPPOSITE, Expectation
from sora_eval.prompting import camera_words
from sora_eval.prompting.contradictions import BETWEEN, contradiction
from sora_eval.prompting.statements import Statements

_EXCHANGED = {
    **{side: other for side, other in OPPOSITE.items() if side not in ("in", "out")},
    **{"leftward": "rightward", "rightward": "leftward", "leftwards": "rightwards", "rightwards": "leftwards"},
    **{"upwards": "downwards", "downwards": "upwards", "upward": "downward", "downward": "upward"},
    **{"beneath": "above", "underneath": "above"},
}
_WORD = re.compile(r"[A-Za-z]+|\d+")
_DETERMINER = r"(?:an?|the|one)"


def mirrored(prompt: str, expectation: Expectation) -> str | None:
    """Return the words of the twin of a prompt, None where the words don't allow one.

    The twin of a side or a direction has left and right (above and below, up and down) exchanged; that of a number is the next number.

    >>> mirrored("A dog sits to the left of a cat.", Relation("dog", "left", "cat"))
    'A dog sits to the right of a cat.'
    """
    mirror = expectation.mirrored()
    # No rule on words turns a change of state round.
    if mirror is None or isinstance(expectation, Change):
        return None
    if isinstance(expectation, Count):
        twin = _renumbered(prompt, expectation)
    elif isinstance(expectation, Camera) and expectation.to not in ("left", "right"):
        twin = camera_words.exchanged(prompt)
    else:
        twin = _exchanged(prompt, bool({"above", "below", "up", "down"} & set(vars(expectation).values())))
    if twin is None or twin == prompt or contradiction(twin, mirror):
        return None
    return twin


def _exchanged(prompt: str, vertical: bool) -> str | None:
    """Return a prompt with every side exchanged, None where one of the words is no side there ("right behind", "left alone")."""
    sides = {w for w in _EXCHANGED if (w not in ("left", "right") and not w.startswith(("left", "right"))) == vertical}
    found = [m for m in _WORD.finditer(prompt) if m[0].lower() in sides]
    before = len(_values(prompt, vertical))
    for m in found:
        # A word that says no side can be left out without a statement less.
        without = f"{prompt[: m.start()]}somewhere{prompt[m.end() :]}"
        if (
            len(_values(without, vertical)) >= before
            and "left to right" not in prompt
            and "right to left" not in prompt
        ):
            return None
    text = list(prompt)
    for m in reversed(found):
        word = _EXCHANGED[m[0].lower()]
        text[m.start() : m.end()] = word.capitalize() if m[0][0].isupper() else word
    return "".join(text) if found else None


def _values(prompt: str, vertical: bool) -> list[str]:
    kinds = ("above", "below", "up", "down") if vertical else ("left", "right")
    return [s.value for s in Statements(prompt).sides if s.value in kinds]


def _renumbered(prompt: str, expectation: Count) -> str | None:
    if expectation.number < 2 or expectation.mirrored().number < 2:
        return None
    old, new = expectation.number, expectation.mirrored().number
    pairs = {str(old): str(new), NUMBERS[old]: NUMBERS[new]}
    found = [m for m in _WORD.finditer(prompt) if m[0].lower() in pairs]
    if len(found) != 1:
        return None
    (m,) = found
    word = pairs[m[0].lower()]
    return f"{prompt[: m.start()]}{word.capitalize() if m[0][0].isupper() else word}{prompt[m.end() :]}"


def reordered(prompt: str, expectation: Expectation) -> str | None:
    """Return a prompt of the same meaning that names its two things in the other order, None where the words don't allow it.

    >>> reordered("A dog sits to the left of a cat.", Relation("dog", "left", "cat"))
    'A cat sits to the right of a dog.'
    """
    if not isinstance(expectation, Relation):
        return None
    spans = [_phrases(prompt, thing) for thing in (expectation.a, expectation.b)]
    if any(len(s) != 1 for s in spans):
        return None
    (one,), (two,) = sorted(spans)
    words = [prompt[slice(*span)] for span in (two, one)]
    if one[0] == 0:
        words = [words[0][0].upper() + words[0][1:], words[1][0].lower() + words[1][1:]]
    text = prompt[: one[0]] + words[0] + prompt[one[1] : two[0]] + words[1] + prompt[two[1] :]
    text = _exchanged(text, expectation.side in ("above", "below")) or ""
    same = Relation(expectation.b, OPPOSITE[expectation.side], expectation.a)
    return text if text and not contradiction(text, same) else None


def _phrases(prompt: str, thing: str) -> list[tuple[int, int]]:
    """Return where a thing stands in a prompt, with its article and up to three words between."""
    pattern = rf"\b{_DETERMINER}\s+{BETWEEN}{re.escape(thing)}\b"
    return [m.span() for m in re.finditer(pattern, prompt, re.IGNORECASE)]
