"""An extension of griffe: fields that a class's docstring explains line by line (`name: meaning`) become a list."""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Extension, Function

_FIELD = re.compile(r"^(\w+(?:, \w+)*): (.+)$")
_SECTIONS = re.compile(r"^(Args|Returns|Raises|Yields|Example|Examples|Attributes|Note|Source):$")


class FieldLists(Extension):
    """Turns lines such as `fps: frames per second.` into items."""

    def on_class(self, *, cls: Class, **kwargs: Any) -> None:
        """Rewrite a class's docstring."""
        if cls.docstring:
            cls.docstring.value = itemised(cls.docstring.value)

    def on_function(self, *, func: Function, **kwargs: Any) -> None:
        """Rewrite a function's docstring."""
        if func.docstring:
            func.docstring.value = itemised(func.docstring.value)


def itemised(text: str) -> str:
    """Return a docstring with its explained names as list items; sections of Google's style are left as they are."""
    lines: list[str] = []
    within = section = False
    for line in re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE).split("\n"):
        section = (section and (line.startswith(" ") or not line.strip())) or bool(_SECTIONS.match(line))
        found = None if section else _FIELD.match(line)
        if found and not found[1].startswith("Source"):
            if not within and lines and lines[-1].strip():
                lines.append("")
            lines.append(f"- `{'`, `'.join(found[1].split(', '))}`: {found[2]}")
            within = True
        elif within and line.strip() and not section:
            lines.append(f"    {line}")
        else:
            within = within and not section and bool(line.strip())
            lines.append(line)
    return "\n".join(lines)
