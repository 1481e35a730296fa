import importlib
import subprocess
import sys
import tomllib
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


def test_lower_layers_do_not_import_higher_ones():
    layers = [
        ["types", "errors", "inputs", "video", "processes", "samples"],
        ["world", "tracking", "encoders", "metrics", "stats", "comparing", "store", "learning"],
        ["generator", "probes", "registry"],
        ["evaluate", "validity", "gate", "export", "rendering"],
        ["reporting"],
        ["app", "cli", "commands", "bench"],
    ]
    rank = {name: i for i, names in enumerate(layers) for name in names}
    for path in [*ROOT.glob("sora_eval/**/*.py"), *ROOT.glob("generator/**/*.py"), *ROOT.glob("probes/**/*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        mine = parts[1] if parts[0] == "sora_eval" else parts[0]
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] in ("from", "import") and words[1].startswith("sora_eval."):
                other = words[1].split(".")[1]
                if mine in rank and other in rank:
                    assert rank[other] <= rank[mine], f"{path.name}: {line.strip()}"
