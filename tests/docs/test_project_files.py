"""Files that platforms read: citation, workflow, templates, dependencies."""

import re
import tomllib
from importlib.metadata import version

import pytest
import yaml
from docs.pages import ROOT
from packaging.requirements import Requirement

from sora_eval import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Keys of CFF 1.2.0, https://citation-file-format.github.io
CITATION_KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "title", "type", "url", "version"),
}


def test_the_citation_is_valid():
    read = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert read["cff-version"] == "1.2.0"
    assert {"cff-version", "message", "title", "authors"} <= set(read) <= CITATION_KEYS
    assert read["version"] == __version__ == PROJECT["version"]
    assert read["license"] == PROJECT["license"]
    assert all(set(author) == {"name"} for author in read["authors"])


def test_the_layout_names_every_room():
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Layout")[2]
    named = {name.rstrip("/") for name in re.findall(r"`([\w/]+)`", table.partition("\n\nA module")[0])}
    there = {
        path.stem for path in (ROOT / "sora_eval").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert named == there - {"__init__", "__main__"} | {"generator", "probes", "conf"}


def test_the_workflow_calls_the_script_and_nothing_else():
    (job,) = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    (python,) = (s["with"]["python-version"] for s in job["steps"] if "setup-python" in s.get("uses", ""))
    assert f">={python}" in PROJECT["requires-python"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_templates_have_what_is_required(path):
    read = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(read)
    assert all(part["type"] in ("textarea", "input") and part["attributes"]["label"] for part in read["body"])


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_dependencies_are_bounded_on_both_sides_around_what_is_here(text):
    requirement = Requirement(text)
    operators = {s.operator for s in requirement.specifier}
    assert {">=", "<"} <= operators
    assert requirement.specifier.contains(version(requirement.name), prereleases=True)
