import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for room in ("sora_eval", "generator", "probes") for path in (ROOT / room).rglob("*.py"))


def is_dataclass(node: ast.ClassDef) -> bool:
    made_by = [ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list]
    return "dataclass" in made_by or "dataclasses.dataclass" in made_by


def is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Yield CLASS.FIELD for every public field of a public dataclass without a docstring of its own."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.ClassDef) and is_dataclass(node)) or node.name.startswith("_"):
            continue
        for line, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(line, ast.AnnAssign) and not ast.unparse(line.annotation).startswith("ClassVar"):
                name = ast.unparse(line.target)
                if not name.startswith("_") and not is_text(after):
                    yield f"{node.name}.{name}"


def test_every_field_of_a_public_dataclass_has_a_docstring():
    found = {path.relative_to(ROOT).as_posix(): list(undocumented(ast.parse(path.read_text()))) for path in FILES}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("@dataclass\nclass A:\n    x: int", ["A.x"]),
        ("@dataclass(frozen=True)\nclass A:\n    x: int\n    y: int = 0\n    'Y.'", ["A.x"]),
        ("@dataclass\nclass A:\n    x: int\n    'X.'\n    _y: int\n    z: ClassVar[int] = 1", []),
        ("@dataclass\nclass _A:\n    x: int", []),
        ("class A:\n    x: int", []),
    ],
)
def test_only_fields_without_one_are_found(body, expected):
    assert list(undocumented(ast.parse(body))) == expected
