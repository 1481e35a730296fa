"""What a prompt says of the camera: its moves with their directions, in English, by rules on words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sora_eval.probes.natural.views import STILL, Camera
from sora_eval.probes.natural.words import OPPOSITE

_CAMERA = r"(?:camera|lens|view|shot|picture|frame|drone)"
_VERBS = {
    "zoom": r"zoom(?:s|ing)?",
    "tilt": r"tilt(?:s|ing)?",
    "pan": r"pan(?:s|ning)?|turn(?:s|ing)?|swing(?:s|ing)?|sweep(?:s|ing)?|swivel(?:s|ling)?|look(?:s|ing)?",
    "orbit": r"orbit(?:s|ing)?|circl(?:es|ing)",
    "roll": r"roll(?:s|ing)?",
    "truck": r"truck(?:s|ing)?|slid(?:es|ing)|track(?:s|ing)?",
    "dolly": r"doll(?:y|ies|ying)|push(?:es|ing)?|pull(?:s|ing)?|approach(?:es|ing)?|retreat(?:s|ing)?",
    "go": r"mov(?:es|ing)|travel(?:s|ling)?|glid(?:es|ing)|drift(?:s|ing)?|fl(?:ies|ying)|driv(?:es|ing)|go(?:es|ing)?|float(?:s|ing)?"
    r"|walk(?:s|ing)?",
    "stand": r"stays?|stands?|remains?|is",
}
"""Verbs of each move; "go" is a move whose direction says which, "stand" is none."""
_WAYS = {
    "left": r"left(?:wards?)?",
    "right": r"right(?:wards?)?",
    "up": r"up(?:wards?)?",
    "down": r"down(?:wards?)?",
    "in": r"in(?=\s*(?:[,.;]|$|on\b|to\b|towards?\b|closer\b))|into|forwards?|towards?|closer|inwards?",
    "out": r"out|backwards?|back|away|outwards?",
}
_OTHER = {
    **OPPOSITE,
    **{
        "upwards": "downwards",
        "downwards": "upwards",
        "forward": "back",
        "forwards": "backwards",
        "back": "forward",
        "backwards": "forwards",
    },
    **{
        "towards": "away from",
        "away from": "towards",
        "toward": "away from",
        "inwards": "outwards",
        "outwards": "inwards",
    },
}
_FITTING = {
    "zoom": ("in", "out"),
    "tilt": ("up", "down"),
    "pan": ("left", "right", "up", "down"),
    "orbit": ("left", "right"),
    "roll": ("left", "right"),
    "truck": ("left", "right"),
    "dolly": ("in", "out", "left", "right"),
    "go": ("left", "right", "in", "out"),
}
_AROUND = re.compile(r"\b(?:around|round)\b")
_STANDS = re.compile(
    rf"\b{_CAMERA}(?:\s+that)?\s+(?:does not|doesn't|never)\s+move|\b{_CAMERA}(?:\s+that)?\s+(?:is|stays|stands|remains|holds)\s+"
    rf"(?:\w+ly\s+)?(?:still|static|fixed|locked|in its place|where it is)|\b(?:static|fixed|still|locked|unmoving)\s+{_CAMERA}"
)
_CLAUSE = re.compile(r"[.;]|\b(?:while|as|when|whereas)\b")
_WORDS_BETWEEN = 14
_SENTENCE_ENDS = ".;!?"
_SAYING = {
    ("in", "out"): rf"\b(?:{_WAYS['in']}|{_WAYS['out']}|toward|nearer|farther|further|(?:larg|bigg|small)er)\b",
    ("up", "down"): rf"\b(?:{_WAYS['up']}|{_WAYS['down']})\b",
}
"""Words on the directions of an axis, beside those of the move itself."""


@dataclass(frozen=True)
class Stated:
    """A move that is stated."""

    moves: tuple[str, ...]
    """The moves that the words may mean: a camera that "moves to the left" may pan or truck."""
    to: str
    """left, right, up, down, in or out; "" of a still camera."""
    span: tuple[int, int] = (0, 0)
    """Where the direction's words stand in the prompt."""

    def fits(self, expected: Camera) -> bool:
        """Return whether it is the move that is expected."""
        return expected.kind in self.moves and self.to == expected.to


def stated_moves(prompt: str) -> list[Stated]:
    """Return the camera's moves in their order; a camera that stands still is one, where there is no other.

    Example:
        >>> [(s.moves, s.to) for s in stated_moves("The camera moves slowly around a statue to the left.")]
        [(('orbit',), 'left')]
    """
    text = prompt.lower()
    moves = [m for clause in _clauses(text) for m in _moves(text, *clause)]
    return moves or ([Stated((STILL,), "")] if _STANDS.search(text) else [])


def exchanged(prompt: str) -> str | None:
    """Return a prompt with the camera's directions exchanged, None where one has no opposite word or is said twice in its sentence.

    >>> exchanged("The camera tilts up along a tower.")
    'The camera tilts down along a tower.'
    """
    for move in reversed(stated_moves(prompt)):
        start, end = move.span
        words = prompt[start:end].lower()
        if words not in _OTHER or _said_again(prompt.lower(), move):
            return None
        prompt = prompt[:start] + _OTHER[words] + prompt[end:]
    return prompt


def _said_again(text: str, move: Stated) -> bool:
    """Return whether further words on the direction stand in its sentence: "moves back, away from them" has two of them."""
    start, end = move.span
    first = max(text.rfind(mark, 0, start) for mark in _SENTENCE_ENDS) + 1
    last = min((at for mark in _SENTENCE_ENDS if (at := text.find(mark, end)) >= 0), default=len(text))
    axis = next((axis for axis in _SAYING if move.to in axis), None)
    return axis is not None and any(re.search(_SAYING[axis], part) for part in (text[first:start], text[end:last]))


def _clauses(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the text on the camera begins, behind its word, and ends."""
    for found in re.finditer(rf"\b{_CAMERA}\b", text):
        end = _CLAUSE.search(text, found.end())
        yield found.end(), end.start() if end else len(text)


def _moves(text: str, start: int, end: int) -> Iterator[Stated]:
    any_verb = "|".join(f"(?P<{name}>{verbs})" for name, verbs in _VERBS.items())
    # The verb of the camera follows it, and further ones follow "and" or "then": any other is something else's.
    first = re.compile(rf"(?:\s+(?:that|which))?(?:\s+is)?(?:\s+\w+ly)*\s+(?:{any_verb})\b")
    further = re.compile(rf"\b(?:and|then)(?:\s+(?:then|\w+ly))*\s+(?:{any_verb})\b")
    verb = first.match(text, start, end)
    while verb:
        following = further.search(text, verb.end(), end)
        until = following.start() if following else end
        kind = next(k for k, v in verb.groupdict().items() if v)
        if kind in _FITTING and (found := _direction(text, verb.end(), until, kind)):
            yield found
            yield from _second(text, found, until, kind)
        verb = following


def _direction(text: str, start: int, end: int, verb: str) -> Stated | None:
    around = verb == "go" and _AROUND.search(text, start, end)
    fitting = _FITTING["orbit" if around else verb]
    ways = _ways(fitting, verb)
    across = re.compile(r"\b(?:from (?:the )?)?(?:left|right) to (?:the )?(left|right)\b").search(text, start, end)
    found = None if across else re.compile(rf"\b(?:{ways})\b").search(text, start, end)
    if across:
        way, span = across[1], across.span(1)
    elif found and len(text[start : found.start()].split()) <= _WORDS_BETWEEN:
        way = next(k for k, v in found.groupdict().items() if v)
        span = found.span()
        if found[0] == "away" and text.startswith(" from", found.end()):
            span = (span[0], found.end() + len(" from"))
    else:
        return None
    return Stated(("orbit",) if around else _meant(verb, way), way, span)


def _second(text: str, first: Stated, end: int, verb: str) -> Iterator[Stated]:
    """Yield a further direction of the same verb: "pans left and right", "zooms in on a dog, then out"."""
    then = r"(?:\s*,?\s*|.*?\b(?=then\b))(?:(?:and|then|before|but)\b\s*)+(?:(?:then|back|again|to|the|\w+ly)\s+)*"
    fitting = _FITTING["orbit" if first.moves == ("orbit",) else verb]
    if found := re.compile(rf"{then}(?:{_ways(fitting, verb)})\b").match(text, first.span[1], end):
        way = next(k for k, v in found.groupdict().items() if v)
        yield Stated(first.moves if first.moves == ("orbit",) else _meant(verb, way), way, found.span(way))


def _ways(fitting: Sequence[str], verb: str) -> str:
    """Return a pattern of directions, each in a group of its name."""
    # `zoom` takes a bare `in`; after other verbs, `in` may be a preposition.
    words = {**_WAYS, "in": f"in|{_WAYS['in']}"} if verb == "zoom" else _WAYS
    return "|".join(f"(?P<{way}>{words[way]})" for way in fitting)


def _meant(verb: str, way: str) -> tuple[str, ...]:
    if verb == "go":
        return ("pan", "truck") if way in ("left", "right") else ("dolly",)
    if verb == "pan" and way in ("up", "down"):
        return ("tilt",)
    if verb == "dolly" and way in ("left", "right"):
        return ("truck",)
    return (verb,)
