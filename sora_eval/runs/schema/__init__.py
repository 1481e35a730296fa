"""JSON Schema of the results format: the files of a run folder, and a leaderboard's CSV."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

VERSION = 1
"""Version of the format, `schema_version` of manifest.json. Raised when a key is renamed or removed or changes its meaning."""


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of this version; its `$defs` describe one file, or one line of one, each.

    Example:
        >>> sorted(schema()["$defs"]["Clips"]["properties"])
        ['failed', 'made', 'reused']
    """
    read: dict[str, Any] = json.loads((files(__name__) / f"results-{VERSION}.json").read_text(encoding="utf-8"))
    return read


def definition(name: str) -> dict[str, Any]:
    """Return the schema of one file or line, such as "ScoreRow", as a schema of its own.

    Raises:
        KeyError: there is no definition of that name.
    """
    whole = schema()
    whole["$defs"][name]
    return {"$schema": whole["$schema"], "$ref": f"#/$defs/{name}", "$defs": whole["$defs"]}
