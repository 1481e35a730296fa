"""The validity card as Markdown and JSON, and as the page with plots and clips."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from sora_eval.files import put_between, write_text
from sora_eval.probes.base import Probe
from sora_eval.reporting.validity.cells import auc_of, cell, hardest, marked, noticed, number, p_text, table
from sora_eval.reporting.validity.metrics import metrics_part, tracking_part
from sora_eval.reporting.validity.page import write_page
from sora_eval.validity.card import Card
from sora_eval.validity.detection import (
    ALPHA,
    AUC_LEAST,
    FIDELITY,
    LOOK_LEAST,
    NOTICED,
    ORACLE_LEAST,
    TRACKING,
    Dose,
    Subject,
    Told,
    rejection_rate,
)
from sora_eval.validity.nuisances import ALL_LOOKS, CHEAP
from sora_eval.validity.trials import LOOK_SCENES, SEVERITIES, Plan


def write_validity(card: Card, probes: Sequence[Probe], plan: Plan, out: Path) -> Path:
    """Write validity.md, validity.json and validity.html into `out` and return the last one."""
    write_text(out / "validity.md", markdown(card) + "\n")
    write_text(out / "validity.json", to_json(card))
    return write_page(card, probes, plan, out / "validity.html")


def to_json(card: Card) -> str:
    """Return a card as JSON, one line per row, so that a changed row is one changed line."""
    parts = []
    for key, value in card.to_json().items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(v, allow_nan=False)}" for v in value)
            parts.append(f" {json.dumps(key)}: [\n{rows}\n ]" if value else f" {json.dumps(key)}: []")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def put_summary(page: Path, card: Card) -> None:
    """Replace what stands between the two validity comments of a Markdown page by the summary.

    Raises:
        ConfigError: the page has no such comments.
    """
    put_between(page, "validity", f"`{card.command}`\n\n{summary(card)}")


def summary(card: Card) -> str:
    """Return one line per probe and metric: the oracle, the faults that are hardest to tell, and from which severity on all are noticed."""
    lines = [
        "| suite | probe or metric | oracle, lowest | looks, lowest | hardest control (AUC, 95%) | hardest violation (AUC, 95%) "
        "| noticed from severity |",
        "|---|---|---:|---:|---|---|---|",
    ]
    for subject in card.subjects:
        if subject.missing:
            continue
        mine = [r for r in card.rows if r.subject == subject.name]
        oracle, looks = ("", "")
        if subject.kind == "probe":
            oracle, looks = _lowest(mine, "oracle", ORACLE_LEAST), _lowest(mine, "look", LOOK_LEAST)
        cells = (_hardest(mine, ("control",)), _hardest(mine, ("violation", "damage")), _from(card.doses, subject))
        lines.append(f"| {subject.suite} | {subject.name} | {oracle} | {looks} | {' | '.join(cells)} |")
    if gone := [s.name for s in card.subjects if s.missing]:
        lines += ["", f"Unavailable, for their weights are not on the machine that made this: {'; '.join(gone)}."]
    return "\n".join(lines)


def markdown(card: Card) -> str:
    """Return the whole card as Markdown."""
    probes = [s for s in card.subjects if s.kind == "probe"]
    metrics, followed = ([s for s in card.subjects if s.suite == suite] for suite in (FIDELITY, TRACKING))
    parts = [
        "# What the probes and metrics notice",
        f"Made by `{card.command}`: {card.about}. With plots and clips: [validity.html](validity.html).",
        *_lead(card),
        summary(card),
        "## Every control and violation",
        "AUC against the oracle, the lowest over the modes, with its 95% interval there; mean score of the spoilt clips behind it.",
        _controls(card, probes),
        "## More and more of a violation",
        f"Mean score at severities {', '.join(f'{s:g}' for s in SEVERITIES)} in the prompt-only mode, Spearman's correlation of severity "
        f"and mean score (towards worse), AUC at each severity above 0 and the smallest that is noticed: {NOTICED}.",
        _doses(card, probes),
        "## True clips against true clips",
        "The scenes of the card against as many others, by mode: the difference of their mean scores, and its standard deviation over "
        "random halvings of both together. A difference of two models below that is nothing.",
        _floors(card, probes),
        "## False alarms",
        *_alarms(card),
        "## Other looks at the truth",
        f"The lowest score of the truth in {LOOK_SCENES} prompt-only scenes that are rendered, lit, compressed or sampled otherwise; "
        f"*{ALL_LOOKS}* is 256 px under three lights by turns, compressed, at half the rate.",
        _looks(card, probes),
        f"And what is still told from the truth through a look, both seen so: the violation at severity 1 with the lowest AUC of all, "
        f"over {LOOK_SCENES} scenes.",
        _through(card, probes),
        "## The tracker against the truth",
        "\n".join(_tracker(card)),
    ]
    if metrics:
        parts += ["## Fidelity metrics", *metrics_part(card, metrics)]
    if followed:
        parts += ["## Tracking metrics", *tracking_part(card, followed)]
    parts += ["## Not noticed", "\n".join(_unnoticed(card))]
    return "\n\n".join(p for p in parts if p)


def _lead(card: Card) -> Iterable[str]:
    yield (
        f"Asked for: the oracle scores at least {ORACLE_LEAST} in every scene and mode, at least {LOOK_LEAST} under every other look; "
        f"every control and every violation at its strongest is told from it with an AUC of at least {AUC_LEAST}. A metric judges many "
        "clips at once: what it claims to notice it must tell better than by chance, with the whole interval above 0.5. What falls short "
        "is **bold**; *by design* marks what the claim itself cannot tell, with the reason below."
    )
    yield (
        "Scores are those of reports, corrected for chance, and a clip that could not be judged counts as 0. Every scene is one of a pair "
        "of mirrored twins, the first and the second by turns, so that scenes are independent; intervals resample scenes. Violations short "
        f"of severity 1 are tried in the prompt-only mode. An AUC of 1 on {card.scenes} scenes has the interval that Wilson's method gives "
        f"{card.scenes} of {card.scenes}."
    )


def _lowest(rows: Sequence[Told], kind: str, least: float) -> str:
    found = [0.0 if r.worst is None else r.worst for r in rows if r.kind == kind]
    return marked(min(found), least) if found else ""


def _hardest(rows: Sequence[Told], kinds: tuple[str, ...]) -> str:
    mine = [r for r in rows if r.kind in kinds and r.severity == 1 and not r.look]
    told = [r for r in mine if not r.by_design]
    design = sorted({r.what for r in mine if r.by_design and not r.good})
    text = ""
    if told:
        worst = min(told, key=lambda r: -1.0 if r.auc is None else r.auc)
        text = f"{worst.what} {auc_of(worst)}"
    return text + (f" (*by design* {', '.join(design)})" if design else "")


def _from(doses: Sequence[Dose], subject: Subject) -> str:
    mine = [d for d in doses if d.subject == subject.name and not d.by_design]
    never = [d.what for d in mine if d.bad]
    late = max((d.noticed for d in mine if d.noticed is not None), default=None)
    parts = ["too few to test"] if any(not d.testable for d in mine) else []
    if late is not None:
        at = [d.what for d in mine if d.noticed == late]
        few = f" ({', '.join(at[:2])}{' ...' if len(at) > 2 else ''})" if len(at) < len(mine) else ""
        parts.append(f"{late:g}{few}")
    if never:
        parts.append(f"**never** {', '.join(never)}")
    return "; ".join(parts)


def _controls(card: Card, subjects: Sequence[Subject]) -> str:
    names = list(dict.fromkeys(r.what for r in card.rows if r.kind == "control"))
    rows = []
    for s in subjects:
        mine = [r for r in card.rows if r.subject == s.name and r.kind == "control"]
        rows.append([s.name, *(cell([r for r in mine if r.what == n]) for n in names)])
    return table(["probe", *names], rows)


def _doses(card: Card, subjects: Sequence[Subject]) -> str:
    head = ["probe", "violation", "mean score", "Spearman", "AUC", "AUC at 1, all modes", "noticed from"]
    rows = []
    for s in subjects:
        mine = [d for d in card.doses if d.subject == s.name]
        if not mine:
            rows.append([s.name, "none but the controls", "", "", "", "", ""])
        for d in mine:
            strongest = [
                r
                for r in card.rows
                if (r.subject, r.what, r.kind, r.severity) == (s.name, d.what, d.kind, 1.0) and not r.look
            ]
            rows.append([s.name, d.what, *_dose(d), cell(strongest), noticed(d)])
    return table(head, rows)


def _dose(d: Dose) -> list[str]:
    means, aucs = (", ".join(map(number, some)) for some in (d.means, d.aucs))
    return [means, "flat" if d.rho is None else f"{d.rho:.2f}", aucs]


def _floors(card: Card, subjects: Sequence[Subject]) -> str:
    rows = []
    for s in subjects:
        for f in (f for f in card.floors if f.subject == s.name):
            span = "" if f.low is None or f.high is None else f" [{f.low:.3f}, {f.high:.3f}]"
            sizes = " / ".join(map(str, f.n))
            rows.append(
                [
                    s.name,
                    f.mode,
                    f"{f.first:.3f}",
                    f"{f.second:.3f}",
                    f"{f.difference:.3f}{span}",
                    f"{f.spread:.3f}",
                    sizes,
                ]
            )
    return table(["probe", "mode", "first set", "second set", "difference [95%]", "spread", "scenes"], rows)


def _alarms(card: Card) -> Iterable[str]:
    probes = {s.name for s in card.subjects if s.kind == "probe"}
    mine = [a for a in card.alarms if a.subject in probes]
    plain, looks = ([a for a in mine if bool(a.look) == seen] for seen in (False, True))
    for some, what, least in ((plain, "plain", ORACLE_LEAST), (looks, "under another look", LOOK_LEAST)):
        clips, failing = sum(a.clips for a in some), sum(a.failing or 0 for a in some)
        if clips:
            yield f"Of {clips} true clips, {what}, {failing} score below {least}, which the card calls failing."
    rejected, tests, rate = rejection_rate(looks)
    if tests:
        yield (
            f"Of {tests} paired tests at {ALPHA} of the truth against the truth under another look, {rejected} call them different: "
            f"{rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]."
        )
    rows = [
        [
            a.subject,
            a.look or "plain",
            f"{a.failing} of {a.clips}",
            "" if a.difference is None else f"{a.difference:.3f}",
            p_text(a.p_value),
        ]
        for a in mine
        if a.failing or a.rejected
    ]
    yield table(["probe", "look", "failing", "truth - look", "p"], rows) if rows else ""


def _looks(card: Card, subjects: Sequence[Subject]) -> str:
    names = list(dict.fromkeys(r.what for r in card.rows if r.kind == "look" and r.suite != FIDELITY))
    rows = []
    for s in subjects:
        mine = {r.what: r for r in card.rows if r.kind == "look" and r.subject == s.name}
        rows.append([s.name, *(marked(mine[n].worst or 0.0, LOOK_LEAST) if n in mine else "" for n in names)])
    return table(["probe", *names], rows) if names else ""


def _through(card: Card, subjects: Sequence[Subject]) -> str:
    rows = []
    for s in subjects:
        cells = []
        for look in CHEAP:
            mine = [r for r in card.rows if r.subject == s.name and r.look == look]
            cells.append(f"{hardest(mine).what} {auc_of(hardest(mine))}" if mine else "")
        if any(cells):
            rows.append([s.name, *cells])
    return table(["probe", *CHEAP], rows) if rows else ""


def _tracker(card: Card) -> Iterable[str]:
    yield "All coloured bodies of at least 8 visible pixels, intersection over union of boxes; means over clips."
    yield ""
    yield "| clips | HOTA | MOTA | IDF1 | identity switches |"
    yield "|---|---:|---:|---:|---:|"
    for c in card.trackers:
        yield f"| {c.clips}, {c.spoilt} | {c.hota:.2f} | {c.mota:.2f} | {c.idf1:.2f} | {c.switches} |"


def _unnoticed(card: Card) -> Iterable[str]:
    design = {(r.subject, r.what): r.by_design for r in card.rows if r.by_design and not r.good}
    for (subject, what), reason in design.items():
        yield f"- {subject}, {what}, by design: {reason}."
    for r in card.missed:
        told = "unavailable" if r.auc is None or r.worst is None else f"worst {number(r.worst)}, AUC {r.auc:.2f}"
        yield f"- {' '.join(p for p in (r.subject, r.mode) if p)}, {r.what}: {told}. {'; '.join(r.reasons)}".rstrip()
    if not design and not card.missed:
        yield "Nothing."
