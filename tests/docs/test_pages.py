"""Pages: links lead somewhere, navigation has every page, generated parts exist."""

import re

import pytest
import yaml
from docs.pages import DOCS, ROOT, WRITTEN, tool

GENERATE = tool("generate")
LINK = re.compile(r"\]\(((?!https?:|#)[^)\s]+)\)")


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        place, _, anchor = target.partition("#")
        # The site makes two places that are no files here: the notebook's page, and results/ from reports/.
        place = place.replace("results/", "../reports/") if path.parent == DOCS else place
        place = place.replace("notebook.md", "quickstart.ipynb")
        file = path.parent / place
        assert file.exists(), f"{path.name}: {target}"
        if anchor and file.suffix == ".md":
            text = (
                GENERATE.filled(file.read_text(encoding="utf-8"))
                if DOCS in file.resolve().parents
                else file.read_text()
            )
            assert anchor in {GENERATE._anchor(h) for h in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}, target


def pages_of(node):
    if isinstance(node, str):
        return [node]
    return [page for item in (node if isinstance(node, list) else node.values()) for page in pages_of(item)]


def test_navigation_has_every_page_once():
    nav = pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert len(nav) == len(set(nav))
    assert written == {page for page in nav if not page.startswith("results/")} - {"notebook.md"}


def test_every_generated_part_is_on_a_page_and_has_text():
    used = [name for path in DOCS.rglob("*.md") for name in GENERATE.MARK.findall(path.read_text(encoding="utf-8"))]
    assert set(used) == set(GENERATE.GENERATED)
    for name in used:
        assert "|" in GENERATE.GENERATED[name]() or "```" in GENERATE.GENERATED[name]()


def test_help_shows_no_path_of_this_machine():
    assert str(ROOT) not in GENERATE.cli()


def test_no_page_loads_anything_from_elsewhere():
    config = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in config
    assert "http" not in config
