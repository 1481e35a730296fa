"""The mirrored or matched twin of a prompt, and the same prompt with its two things in the other order. By rules on words, in English."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sora_eval.probes.natural.expectations import (
    NUMBERS,
    OPPOSITE,
    Camera,
    Count,
    Expectation,
    Motion,
    PassBehind,
    Relation,
)
from sora_eval.prompting.statements import Number, Statements

_STAND_INS = ("red ball", "blue cube")
"""What things are called where their statements are read: words that every rule there knows."""
_EXCHANGED = {
    **OPPOSITE,
    **{"leftward": "rightward", "rightward": "leftward", "leftwards": "rightwards", "rightwards": "leftwards"},
    **{"upwards": "downwards", "downwards": "upwards", "upward": "downward", "downward": "upward"},
    **{"beneath": "above", "underneath": "above"},
}
_WORD = re.compile(r"[A-Za-z]+|\d+")
_DETERMINER = r"(?:an?|the|one)"
_BETWEEN = r"(?:(?!(?:an?|the|one|of|to|and|on|in|at|with|by|from|while)\b)[a-z-]+\s+){0,3}?"
"""Up to three words between an article and its noun."""


def mirrored(prompt: str, expectation: Expectation) -> str | None:
    """Return the words of the twin of a prompt, None where the words don't allow one.

    The twin of a side or a direction has left and right (above and below, up and down) exchanged; that of a number is the next number.

    >>> mirrored("A dog sits to the left of a cat.", Relation("dog", "left", "cat"))
    'A dog sits to the right of a cat.'
    """
    if isinstance(expectation, Count):
        twin = _renumbered(prompt, expectation)
    else:
        vertical = bool({"above", "below", "up", "down"} & set(vars(expectation).values()))
        twin = _exchanged(prompt, vertical)
    if twin is None or twin == prompt or contradiction(twin, expectation.mirrored()):
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
    pattern = rf"\b{_DETERMINER}\s+{_BETWEEN}{re.escape(thing)}\b"
    return [m.span() for m in re.finditer(pattern, prompt, re.IGNORECASE)]


def contradiction(prompt: str, expectation: Expectation) -> str:
    """Return how the words of a prompt fall short of an expectation, "" where they state it."""
    for thing in expectation.things:
        if not _named(prompt, thing):
            return f"it names no {thing}"
    sides = Statements(_plain(prompt, expectation.things)).sides
    a, b = _STAND_INS
    if isinstance(expectation, Relation):
        stated = [s.value if s.of == a else OPPOSITE[s.value] for s in sides if s.kind == "place" and s.of in (a, b)]
        return _compared(stated, expectation.side, f"the {expectation.a} stands")
    if isinstance(expectation, Motion):
        stated = [s.value for s in sides if s.kind == "direction" and s.of == a]
        return _compared(stated, expectation.to, f"the {expectation.thing} moves")
    if isinstance(expectation, Camera):
        stated = [s.value for s in sides if s.kind == "direction" and s.of == "camera"]
        return _compared(stated, expectation.to, "the camera turns")
    if isinstance(expectation, Count):
        return _counted(Statements(_plain(prompt, expectation.things)).numbers, prompt, expectation)
    return _passing(prompt, expectation, [s.value for s in sides if s.kind == "direction"])


def _compared(stated: Sequence[str], expected: str, what: str) -> str:
    if not stated:
        return f"it does not say to which side {what}"
    return (
        ""
        if set(stated) == {expected}
        else f"{what} {' and '.join(dict.fromkeys(stated))} in its words, not {expected}"
    )


def _counted(numbers: Sequence[Number], prompt: str, expectation: Count) -> str:
    stated = [int(n.value) for n in numbers if n.unit == "ball"]
    if not stated and expectation.number == 1:
        one = re.search(rf"\b(?:an?|one|single)\s+{_BETWEEN}{re.escape(expectation.thing)}\b", prompt, re.IGNORECASE)
        stated = [1] if one else []
    if not stated:
        return f"it does not say how many {expectation.thing}s there are"
    return "" if set(stated) == {expectation.number} else f"its words say {stated[0]}, not {expectation.number}"


def _passing(prompt: str, expectation: PassBehind, directions: Sequence[str]) -> str:
    if not re.search(r"\bbehind\b", prompt, re.IGNORECASE):
        return "it does not say behind what"
    stated = set(directions)
    if (expectation.to and stated != {expectation.to}) or (not expectation.to and stated):
        found = " and ".join(sorted(stated)) or "no side"
        return f"the {expectation.thing} moves to {found} in its words, not to {expectation.to or 'no side'}"
    return ""


def _pattern(thing: str) -> str:
    *before, last = thing.split()
    stem = re.escape(last[:-1]) + "(?:y|ies)" if last.endswith("y") else f"{re.escape(last)}(?:s|es)?"
    irregular = {
        "person": "people",
        "child": "children",
        "man": "men",
        "woman": "women",
        "goose": "geese",
        "knife": "knives",
    }
    stem = f"(?:{stem}|{irregular[last]})" if last in irregular else stem
    return r"\b" + r"\s+".join([*map(re.escape, before), stem]) + r"\b"


def _named(prompt: str, thing: str) -> bool:
    return re.search(_pattern(thing), prompt, re.IGNORECASE) is not None


def _plain(prompt: str, things: Sequence[str]) -> str:
    """Return a prompt with its things under names that `Statements` knows."""
    for thing, name in sorted(zip(things, _STAND_INS, strict=False), key=lambda pair: -len(pair[0])):
        prompt = re.sub(_pattern(thing), name.upper(), prompt, flags=re.IGNORECASE)
    return prompt.lower()
