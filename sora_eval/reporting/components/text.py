"""Pages and tables as Markdown for a pull request, and tables as plain text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sora_eval.reporting.components.marked import Marked
from sora_eval.reporting.components.page import Block, Facts, Fold, Items, Note, Page
from sora_eval.reporting.components.table import Cell, Table
from sora_eval.stats.summary import Cell as Score
from sora_eval.stats.summary import Sampling, Summary, summarise
from sora_eval.types import ScoreRow

WIDTH = 100
_NAME = 24
_COLUMN = 17
_GAP = "  "
TECHNICAL = (
    "technical: not judged for a reason outside the model; the run's command, run again, generates these clips again"
)


def markdown(page: Page, html: str = "") -> str:
    """Return a page as Markdown, the command that made it above; plots and clips are left out. html: name of the page that has them."""
    parts = [f"# {escape(page.title)}", escape(page.lead), "Made by:", fence(page.command)]
    if html:
        parts.append(f"With plots and clips: [{html}]({html}).")
    if page.problems:
        parts += ["## Problems", "\n".join(f"- {escape(p)}" for p in page.problems)]
    for section in page.sections:
        if written := list(blocks(section.blocks)):
            parts += [f"## {escape(section.title)}", *written]
    return "\n\n".join(parts) + "\n"


def blocks(shown: Iterable[Block], level: int = 3) -> Iterator[str]:
    """Yield what Markdown shows of blocks. level: of headings in them."""
    for block in shown:
        if isinstance(block, Table) and not block.page_only:
            yield from table_parts(block)
        elif isinstance(block, Note) and not block.page_only:
            yield _plain(block.text)
        elif isinstance(block, Items):
            yield "\n".join(f"- {f'**{escape(head)}** ' if head else ''}{escape(text)}" for head, text in block.lines)
        elif isinstance(block, Facts):
            lines = (f"- {escape(k)}: {f'`{v}`' if block.code and '`' not in v else escape(v)}" for k, v in block.items)
            yield f"{escape(block.title)}:\n\n" + "\n".join(lines)
        elif isinstance(block, Fold) and (inner := list(blocks(block.blocks, level + 1))):
            yield from inner if block.inline else (f"{'#' * level} {escape(block.title)}", *inner)


def table_parts(table: Table) -> Iterator[str]:
    """Yield a table with its caption, and how many lines are left out."""
    if table.caption:
        yield _plain(table.caption)
    yield table_text(table)
    if table.most and (more := len(table.rows) - table.most) > 0:
        yield f"{more} further lines are left out. {escape(table.rest)}".rstrip()


def table_text(table: Table) -> str:
    """Return a table in Markdown: marks, ranks and notes of a cell behind its value; what is no value is a dash."""
    lines = []
    for group in table.groups:
        for row in group.rows:
            head = row.cells[0]
            kind = f" ({escape(group.kind)})" if group.kind not in ("", head.text) else ""
            lines.append([f"{_cell(head)}{kind}", *(_cell(c, table.terse) for c in row.cells[1:])])
    return _pipe([escape(c.name) for c in table.columns], lines[: table.most] if table.most else lines)


def _cell(cell: Cell, terse: bool = False) -> str:
    if cell.absent:
        return "-"
    value = _plain(cell.text)
    mark, rank = cell.mark.symbol if cell.mark else "", f"({cell.rank})" if cell.rank else ""
    text = " ".join(p for p in (value, cell.span, mark, rank, escape(cell.hidden)) if p)
    return ", ".join(p for p in (text, *map(escape, () if terse else cell.notes)) if p)


def pipe(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table of texts."""
    return _pipe([escape(c) for c in head], [[escape(c) for c in row] for row in rows])


def _pipe(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _plain(text: str) -> str:
    return text if isinstance(text, Marked) else escape(text)


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no HTML, no table break, no emphasis or link."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Brackets alone are harmless (no text of ours can define a reference), and intervals need them.
    # An underscore within a word stresses nothing (CommonMark 6.2).
    return re.sub(r"([\\`*|~#]|(?<![^\W_])_|_(?![^\W_])|(?<=\])\()", r"\\\1", text)


def fence(text: str) -> str:
    """Return text as a code block whose fence it cannot close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}sh\n{text}\n{marks}"


def columns(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Return rows as columns for a terminal, a line below the first. left: the columns that begin at the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    lines = [
        _GAP.join(
            c.ljust(w) if i in left or i - last - 1 in left else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0].rstrip(), "-" * max(map(len, lines)), *(line.rstrip() for line in lines[1:])])


def table(rows: Iterable[ScoreRow]) -> str:
    """Return the headline table for a terminal: generators by suites, at most 100 columns wide.

    Suites that do not fit beside each other go into a further block below.
    """
    return text_table(summarise(rows))


def text_table(summary: Summary) -> str:
    """Return `table` of a summary that is already there."""
    # With one suite the overall score repeats it.
    suites = ("", *summary.suites) if len(summary.suites) > 1 else summary.suites
    name = min(_NAME, max(len("generator"), *(len(g) for g in summary.generators)))
    technical = any(c.technical for c in summary.cells)
    last = len(_GAP) + len("unjudged") + (len(_GAP) + len("technical") if technical else 0)
    fit = (WIDTH - name - last) // (_COLUMN + len(_GAP))
    parts = [_block(summary, suites[i : i + fit], name, technical) for i in range(0, len(suites), fit)]
    note = "score [95% interval], 0 is a blind guess; clips that could not be judged count as 0"
    note = f"{note}\n{TECHNICAL}" if technical else note
    if summary.sampling:
        each = ", ".join(dict.fromkeys(f"{s.generator} {s.samples}" for s in summary.sampling))
        parts.append(f"{note}\nscores are means over samples; samples per prompt: {each}")
        note = _sampling_block(summary.sampling_by_suite, name)
    return "\n\n".join([*parts, note])


def _block(summary: Summary, suites: Sequence[str], name: int, technical: bool) -> str:
    head = ["generator".ljust(name), *(_cut(s or "overall", _COLUMN).rjust(_COLUMN) for s in suites), "unjudged"]
    rows = [[*head, *(["technical"] if technical else [])]]
    for g in summary.generators:
        overall = summary.get(g)
        counts = [overall.unjudgeable, overall.technical] if overall else [0, 0]
        cells = (score(summary.get(g, suite)) for suite in suites)
        rows.append([_cut(g, name), *cells, *map(str, counts[: 1 + technical])])
    return columns(rows)


def _sampling_block(sampling: Sequence[Sampling], name: int) -> str:
    rows = [["generator", "suite", "deviation".rjust(_COLUMN), "best of K".rjust(_COLUMN)]]
    for s in sampling:
        ends = (s.deviation, s.deviation_low, s.deviation_high), (s.best, s.best_low, s.best_high)
        rows.append(
            [_cut(s.generator, name), s.suite or "overall", *(f"{v:.2f} [{a:.2f}, {b:.2f}]" for v, a, b in ends)]
        )
    title = "between the samples of a prompt: their standard deviation, and apart from it the best of them, which is no score"
    return f"{title}\n{columns(rows, (0, 1))}"


def score(cell: Score | None) -> str:
    """Return `0.62 [0.55, 0.69]`, a dash for nothing and where the model failed technically."""
    return f"{cell.score:.2f} [{cell.low:.2f}, {cell.high:.2f}]" if cell and not cell.failed else "-"


def _cut(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
