"""Compares what two versions of the code give for the same command: `python tests/compare_scores.py BEFORE AFTER`.

BEFORE and AFTER are run folders (scores.jsonl: values, reasons, components), folders with a validity card (validity.json: every number,
whatever its key), or folders of a gate (gate.xml: every test's name and verdict). Exit code 1 where anything differs.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

SCORED = ("value", "reason", "components", "failure", "chance", "sample")


def main(before: Path, after: Path) -> int:
    """Print the differences and return 1 where there are any."""
    differences = list(compare(before, after))
    for line in differences[:20]:
        print(line)
    print(f"{len(differences)} differences between {before} and {after}")
    return 1 if differences else 0


def compare(before: Path, after: Path) -> Iterator[str]:
    """Yield a line per difference.

    Raises:
        ValueError: the folders have nothing in common that can be compared.
    """
    compared = 0
    for name, differ in (("scores.jsonl", _scores), ("validity.json", _card), ("gate.xml", _gate)):
        paths = (before / name, after / name)
        if all(path.is_file() for path in paths):
            compared += 1
            yield from differ(*paths)
        elif any(path.is_file() for path in paths):
            yield f"{name} is in one folder only"
    if not compared:
        raise ValueError(f"neither scores.jsonl, validity.json nor gate.xml is in both {before} and {after}")


def _scores(before: Path, after: Path) -> Iterator[str]:
    rows = [
        {(r["generator"], r["case"]): r for r in map(json.loads, path.open(encoding="utf-8"))}
        for path in (before, after)
    ]
    for key in rows[0].keys() ^ rows[1].keys():
        yield f"{key}: scored by one version only"
    for key in rows[0].keys() & rows[1].keys():
        for field in SCORED:
            if rows[0][key].get(field) != rows[1][key].get(field):
                yield f"{key}: {field} {rows[0][key].get(field)!r} -> {rows[1][key].get(field)!r}"


def _card(before: Path, after: Path) -> Iterator[str]:
    # Keys may be renamed: what is compared is how often each number stands in the card.
    counts = [Counter(_numbers(json.loads(path.read_text(encoding="utf-8")))) for path in (before, after)]
    for number in counts[0].keys() | counts[1].keys():
        if counts[0][number] != counts[1][number]:
            yield f"validity.json: {number} is there {counts[0][number]} -> {counts[1][number]} times"


def _numbers(node: Any) -> Iterator[float]:
    if isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            yield from _numbers(item)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield float(node)


def _gate(before: Path, after: Path) -> Iterator[str]:
    verdicts = [
        {
            (t.get("classname"), t.get("name")): tuple(child.tag for child in t)
            for t in ElementTree.parse(path).iter("testcase")
        }
        for path in (before, after)
    ]
    for key in verdicts[0].keys() | verdicts[1].keys():
        if verdicts[0].get(key) != verdicts[1].get(key):
            yield f"gate.xml: {key} {verdicts[0].get(key)} -> {verdicts[1].get(key)}"


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:3])))
