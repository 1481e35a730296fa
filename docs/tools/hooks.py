"""Hooks of MkDocs: generated parts of pages, the notebook as a page, results from reports/, and the tree as it is installed."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))

import generate

BUILD = generate.ROOT / "build" / "documented"
RESULTS = {
    *("audit.md", "leaderboard.md", "validity.md", "encoders.md", "encoders.png", "bench.md"),
    *("abilities/leaderboard.md", "abilities/validity.md", "likelihood/audit.md"),
}
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?!https?:|#)[^)\s]+)\)")


def on_startup(command: str, dirty: bool) -> None:
    """Copy the sources as setuptools installs them: mkdocstrings does not follow package-dir, and looks for the folder early."""
    shutil.rmtree(BUILD, ignore_errors=True)
    skipped = shutil.ignore_patterns("*.safetensors", "__pycache__")
    shutil.copytree(generate.ROOT / "sora_eval", BUILD / "sora_eval", ignore=skipped)
    for room in ("generator", "probes", "conf"):
        shutil.copytree(generate.ROOT / room, BUILD / "sora_eval" / room, ignore=skipped)


def on_files(files: Any, config: Any) -> Any:
    """Add the notebook as a page, and the committed results."""
    page = generate.notebook(generate.DOCS / "quickstart.ipynb")
    files.append(File.generated(config, "notebook.md", content=page))
    for name in sorted(RESULTS):
        path = generate.ROOT / "reports" / name
        files.append(File.generated(config, f"results/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill in the generated parts; links to files that are no pages become plain text."""
    here = Path(page.file.src_uri).parent
    known = {file.src_uri for file in files}

    def link(match: re.Match[str]) -> str:
        text, target = match[1], match[2].replace("../reports/", "results/")
        place, hash_, anchor = target.partition("#")
        inside = (here / place).as_posix()
        return f"[{text}]({place}{hash_}{anchor})" if inside in known or _normal(inside) in known else text

    return _LINK.sub(link, generate.filled(markdown))


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
