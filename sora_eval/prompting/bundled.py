"""The bundled expander: the prompt as it is, with sentences around it that describe surfaces, light and picture.

It is deterministic and adds no colour, number, side, direction or object, so that what is judged stays what was stated.
"""

from __future__ import annotations

import re

VERSION = 1
"""Raised whenever the same prompt gives another text."""
_OPENING = "A realistic video in a single continuous take, in sharp focus."
_SURFACES = {
    "ball": "The surface of each ball is smooth and slightly glossy",
    "cube": "every cube has clean, straight edges",
    "cone": "every cone has a fine tip",
    "cylinder": "every cylinder is matt and evenly round",
    "block": "the blocks are solid and heavy",
    "candle": "the candle is of plain wax",
    "figure": "the figure is simple, like a toy",
    "creature": "the creature moves in a lively way",
    "glass": "the glass is thin and brittle",
    "brush": "the brush leaves an even trace of wet paint",
    "screen": "the screen is opaque",
    "wall": "the wall is opaque",
    "pillar": "the pillars are slim and still",
    "ramp": "the ramp is smooth and rigid",
}
_MOTION = (
    "Everything moves as it does in reality, with weight and without jumps; nothing appears or vanishes, and all things keep shape and "
    "colour."
)
_STILL = "All things keep shape and colour from beginning to end."
_LIGHT = "Soft, even light; natural shadows."
_MOVING = re.compile(
    r"\b(roll|slid|fall|drop|bounc|fl[iy]|mov|pan|turn|travel|drift|topple|break|go|come|raise|circl|thrown|paint)\w*"
)


def expand(prompt: str) -> str:
    """Return an elaboration of a prompt.

    Example:
        >>> expand("A red ball stands still.").startswith("A realistic video in a single continuous take, in sharp focus. A red ball")
        True
    """
    words = re.findall(r"[a-z]+", prompt.lower())
    surfaces = [text for noun, text in _SURFACES.items() if noun in words or f"{noun}s" in words]
    looks = "; ".join(surfaces)
    parts = [_OPENING, prompt.strip(), f"{looks[:1].upper()}{looks[1:]}." if looks else ""]
    parts += [_MOTION if _MOVING.search(prompt.lower()) else _STILL, _LIGHT]
    return " ".join(part for part in parts if part)
