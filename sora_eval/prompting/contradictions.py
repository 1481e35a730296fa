"""Whether a prompt states what is expected of its clip: things, sides, directions, numbers and events, by rules on English words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sora_eval.probes.natural.events import Bounce, Change, Fall, Push, Rest, Throw, Topple
from sora_eval.probes.natural.expectations import (
    Count,
    Cover,
    Hands,
    LeaveAndReturn,
    Motion,
    PassBehind,
    Relation,
)
from sora_eval.probes.natural.takes import LongTake
from sora_eval.probes.natural.views import Camera, Revisit, Shot
from sora_eval.probes.natural.words import OPPOSITE, PLURALS, Expectation
from sora_eval.prompting.camera_words import stated_moves
from sora_eval.prompting.statements import Side, Statements

_STAND_INS = ("red ball", "blue cube")
"""What things are called where their statements are read: words that every rule there knows."""
BETWEEN = r"(?:(?!(?:an?|the|one|of|to|and|on|in|at|with|by|from|while)\b)[a-z-]+\s+){0,3}?"
"""Up to three words between an article and its noun, in a pattern."""
_IRREGULAR = {singular: plural for plural, singular in PLURALS.items()}
_OVER = r"(?:tip(?:s|ped)?|fall(?:s|en)?|topple(?:s|d)?|keel(?:s|ed)?|knock(?:s|ed)?)"
_HIDES = r"\b(?:hid(?:es|den|ing)?|cover(?:s|ed|ing)?|in front of|conceal(?:s|ed)?|block(?:s|ed)?)\b"
_FLIES = r"\b(?:throw|thrown|toss|tossed|hurl|hurled|kick|kicked|fling|flung|lob|lobbed|flies|fly)(?:s|es|ing)?\b"
_LEAVES = r"\b(?:leav(?:es|ing)|out of|exits?|off)\b.*\b(?:back|returns?|again|re-?enters)\b"
_EVENTS: Mapping[type[Expectation], tuple[str, str]] = {
    Fall: (r"\b(?:fall|drop|tumble|plummet|plunge)(?:s|es|ped|ping|ing|d)?\b", "that the {} falls"),
    Rest: (r"\b(?:lies|lie|stands|stand|rests|sits|stays|hangs|remains|lying|standing|still)\b", "that the {} stays"),
    Bounce: (r"\bbounc(?:e|es|ing)\b", "that the {} bounces"),
    Throw: (_FLIES, "that the {} flies"),
    Push: (r"\b(?:push|pushed|shove|shoved)(?:es|s|ing)?\b", "that the {} is pushed"),
    Topple: (rf"\b(?:{_OVER}\s+(?:\w+\s+){{0,3}}?over|toppl(?:es|ed|ing))\b", "that the {} tips over"),
    PassBehind: (r"\bbehind\b", "behind what"),
    Cover: (_HIDES, "that the {} is hidden"),
    LeaveAndReturn: (_LEAVES, "that the {} leaves and comes back"),
}
"""Words of events, and what is not said without them."""
_TWO_SHOTS = r"\b(?:cuts? to|two shots|second shot|then a cut)\b"
_ONE_SHOT = r"\b(?:(?:one|single|continuous|unbroken)\b.*\b(?:shot|take)|without (?:a|any) cuts?|no cuts?)\b"


def contradiction(prompt: str, expectation: Expectation) -> str:
    """Return how the words of a prompt fall short of an expectation, "" where they state it."""
    for thing in expectation.things:
        if not _named(prompt, thing):
            return f"it names no {thing}"
    if event := _EVENTS.get(type(expectation)):
        pattern, unsaid = event
        if not re.search(pattern, prompt, re.IGNORECASE):
            return f"it does not say {unsaid.format(expectation.things[0])}"
    check = _CHECKS.get(type(expectation))
    return check(prompt, expectation) if check else ""


def _sides(prompt: str, things: Sequence[str]) -> tuple[Side, ...]:
    return Statements(_plain(prompt, things)).sides


def _compared(stated: Sequence[str], expected: str, what: str) -> str:
    if not stated:
        return f"it does not say to which side {what}"
    words = " and ".join(dict.fromkeys(stated))
    return "" if set(stated) == {expected} else f"{what} {words} in its words, not {expected}"


def _relation(prompt: str, e: Relation) -> str:
    a, b = _STAND_INS
    sides = [s for s in _sides(prompt, e.things) if s.kind == "place" and s.of in (a, b)]
    return _compared([s.value if s.of == a else OPPOSITE[s.value] for s in sides], e.side, f"the {e.a} stands")


def _motion(prompt: str, e: Motion) -> str:
    sides = _sides(prompt, e.things)
    stated = [s.value for s in sides if s.kind == "direction" and s.of == _STAND_INS[0]]
    return _compared(stated, e.to, f"the {e.thing} moves")


def _hands(prompt: str, e: Hands) -> str:
    stated = [s.value for s in _sides(prompt, e.things) if s.kind == "part"]
    return _compared(stated, e.hand, f"the hand of the {e.thing} is")


def _camera(prompt: str, e: Camera) -> str:
    stated = stated_moves(prompt)
    if not stated:
        return "it does not say what the camera does"
    if all(s.fits(e) for s in stated):
        return ""
    other = next(s for s in stated if not s.fits(e))
    return f"the camera is to {other.moves[0]} {other.to}".rstrip() + f" in its words, not to {e.phrase}"


def _revisit(prompt: str, e: Revisit) -> str:
    if not re.search(r"\b(?:back|returns?)\b", prompt, re.IGNORECASE):
        return "it does not say that the camera comes back"
    stated = [s.to for s in stated_moves(prompt) if s.to in ("left", "right")]
    return _first(stated, e.to, "the camera first turns")


def _first(stated: Sequence[str], to: str, what: str) -> str:
    """Compare the first direction alone: what goes to one side comes back to the other."""
    if to and not stated:
        return f"it does not say to which side {what}"
    if (stated[0] if stated else "") == to:
        return ""
    return f"{what} to the {stated[0]} in its words, not to {f'the {to}' if to else 'no side'}"


def _shot(prompt: str, e: Shot) -> str:
    two, one = (re.search(pattern, prompt, re.IGNORECASE) for pattern in (_TWO_SHOTS, _ONE_SHOT))
    if bool(two) == bool(one):
        return "it does not say whether it is one shot or has a cut"
    return "" if (e.shots == "two") == bool(two) else f"it says {'that there is a cut' if two else 'one shot'}"


def _take(prompt: str, e: LongTake) -> str:
    if fault := _shot(prompt, Shot("one")):
        return fault
    lengths = {n.value for n in Statements(prompt).numbers if n.unit == "second"}
    if lengths - {e.seconds}:
        return f"its words say {min(lengths - {e.seconds}):g} seconds, not {e.seconds}"
    return _count(prompt, e)


def _count(prompt: str, e: Count | LongTake) -> str:
    numbers = Statements(_plain(prompt, e.things)).numbers
    stated = [int(n.value) for n in numbers if n.unit == "ball"]
    if not stated and e.number == 1:
        one = re.search(rf"\b(?:an?|one|single)\s+{BETWEEN}{re.escape(e.thing)}\b", prompt, re.IGNORECASE)
        stated = [1] if one else []
    if not stated:
        return f"it does not say how many {e.thing}s there are"
    return "" if set(stated) == {e.number} else f"its words say {stated[0]}, not {e.number}"


def _rest(prompt: str, e: Rest) -> str:
    return f"the {e.thing} falls in its words" if re.search(_EVENTS[Fall][0], prompt, re.IGNORECASE) else ""


def _change(prompt: str, e: Change) -> str:
    words = set(re.findall(r"[a-z]+", prompt.lower()))
    return (
        "" if set(re.findall(r"[a-z]+", e.after)) <= words else f"it does not say that the {e.thing} becomes {e.after}"
    )


def _directions(prompt: str, e: Any) -> str:
    """Compare all directions that are stated, whatever they are said of."""
    stated = [s.value for s in _sides(prompt, e.things) if s.kind == "direction" and s.value in ("left", "right")]
    if set(stated) == ({e.to} if e.to else set()):
        return ""
    found = " and ".join(sorted(set(stated))) or "no side"
    return f"the {e.things[0]} moves to {found} in its words, not to {e.to or 'no side'}"


def _cover(prompt: str, e: Cover) -> str:
    stated = [s.value for s in _sides(prompt, e.things) if s.kind == "direction" and s.value in ("left", "right")]
    return _first(stated, e.to, f"the {e.by} moves")


def _leaving(prompt: str, e: LeaveAndReturn) -> str:
    stated = [s.value for s in _sides(prompt, e.things) if s.value in ("left", "right")]
    return _first(stated, e.to, f"the {e.thing} leaves")


_CHECKS: Mapping[type[Expectation], Callable[[str, Any], str]] = {
    Relation: _relation,
    Motion: _motion,
    Hands: _hands,
    Camera: _camera,
    Revisit: _revisit,
    Shot: _shot,
    Count: _count,
    PassBehind: _directions,
    Cover: _cover,
    LeaveAndReturn: _leaving,
    Rest: _rest,
    Bounce: _directions,
    Throw: _directions,
    Push: _directions,
    Topple: _directions,
    Change: _change,
    LongTake: _take,
}


def _pattern(thing: str) -> str:
    *before, last = thing.split()
    stem = re.escape(last[:-1]) + "(?:y|ies)" if last.endswith("y") else f"{re.escape(last)}(?:s|es)?"
    stem = f"(?:{stem}|{_IRREGULAR[last]})" if last in _IRREGULAR else stem
    return r"\b" + r"\s+".join([*map(re.escape, before), stem]) + r"\b"


def _named(prompt: str, thing: str) -> bool:
    return re.search(_pattern(thing), prompt, re.IGNORECASE) is not None


def _plain(prompt: str, things: Sequence[str]) -> str:
    """Return a prompt with its things under names that `Statements` knows."""
    for thing, name in sorted(zip(things, _STAND_INS, strict=False), key=lambda pair: -len(pair[0])):
        prompt = re.sub(_pattern(thing), name.upper(), prompt, flags=re.IGNORECASE)
    return prompt.lower()
