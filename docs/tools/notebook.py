"""Runs a notebook's cells without Jupyter. `python docs/tools/notebook.py docs/quickstart.ipynb` keeps what they print in the file."""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any


def executed(read: Mapping[str, Any]) -> list[str]:
    """Return what each code cell prints, the value of its last expression as well, in a new namespace and an empty folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    texts = []
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for cell in read["cells"]:
            if cell["cell_type"] == "code":
                out = io.StringIO()
                with redirect_stdout(out):
                    _execute("".join(cell["source"]), names)
                texts.append(out.getvalue())
    return texts


def printed(cell: Mapping[str, Any]) -> str:
    """Return what a code cell printed when it was stored."""
    return "".join(line for output in cell["outputs"] for line in output["text"])


def _execute(source: str, names: dict[str, Any]) -> None:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        if value is not None:
            print(value if isinstance(value, str) else repr(value))


def store(path: Path) -> None:
    """Execute a notebook and store what its cells print."""
    read = json.loads(path.read_text(encoding="utf-8"))
    texts = iter(executed(read))
    for cell in read["cells"]:
        if cell["cell_type"] == "code":
            lines = next(texts).splitlines(keepends=True)
            cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": lines}] if lines else []
            cell["execution_count"] = None
    path.write_text(json.dumps(read, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "120")
    store(Path(sys.argv[1]))
