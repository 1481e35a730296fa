"""Measures of the clips of references, in the cache that all runs share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property

import numpy as np

from sora_eval.encoders.names import Unread
from sora_eval.fidelity.features import ClipEntry, ClipFormat, ClipMeasures
from sora_eval.files import FileCache
from sora_eval.runs.store import reference_cache

_ROOMS = ("fidelity", "encoders", "metrics", "tracking", "video", "world")
_PACKAGES = ("torch", "torchmetrics", "lpips", "open_clip_torch")
"""Rooms on whose code the measures of given clips depend, and packages besides NumPy and OpenCV."""


class MeasureCache:
    """Measures by the `cache_key` of entries; entries without one are neither read nor written."""

    def __init__(self, version: Callable[[], str]) -> None:
        """Use the cache of references. version: returns the hash of the configuration, "" for no cache; called when it is needed."""
        self._version_of = version

    def read(self, entry: ClipEntry) -> tuple[ClipMeasures, dict[str, str]] | None:
        """Return the measures of a clip and the protocols by extractor, None where they are not there in a readable form."""
        name = self._name(entry)
        stored = self._files.read(name) if name and self._files is not None else None
        if stored is None:
            return None
        try:
            found = json.loads(stored)
            features = {str(k): np.array(row, np.float64) for k, row in found["features"].items()}
            values = {str(k): float(v) for k, v in found["values"].items()}
            unread = {str(k): _unread(**text) for k, text in found["unread"].items()}
            protocols = {str(k): str(v) for k, v in found["protocols"].items()}
            frames, height, width, fps = found["format"]
            measures = ClipMeasures(
                features, values, unread, ClipFormat(int(frames), int(height), int(width), float(fps))
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return measures, protocols

    def write(self, entry: ClipEntry, measures: ClipMeasures, protocols: dict[str, str]) -> None:
        """Keep the measures of a clip."""
        name = self._name(entry)
        if not name or self._files is None:
            return
        stored = {
            "features": {k: row.tolist() for k, row in measures.features.items()},
            "values": measures.values,
            "unread": {k: asdict(text) for k, text in measures.unread.items()},
            "protocols": protocols,
            "format": measures.format,
        }
        self._files.write(name, json.dumps(stored).encode())

    def _name(self, entry: ClipEntry) -> str:
        return f"fidelity/{self._version}/{entry.cache_key}.json" if entry.cache_key and self._version else ""

    @cached_property
    def _version(self) -> str:
        return self._version_of()

    @cached_property
    def _files(self) -> FileCache | None:
        return reference_cache(_ROOMS, _PACKAGES)


def _unread(text: str, unknown: list[str], limit: str) -> Unread:
    return Unread(text, tuple(unknown), limit)
