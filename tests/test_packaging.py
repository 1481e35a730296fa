import ast
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Collection
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = {
    "sora_eval": "sora_eval",
    "generator": "sora_eval.generator",
    "probes": "sora_eval.probes",
    "conf": "sora_eval.conf",
}


def test_packages_are_the_folders_on_disk():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = set()
    for room, package in ROOMS.items():
        for init in (ROOT / room).rglob("__init__.py"):
            found.add(".".join([package, *init.parent.relative_to(ROOT / room).parts]))
    assert listed == found


def test_every_module_lies_in_a_package():
    for room in ROOMS:
        for module in (ROOT / room).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), module


def test_every_package_can_be_imported():
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]:
        importlib.import_module(package)


def test_the_bare_names_are_not_importable(tmp_path):
    for name in ("generator", "probes", "conf"):
        code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{name}') is not None)"
        assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0, name


LAYERS = (
    ("errors", "files", "paths", "plugins", "processes", "settings", "types", "version"),
    ("video",),
    ("metrics", "stats", "world"),
    ("data", "training"),
    ("alignment", "encoders", "tracking"),
    ("generator", "probes", "registry"),
    ("prompting",),
    ("fidelity", "runs", "scoring"),
    ("evaluation", "recipe"),
    ("audit", "reporting", "validity"),
    ("config",),
    ("cost", "gating"),
    ("run",),
    ("api",),
    ("commands",),
    ("integrations",),
    ("__main__",),
)
"""Lowest first; a module imports from its own layer and those below. `sora_eval/__init__.py` is above all, `conf` holds no code."""
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}


def modules() -> dict[str, Path]:
    """Return the file of each module by its dotted name."""
    found = {}
    for room, package in ROOMS.items():
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT / room).with_suffix("").parts
            found[".".join([package, *(p for p in parts if p != "__init__")])] = path
    return found


def imports(path: Path, known: Collection[str]) -> set[str]:
    """Return the modules of this project that a file imports, in whatever form and place."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: a relative import"
            found |= {full if (full := f"{node.module}.{a.name}") in known else node.module for a in node.names}
    return found & set(known)


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_module_has_a_layer_and_imports_no_higher_one():
    known = modules()
    assert {room_of(m) for m in known} == {*RANK, "", "conf"}
    for module, path in known.items():
        for other in imports(path, known):
            if room_of(module) and room_of(other) in RANK:
                higher = f"{module} imports {other}, which lies in a higher layer"
                assert RANK[room_of(other)] <= RANK[room_of(module)], higher


def test_no_modules_import_each_other_in_a_circle():
    known = modules()
    graph = {module: imports(path, known) - {module} for module, path in known.items()}
    # A graph without a circle has an order; static_order raises CycleError with the modules otherwise.
    assert len(list(TopologicalSorter(graph).static_order())) == len(known)


ONE_EACH = {"sora_eval/commands", "sora_eval/world/families"}
"""Rooms with one file per sub-command and per scene family."""


def test_the_root_holds_few_modules_and_no_room_more_than_a_dozen_files():
    root = {path.stem for path in (ROOT / "sora_eval").glob("*.py")} - {"__init__", "__main__"}
    assert len(root) <= 12, root
    full = {
        room: count
        for folder in (ROOT / room for room in ROOMS)
        for room in [folder, *(p for p in folder.rglob("*") if p.is_dir())]
        if (count := len([p for p in room.glob("*.py") if p.name != "__init__.py"])) > 15
    }
    assert {p.relative_to(ROOT).as_posix() for p in full} <= ONE_EACH, full


def test_the_story_of_a_run_stays_on_three_pages():
    assert len((ROOT / "sora_eval" / "run.py").read_text(encoding="utf-8").splitlines()) <= 150
