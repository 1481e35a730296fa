"""The table of what every probe notices, as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from sora_eval.store import put_between
from sora_eval.validity import ALL_LOOKS, AUC_LEAST, LOOK_CASES, LOOK_LEAST, ORACLE_LEAST, Told, TrackerCard
from sora_eval.video import replacing


def write_validity(
    rows: Sequence[Told], cards: Sequence[TrackerCard], probes: Sequence[str], out: Path, command: str, about: str
) -> tuple[Path, list[Told]]:
    """Write validity.md and validity.json into `out`; return the page and the rows that fall short and are not so by design."""
    order = {name: i for i, name in enumerate(probes)}
    rows = sorted(rows, key=lambda r: (order[r.probe], r.mode, r.kind, r.what))
    missed = [r for r in rows if not r.good and not r.by_design]
    text = "\n".join([
        "# What the probes notice",
        "",
        f"Made by `{command}`: {about}.",
        "",
        *_lead(),
        "",
        summary(rows, probes),
        "",
        "## Every control and violation",
        "",
        "AUC against the oracle, the lowest over the modes; mean score of the spoilt clips behind it.",
        "",
        *_details(rows, probes),
        "",
        "## Other looks at the truth",
        "",
        f"The oracle's lowest score over {LOOK_CASES} prompt-only cases that are rendered, lit, compressed or sampled otherwise; "
        f"*{ALL_LOOKS}* is 256 px under three lights by turns, compressed, at half the rate.",
        "",
        _looks(rows, probes),
        "",
        "## The tracker against the truth",
        "",
        *_tracker(cards),
        "",
        "## Not noticed",
        "",
        *_unnoticed(rows),
    ])  # fmt: skip
    page = out / "validity.md"
    for path, content in (
        (page, text + "\n"),
        (out / "validity.json", json.dumps([asdict(r) for r in rows], indent=1) + "\n"),
    ):
        with replacing(path) as part:
            part.write_text(content, encoding="utf-8")
    return page, missed


def put_summary(page: Path, rows: Sequence[Told], probes: Sequence[str], command: str) -> None:
    """Replace what stands between the two validity comments of a Markdown page by the summary.

    Raises:
        ConfigError: the page has no such comments.
    """
    put_between(page, "validity", f"`{command}`\n\n{summary(rows, probes)}")


def summary(rows: Sequence[Told], probes: Sequence[str]) -> str:
    """Return one line per probe: the oracle's lowest score, and the control and the violation that are hardest to tell."""
    lines = [
        "| suite | probe | oracle, lowest | looks, lowest | hardest control (AUC) | hardest violation (AUC) |",
        "|---|---|---:|---:|---|---|",
    ]
    for name in probes:
        mine = [r for r in rows if r.probe == name]
        if not mine:
            continue
        oracle = _lowest(mine, "oracle", ORACLE_LEAST)
        looks = _lowest(mine, "look", LOOK_LEAST)
        lines.append(
            f"| {mine[0].suite} | {name} | {oracle} | {looks} | {_hardest(mine, 'control')} | {_hardest(mine, 'violation')} |"
        )
    return "\n".join(lines)


def _lead() -> Iterable[str]:
    yield (
        f"Asked for: the oracle scores at least {ORACLE_LEAST} in every case and mode, at least {LOOK_LEAST} under every other look; "
        f"every control and every violation at its strongest is told from it with an AUC of at least {AUC_LEAST}. "
        "What falls short is **bold**; *by design* marks what the claim itself cannot tell, with the reason below."
    )


def _lowest(rows: Sequence[Told], kind: str, least: float) -> str:
    found = [r.lowest for r in rows if r.kind == kind]
    return _marked(min(found), least) if found else ""


def _hardest(rows: Sequence[Told], kind: str) -> str:
    told = [r for r in rows if r.kind == kind and not r.by_design]
    design = sorted({r.what for r in rows if r.kind == kind and r.by_design and not r.good})
    text = ""
    if told:
        worst = min(told, key=lambda r: r.auc)
        text = f"{worst.what} {_marked(worst.auc, AUC_LEAST)}"
    return text + (f" (*by design* {', '.join(design)})" if design else "")


def _marked(value: float, least: float) -> str:
    return f"{value:.2f}" if value >= least else f"**{value:.2f}**"


def _details(rows: Sequence[Told], probes: Sequence[str]) -> Iterable[str]:
    for kind in ("control", "violation"):
        names = list(dict.fromkeys(r.what for r in rows if r.kind == kind))
        if kind == "control":
            yield f"| probe | {' | '.join(names)} |"
            yield "|---|" + "---:|" * len(names)
            for probe in probes:
                yield f"| {probe} | {' | '.join(_cell(rows, probe, n) for n in names)} |"
            yield ""
        else:
            yield "| probe | violations at severity 1 |"
            yield "|---|---|"
            for probe in probes:
                mine = list(dict.fromkeys(r.what for r in rows if r.kind == kind and r.probe == probe))
                yield f"| {probe} | {'; '.join(f'{n} {_cell(rows, probe, n)}' for n in mine) or 'the mirrored control'} |"


def _cell(rows: Sequence[Told], probe: str, what: str) -> str:
    found = [r for r in rows if r.probe == probe and r.what == what]
    if not found:
        return ""
    worst = min(found, key=lambda r: r.auc)
    text = f"{_marked(worst.auc, AUC_LEAST)} ({worst.mean:.2f})"
    return f"*by design* {text}" if worst.by_design and not worst.good else text


def _looks(rows: Sequence[Told], probes: Sequence[str]) -> str:
    names = list(dict.fromkeys(r.what for r in rows if r.kind == "look"))
    lines = [f"| probe | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for probe in probes:
        mine = {r.what: r for r in rows if r.kind == "look" and r.probe == probe}
        lines.append(
            f"| {probe} | {' | '.join(_marked(mine[n].lowest, LOOK_LEAST) if n in mine else '' for n in names)} |"
        )
    return "\n".join(lines)


def _tracker(cards: Sequence[TrackerCard]) -> Iterable[str]:
    yield "All coloured bodies of at least 8 visible pixels, intersection over union of boxes; means over clips."
    yield ""
    yield "| clips | HOTA | MOTA | IDF1 | identity switches |"
    yield "|---|---:|---:|---:|---:|"
    for c in cards:
        yield f"| {c.clips}, {c.spoilt} | {c.hota:.2f} | {c.mota:.2f} | {c.idf1:.2f} | {c.switches} |"


def _unnoticed(rows: Sequence[Told]) -> Iterable[str]:
    design = {(r.probe, r.what): r.by_design for r in rows if r.by_design and not r.good}
    missed = [r for r in rows if not r.good and not r.by_design]
    for (probe, what), reason in design.items():
        yield f"- {probe}, {what}, by design: {reason}."
    for r in missed:
        yield f"- {r.probe} {r.mode}, {r.what}: lowest {r.lowest:.2f}, AUC {r.auc:.2f}. {'; '.join(r.reasons)}"
    if not design and not missed:
        yield "Nothing."
