"""Whether what a prompt states survives its rewriting: colours, numbers, sides and directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sora_eval.probes.natural.words import OPPOSITE
from sora_eval.prompting.statements import Number, Side, Statements

VERSION = 1
"""Raised whenever the check of the same two texts may have another result."""


def lost(original: str, rewritten: str) -> tuple[str, ...]:
    """Return a line for each statement of a prompt that its rewriting lacks or contradicts, () when all survive.

    Objects are matched by colour and noun, with common synonyms. A side may be stated as the rewriting likes, but never, for one object, as
    the opposite of what is stated, or in the opposite order. What is added is no matter, except another colour of a stated object or an
    opposite side.

    Example:
        >>> lost("A red ball rolls to the left.", "A glossy red sphere rolls leftward over the floor.")
        ()
        >>> lost("A red ball rolls to the left.", "A red ball rolls to the right.")
        ('red ball, direction left: the rewritten prompt has right',)
    """
    a, b = Statements(original), Statements(rewritten)
    return tuple(dict.fromkeys([*_colours(a, b), *_numbers(a, b), *_sides(a, b)]))


def _colours(a: Statements, b: Statements) -> Iterator[str]:
    for colour in sorted(a.colours - b.colours):
        yield f"{colour}: not in the rewritten prompt"
    for noun, colours in a.objects.items():
        there = b.objects.get(noun, frozenset())
        for colour in sorted(colours - there):
            # The colour may stand with a noun that is not known here.
            if there and colour in b.colours and not there <= colours:
                yield f"{colour} {noun}: the rewritten prompt has {', '.join(sorted(there - colours))}"
        if colours <= there and (added := there - colours):
            yield f"{colour_list(colours)} {noun}: the rewritten prompt has one in {colour_list(added)} too"


def colour_list(colours: frozenset[str]) -> str:
    """Return colours as a list in words."""
    return ", ".join(sorted(colours))


def _numbers(a: Statements, b: Statements) -> Iterator[str]:
    for n in a.numbers:
        alike = [m for m in b.numbers if m.unit == n.unit and (not n.of or not m.of or m.of == n.of)]
        if any(m.value == n.value for m in alike):
            continue
        if alike or n.unit or all(m.value != n.value for m in b.numbers):
            instead = f"the rewritten prompt has {alike[0].value:g}" if alike else "not in the rewritten prompt"
            yield f"{_named(n)}: {instead}"


def _named(n: Number) -> str:
    return f"{f'{n.of}, ' if n.of else ''}{n.value:g}{f' {n.unit}' if n.unit else ''}"


def _sides(a: Statements, b: Statements) -> Iterator[str]:
    there = {(s.of, s.kind, s.value) for s in b.sides}
    mirrored = {(s.than, s.kind, OPPOSITE[s.value]) for s in b.sides if s.than}
    here = {(s.of, s.kind, s.value) for s in a.sides}
    wanted, given = Counter(s.value for s in a.sides), Counter(s.value for s in b.sides)
    for s in a.sides:
        what = f"{f'{s.of}, ' if s.of else ''}{s.kind} {s.value}"
        opposite = OPPOSITE[s.value]
        if s.of and (s.of, s.kind, opposite) in there and (s.of, s.kind, opposite) not in here:
            yield f"{what}: the rewritten prompt has {opposite}"
        elif s.of and _reversed(_values(a, s), _values(b, s)):
            yield f"{what}: the rewritten prompt has the opposite order"
        elif _survives(s, there | mirrored) or given[s.value] >= wanted[s.value]:
            continue
        else:
            yield f"{what}: not in the rewritten prompt"


def _survives(s: Side, there: set[tuple[str, str, str]]) -> bool:
    kinds = ("part",) if s.kind == "part" else ("place", "direction")
    return any((s.of, kind, s.value) in there for kind in kinds)


def _values(text: Statements, side: Side) -> list[str]:
    """Return the values of a kind that are stated of an object, each once, by their first place."""
    pair = (side.value, OPPOSITE[side.value])
    own = (s.value for s in text.sides if s.of == side.of and s.kind == side.kind and s.value in pair)
    return list(dict.fromkeys(own))


def _reversed(first: list[str], second: list[str]) -> bool:
    return len(first) == 2 and second == first[::-1]
