"""Parts of pages that are made from the code: a page includes one by a line `<!-- generated: NAME -->`."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sora_eval.reporting.report.score_components import Component

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def probes() -> str:
    """Return what every probe measures, from its class, and the components of its score."""
    from sora_eval import registry
    from sora_eval.reporting.report.score_components import score_components

    parts: list[str] = []
    by_suite: dict[str, list[str]] = {}
    for name, (suite, _) in registry.probe_names(optional=True).items():
        by_suite.setdefault(suite, []).append(name)
    described = score_components()
    for suite, names in by_suite.items():
        parts += [f"## {suite}"]
        for name in names:
            probe = registry.probe(name)
            facts = [
                ("Source", probe.source),
                ("Modes", ", ".join(probe.modes)),
                ("Score", probe.unit),
                ("Blind guess", f"{probe.chance:g}"),
                ("Must detect", ", ".join(f"`{v}`" for v in probe.violations)),
                (
                    "Blind to",
                    "; ".join(f"`{k}` ({', '.join(probe.blind_modes)}): {v}" for k, v in probe.blind_to.items()),
                ),
                ("Version", str(probe.version)),
            ]
            doc = (type(probe).__doc__ or "").strip()
            parts += [f"### {name}", f"{doc} *Claim: {probe.claim}.*"]
            parts += ["\n".join(f"- **{key}**: {value}" for key, value in facts if value)]
            parts += [_component_table(described[name])]
    return "\n\n".join(parts)


def _component_table(components: Iterable[Component]) -> str:
    return _table(
        ("component", "measures", "1", "0"),
        [
            (f"`{c.name}`", c.means, *(("measured, no factor", "") if c.measured else (c.full, c.zero)))
            for c in components
        ],
    )


def cli() -> str:
    """Return the help of every command, as `sora-eval COMMAND --help` prints it."""
    from sora_eval.commands import cli as console

    parts = ["```text\n" + console.usage() + "\n```"]
    groups = dict.fromkeys(c.group for c in console.COMMAND_TABLE.values())
    for group in groups:
        parts.append(f"## {group.capitalize()}")
        for name, command in console.COMMAND_TABLE.items():
            if command.group == group:
                parts += [f"### sora-eval {name}", _sentence(command.help), f"```text\n{_help(name)}\n```"]
    return "\n\n".join(parts)


def _help(name: str) -> str:
    from sora_eval.commands.cli import COMMANDS

    out = io.StringIO()
    with redirect_stdout(out), suppress(SystemExit):
        COMMANDS[name](["--help"])
    # An option's default can be a path of this machine.
    return out.getvalue().strip().replace(str(Path.home()), "~").replace(str(ROOT), ".")


def schema() -> str:
    """Return the tables of the results format, from the JSON Schema."""
    from sora_eval.runs import schema as results

    parts = []
    definitions: Mapping[str, Any] = results.schema()["$defs"]
    for name, node in definitions.items():
        parts += [f"## {node.get('title', name)}", node["description"]]
        parts += [_properties(node)] if "properties" in node else []
    return "\n\n".join(parts)


def _properties(node: Mapping[str, Any]) -> str:
    required = node.get("required", ())
    rows = [
        (f"`{key}`", _type(value), "" if key in required else "optional", value.get("description", ""))
        for key, value in node["properties"].items()
    ]
    return _table(("key", "type", "", "meaning"), rows)


def _type(node: Mapping[str, Any]) -> str:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(_title(name))})"
    if "enum" in node:
        return " or ".join(f"`{json.dumps(value)}`" for value in node["enum"])
    kind = node.get("type", "any")
    if kind == "array" and "items" in node:
        return f"list of {_type(node['items'])}"
    if kind == "object" and isinstance(inner := node.get("additionalProperties"), Mapping):
        return f"object of {_type(inner)}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _title(name: str) -> str:
    from sora_eval.runs import schema as results

    return str(results.schema()["$defs"][name].get("title", name))


def _anchor(title: str) -> str:
    return re.sub(r"[^\w-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


def layout() -> str:
    """Return the table of rooms of CONTRIBUTING.md."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Layout\n")[2].strip()


def weights() -> str:
    """Return the table of the standard encoders' weights, and of the bundled ones."""
    from sora_eval.encoders.weights import ENCODERS, ENTRIES

    rows = [(f"`{name}`", used_for, "in the package", "", "Apache-2.0") for name, used_for in ENCODERS.items()]
    rows += [(f"`{e.name}`", e.used_for, f"`{e.file}`", f"{e.megabytes:,}", e.licence) for e in ENTRIES]
    return _table(("name", "used for", "file", "MB", "licence"), rows)


def _entries(group: str) -> Callable[[], str]:
    def entries() -> str:
        from sora_eval import registry

        return _table(
            (group, "description"), [(f"`{name}`", _sentence(text)) for name, text in registry.names(group).items()]
        )

    return entries


GENERATED: Mapping[str, Callable[[], str]] = {
    "probes": probes,
    "cli": cli,
    "schema": schema,
    "layout": layout,
    "weights": weights,
    **{group: _entries(group) for group in ("generator", "tracker", "suite", "profile", "sweep", "launcher")},
}


def filled(text: str) -> str:
    """Return the text of a page with its generated parts.

    Raises:
        KeyError: there is no part of a name.
    """
    return MARK.sub(lambda match: GENERATED[match[1]](), text)


def notebook(path: Path) -> str:
    """Return a notebook as Markdown: its cells, and what they print as text."""
    return "\n\n".join(_cells(json.loads(path.read_text(encoding="utf-8")))) + "\n"


def _cells(read: Mapping[str, Any]) -> Iterator[str]:
    for cell in read["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            yield source
            continue
        yield f"```python\n{source}\n```"
        for output in cell["outputs"]:
            text = "".join(output.get("text") or output["data"]["text/plain"])
            yield f'```text title="Output"\n{text.rstrip()}\n```'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in (head, ["---"] * len(head), *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
