"""The notebook runs, and prints what the site shows."""

import json

from docs.pages import DOCS, tool

NOTEBOOK = DOCS / "quickstart.ipynb"


def test_the_notebook_prints_what_it_shows():
    notebook = tool("notebook")
    read = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    shown = [notebook.printed(cell) for cell in read["cells"] if cell["cell_type"] == "code"]
    assert notebook.executed(read) == shown, (
        "python docs/tools/notebook.py docs/quickstart.ipynb keeps what it prints now"
    )
    assert len(NOTEBOOK.read_bytes()) < 20_000


def test_the_page_of_the_notebook_has_code_and_output():
    page = tool("generate").notebook(NOTEBOOK)
    assert page.startswith("# From Python")
    assert "```python\nresult = evaluate(" in page
    assert "oracle     1.00 [" in page
