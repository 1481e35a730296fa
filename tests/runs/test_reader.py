"""Broken run folders end in one line that names the file and the line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sora_eval.errors import ConfigError
from sora_eval.runs.reader import read_run


def change(path: Path, line: int, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit one line (from 1) of a JSON lines file."""
    lines = path.read_text().splitlines()
    row = json.loads(lines[line - 1])
    edit(row)
    lines[line - 1] = json.dumps(row)
    path.write_text("\n".join(lines) + "\n")


def test_truncated_last_line_is_named(small_run: Path) -> None:
    path = small_run / "scores.jsonl"
    text = path.read_text()
    path.write_text(text[:-40])
    with pytest.raises(ConfigError, match=rf"scores\.jsonl:{len(text.splitlines())}: cut off") as caught:
        read_run(small_run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["manifest.json", "cases.jsonl", "scores.jsonl"])
def test_missing_file_is_named(small_run: Path, name: str) -> None:
    (small_run / name).unlink()
    with pytest.raises(ConfigError, match=rf"{name}: not found"):
        read_run(small_run)


def test_broken_manifest_is_named(small_run: Path) -> None:
    (small_run / "manifest.json").write_text('{"command":\n oops}')
    with pytest.raises(ConfigError, match=r"manifest\.json:2: broken JSON"):
        read_run(small_run)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("value", float("nan"), "value must be a finite number or null"),
        ("value", float("inf"), "value must be a finite number or null"),
        ("value", True, "value must be a finite number or null"),
        ("chance", None, "chance must be a finite number"),
        ("mode", "x2v", "mode must be one of t2v, i2v, v2v"),
        ("prompt", 3, "prompt must be text"),
        ("components", {"a": "b"}, "components must map names to numbers"),
        ("reason", "but it has a value", "a score has either a value or a reason"),
        ("extra", 1, "missing or unknown fields: extra"),
    ],
)
def test_impossible_value_is_named(small_run: Path, field: str, value: object, message: str) -> None:
    change(small_run / "scores.jsonl", 2, lambda row: row.update({field: value}))
    with pytest.raises(ConfigError, match=rf"scores\.jsonl:2: {message}"):
        read_run(small_run)


def test_clip_scored_twice_is_an_error(small_run: Path) -> None:
    path = small_run / "scores.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[0]]) + "\n")
    with pytest.raises(ConfigError, match="already scored in line 1"):
        read_run(small_run)


def test_case_without_a_score_is_a_problem_the_reader_sees(small_run: Path) -> None:
    path = small_run / "scores.jsonl"
    path.write_text(
        "\n".join(line for line in path.read_text().splitlines() if '"model-a"' not in line or "v2v" not in line)
    )
    assert any(p.startswith("model-a: 4 of 12 cases have no score") for p in read_run(small_run).problems)


def test_nan_component_is_allowed(small_run: Path) -> None:
    assert any("hidden" in row.components for row in read_run(small_run).rows)


def test_line_separators_inside_a_prompt_do_not_end_a_line(small_run: Path) -> None:
    path = small_run / "scores.jsonl"
    lines = path.read_text().splitlines()
    row = {**json.loads(lines[0]), "prompt": "one\u2028two"}
    path.write_text("\n".join([json.dumps(row, ensure_ascii=False), *lines[1:]]), encoding="utf-8")
    assert read_run(small_run).rows[0].prompt == "one\u2028two"
