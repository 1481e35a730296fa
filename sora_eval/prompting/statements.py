"""What a prompt states of its scene: coloured objects, numbers, sides and directions. By rules on words, in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from sora_eval.probes.natural.words import OPPOSITE

Kind: TypeAlias = Literal["place", "direction", "part"]
COLOURS = (
    *("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"),
    *("white", "black", "grey", "brown"),
)
_SHADES = {
    **{"gray": "grey", "crimson": "red", "scarlet": "red", "turquoise": "cyan", "teal": "cyan", "aqua": "cyan"},
    **{"violet": "purple", "magenta": "pink", "azure": "blue", "navy": "blue", "emerald": "green", "lime": "green"},
}
_SYNONYMS = {
    "ball": ("sphere", "orb", "globe"),
    "cube": ("box",),
    "block": ("brick", "slab"),
    "pillar": ("column", "post"),
    "wall": ("barrier", "partition"),
    "screen": ("panel",),
    "cookie": ("biscuit",),
    "glass": ("goblet", "cup", "tumbler"),
    "ramp": ("slope", "incline"),
    "glove": ("mitten",),
    "stroke": ("streak",),
    "puff": ("gust",),
    "figure": ("person", "character"),
    "hand": ("arm",),
    "metre": ("meter", "m", "metres", "meters"),
    "degree": ("°",),
    "second": ("s", "sec"),
}
_NOUNS = (
    *_SYNONYMS, "cone", "cylinder", "candle", "flame", "creature", "hair", "shirt", "handle", "brush", "canvas", "spot", "shot",
    "head", "camera", "edge",
)  # fmt: skip
_CANONICAL = {other: name for name, others in _SYNONYMS.items() for other in others} | {n: n for n in _NOUNS}
_UNITS = ("metre", "degree", "second", "time")
_NUMBERS = {
    word: float(i)
    for i, word in enumerate(
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], start=2
    )
}
_SIDES = {
    **{"left": "left", "right": "right", "leftward": "left", "leftwards": "left", "rightward": "right"},
    **{"rightwards": "right", "above": "above", "below": "below", "beneath": "below", "underneath": "below"},
    **{"upwards": "up", "upward": "up", "downwards": "down", "downward": "down"},
}
_BODY = ("hand", "edge", "glove")
_REGIONS = ("side", "half", "part", "third", "corner", "portion", "end")
_PICTURE = ("picture", "frame", "image", "screen", "scene", "view", "shot", "viewer")
_DETERMINERS = ("the", "its", "our", "his", "her", "their", "a", "far", "very", "extreme", "hand", "s")
_AT = ("on", "at", "in", "along", "near", "by", "onto")
_TO = ("to", "toward", "towards")
_MOVES = re.compile(
    r"(pan|mov|turn|roll|slid|travel|drift|fl[iye]|go|head|circl|swing|glid|run|back|return|shift|veer|sweep|track|orbit|rotat|step"
    r"|walk|com|start|straight)"
)
_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?|[.,;:!?°]")
_ENDS, _BREAKS = (".", ";", "!", "?"), (",", ":", "while", "whereas", "and", "but", "then")
_WINDOW = 4


@dataclass(frozen=True)
class Mention:
    """An object where it is named."""

    at: int
    """Number of the word."""
    name: str
    """Its colour and noun in their common form, such as "red ball"."""


@dataclass(frozen=True)
class Side:
    """A side or a direction."""

    of: str
    """The object, "" where none is near."""
    kind: Kind
    """place (on the left), direction (to the left; "from the right" as well) or part (its left hand)."""
    value: str
    """left, right, above, below, up or down."""
    than: str = ""
    """The object that the place is relative to, "" for none."""


@dataclass(frozen=True)
class Number:
    """A number of things, or a measure."""

    value: float
    """The number."""
    unit: str
    """The noun or unit behind it, "" for one that is not known."""
    of: str
    """The object that a measure is near, "" for a number of things."""


class Statements:
    """The statements of a text."""

    def __init__(self, text: str) -> None:
        self.words = tuple(_WORD.findall(re.sub(r"(?<=\d)(?=m\b|°)", " ", text.lower())))

    @cached_property
    def colours(self) -> frozenset[str]:
        """Colours that are named."""
        return frozenset(c for word in self.words if (c := _colour(word)))

    @cached_property
    def objects(self) -> dict[str, frozenset[str]]:
        """Colours of each noun that has some."""
        found: dict[str, set[str]] = {}
        for mention in self._coloured:
            colour, _, noun = mention.name.partition(" ")
            found.setdefault(noun, set()).add(colour)
        return {noun: frozenset(colours) for noun, colours in found.items()}

    @cached_property
    def sides(self) -> tuple[Side, ...]:
        """Sides and directions, in their order."""
        return tuple(self._sides())

    @cached_property
    def numbers(self) -> tuple[Number, ...]:
        """Numbers, in their order."""
        return tuple(self._numbers())

    @cached_property
    def _coloured(self) -> tuple[Mention, ...]:
        return tuple(m for i, word in enumerate(self.words) if (c := _colour(word)) for m in self._behind(i, c))

    def _behind(self, i: int, colour: str) -> Iterator[Mention]:
        """Yield the object that a colour belongs to: the noun behind it, else the one that it is said of ("the ball is red")."""
        noun = ""
        for k in range(i + 1, min(i + 1 + _WINDOW, len(self.words))):
            word = self.words[k]
            if word in _ENDS or word == "and" or _colour(word):
                break
            if (name := _noun(word)) and name not in _UNITS:
                # Of "a ball-shaped creature" the first, of "rubber ball" the known one.
                yield Mention(k, f"{colour} {name}")
                return
        for k in range(i - 1, max(-1, i - 1 - _WINDOW), -1):
            word = self.words[k]
            if word in _ENDS or _colour(word):
                return
            if (
                (noun := _noun(word))
                and noun not in _UNITS
                and {"is", "are", "coloured", "colored"} & {*self.words[k:i]}
            ):
                yield Mention(k, f"{colour} {noun}")
                return

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """Objects where they are named: coloured ones, the camera, and nouns that stand for the only coloured one of their kind."""
        found = {m.at: m for m in self._coloured}
        for i, word in enumerate(self.words):
            noun = _noun(word)
            if not noun or i in found or noun in _UNITS or noun in _BODY:
                continue
            colours = self.objects.get(noun, frozenset())
            if noun == "camera" or len(colours) == 1:
                found[i] = Mention(i, f"{next(iter(colours))} {noun}" if colours else noun)
        return tuple(found[i] for i in sorted(found))

    def _sides(self) -> Iterator[Side]:
        done = -1
        for i, word in enumerate(self.words):
            value = _SIDES.get(word)
            if value is None or i <= done:
                continue
            end = self._other_end(i, value)
            if end:
                done = end
                yield Side(self._bound(i), "direction", OPPOSITE[value])
            elif (side := self._side(i, value)) is not None:
                yield side

    def _other_end(self, i: int, value: str) -> int:
        """Return the word that ends "left to right", 0 where none does."""
        rest = [k for k in range(i + 1, min(i + 7, len(self.words))) if self.words[k] not in _DETERMINERS]
        rest = [k for k in rest if self.words[k] not in (*_REGIONS, "of", *_PICTURE)]
        ends = len(rest) > 1 and self.words[rest[0]] in _TO and _SIDES.get(self.words[rest[1]]) == OPPOSITE[value]
        return rest[1] if ends else 0

    def _side(self, i: int, value: str) -> Side | None:
        behind = self.words[i + 1] if i + 1 < len(self.words) else ""
        body = _noun(behind)
        if body in _BODY and self.words[i + 2 : i + 3] not in [(r,) for r in _REGIONS]:
            return Side("hand" if body == "glove" else body, "part", value)
        before = [w for w in self.words[max(0, i - 4) : i] if w not in _DETERMINERS]
        preposition = before[-1] if before else ""
        if preposition == "from":
            towards = {"above": "down", "below": "up"}.get(value, OPPOSITE[value])
            return Side(self._bound(i), "direction", towards)
        if value in ("above", "below"):
            return self._relative(i, value)
        if preposition in (*_TO, *_AT) and behind == "of" and not self._picture(i + 2) and self._next(i):
            return self._relative(i, value)
        if preposition in _AT or (behind in _REGIONS and preposition not in _TO):
            return Side(self._bound(i), "place", value)
        word = self.words[i]
        if preposition in _TO or "ward" in word or _MOVES.match(preposition):
            return Side(self._bound(i), "direction", value)
        return None

    def _relative(self, i: int, value: str) -> Side:
        than = self._next(i)
        return Side(self._bound(i, than.at if than else -1), "place", value, than.name if than else "")

    def _picture(self, i: int) -> bool:
        return any(w in _PICTURE for w in self.words[i : i + 2])

    def _next(self, i: int) -> Mention | None:
        """Return the object that is named within the next few words."""
        return next((m for m in self.mentions if i < m.at <= i + 2 + _WINDOW), None)

    def _bound(self, i: int, without: int = -1) -> str:
        """Return the object of a word: the last one before it in its clause, else the next one there, else the nearest in its sentence.

        without: the place of one that it is not.
        """
        first, last = self._span(i, _ENDS)
        start, end = self._span(i, (*_ENDS, *_BREAKS))
        mentions = [m for m in self.mentions if m.at != without]
        here = [m for m in mentions if start <= m.at < end]
        if before := [m for m in here if m.at < i]:
            return before[-1].name
        if here:
            return here[0].name
        sentence = [m for m in mentions if first <= m.at < last]
        after = [m for m in sentence if m.at > i]
        # "On the left, a red ball stands": a clause that begins with its preposition and holds no object.
        if i - start <= 2 and after:
            return after[0].name
        return ([m for m in sentence if m.at < i] or after or [Mention(0, "")])[-1 if i - start > 2 else 0].name

    def _span(self, i: int, breaks: tuple[str, ...]) -> tuple[int, int]:
        start = next((k + 1 for k in range(i - 1, -1, -1) if self.words[k] in breaks), 0)
        return start, next((k for k in range(i + 1, len(self.words)) if self.words[k] in breaks), len(self.words))

    def _numbers(self) -> Iterator[Number]:
        for i, word in enumerate(self.words):
            value = float(word) if word[0].isdigit() else _NUMBERS.get(word)
            if value is None:
                continue
            if self.words[i + 1 : i + 4] == ("and", "a", "half"):
                value += 0.5
            unit = next((n for w in self.words[i + 1 : i + 1 + _WINDOW] if (n := _noun(w) or _unit(w))), "")
            yield Number(value, unit, self._bound(i) if unit in _UNITS else "")


def _colour(word: str) -> str:
    return word if word in COLOURS else _SHADES.get(word, "")


def _unit(word: str) -> str:
    return "time" if word == "times" else ""


def _noun(word: str) -> str:
    return _CANONICAL.get(word) or _CANONICAL.get(word.removesuffix("s")) or _CANONICAL.get(word.removesuffix("es"), "")
