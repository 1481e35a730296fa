"""`sora-eval reproduce CARD`: make a run again from its reproduction card, and compare the scores."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sora_eval.errors import ConfigError

if TYPE_CHECKING:
    from sora_eval.config import RunConfig
    from sora_eval.recipe.card import Agreement, Card
    from sora_eval.runs.plan import Plan

_SHOWN = 10


def main(args: Sequence[str]) -> int:
    """Make the run again and return the exit code: 0 for equal scores, 1 for others."""
    from sora_eval.commands.overrides import as_typed
    from sora_eval.config import Call
    from sora_eval.processes import cores
    from sora_eval.recipe.card import agreement, read_card
    from sora_eval.run import plan_run, run

    options = _parser().parse_args(args)
    card = read_card(options.card)
    changes = [as_typed(change) for change in options.changes if not change.startswith("trust=")]
    config = _config(card, changes, "trust=true" in options.changes)
    plan = plan_run(config, Call(str(card.about.get("command", "")), cores=cores()))
    for line in _differences(card, plan):
        print(f"note: {line}")
    _send_same(card, plan)
    result = run(plan)
    found = agreement(card, list(result.rows))
    print("\n".join(_lines(found)))
    print(f"report: {plan.folder / 'report.html'}")
    return 0 if found.exact else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sora-eval reproduce",
        description="Make a run again from its reproduction card, and compare the scores case by case.",
        epilog="Exit codes: 0 all scores are equal, 1 some differ, 2 not done.",
    )
    parser.add_argument("card", type=Path, metavar="CARD", help="a card.json, or the folder of its run")
    parser.add_argument(
        "changes",
        nargs="*",
        metavar="KEY=VALUE",
        help="out=FOLDER (by default CARD's folder with -again); what is elsewhere here, such as generator.checkpoint=FILE; trust=true to "
        "run code that is not sora-eval's own, as the card names it (functions, plug-ins)",
    )
    return parser


def _config(card: Card, changes: Sequence[str], trust: bool) -> RunConfig:
    """Return the configuration of a card with changes.

    Raises:
        ConfigError: it can't be used, or names code that is not sora-eval's own and is not trusted.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from sora_eval.config import RunConfig, values_of
    from sora_eval.files import literal
    from sora_eval.recipe.trust import refuse_foreign

    if wrong := [c for c in changes if "=" not in c]:
        raise ConfigError(f"{wrong[0]}: write KEY=VALUE, such as out=FOLDER")
    try:
        merged = OmegaConf.merge(
            OmegaConf.create(literal(dict(card.about["config"]))), OmegaConf.from_dotlist(list(changes))
        )
    except OmegaConfBaseException as error:
        raise ConfigError(f"{' '.join(changes)}: {str(error).splitlines()[0]}") from error
    values = values_of(merged)  # type: ignore[arg-type]
    if not any(c.startswith("out=") for c in changes):
        values["out"] = str(card.path.parent.with_name(f"{card.path.parent.resolve().name}-again"))
    # What is for this machine to say.
    if not any(c.startswith("workers=") for c in changes):
        values["workers"] = None
    refuse_foreign(values, trust, str(card.path), "trust=true")
    if hidden := _masked(values):
        raise ConfigError(f"{card.path}: {hidden} was a secret and is not in the card: set {hidden}=...")
    return RunConfig.of(values)


def _masked(values: Mapping[str, Any], prefix: str = "") -> str:
    """Return the first option whose value was masked, "" for none."""
    for key, value in values.items():
        if isinstance(value, Mapping) and (inner := _masked(value, f"{prefix}{key}.")):
            return inner
        if isinstance(value, str) and "***" in value:
            return f"{prefix}{key}"
    return ""


def _differences(card: Card, plan: Plan) -> list[str]:
    """Return a line for each thing that is not as the card has it: cases, weights, versions."""
    from sora_eval.recipe.settings import differences
    from sora_eval.runs.manifest import manifest

    now = manifest(plan, (), 0.0, {})
    lines = []
    if now["hashes"]["cases"] != card.about.get("hashes", {}).get("cases"):
        lines.append("the cases are not those of the card: another version of sora-eval words or draws them otherwise")
    return [
        *lines,
        *(d.line("card", "here") for d in differences(card.about, now) if d.group not in ("command", "cases")),
    ]


def _send_same(card: Card, plan: Plan) -> None:
    """Store the card's rewritten prompts in the new folder: what was sent then is sent again, and no expander is asked."""
    from sora_eval.prompting.rewriting import write_rewritten

    for case in plan.cases:
        if (rewritten := card.prompts.get(case.id)) is not None and rewritten.prompt == case.prompt:
            write_rewritten(plan.folder, case, rewritten)


def _lines(found: Agreement) -> list[str]:
    total = found.equal + len(found.differing) + len(found.missing)
    if found.exact:
        return [f"reproduced: all {total} scores are equal to the card's"]
    lines = [f"not reproduced: {found.equal} of {total} scores are equal to the card's"]
    for case, then, now in found.differing[:_SHOWN]:
        lines.append(f"  {case}: {_value(then)} in the card, {_value(now)} here")
    if (more := len(found.differing) - _SHOWN) > 0:
        lines.append(f"  {more} more differ less")
    return [*lines, *(f"  {case}: in the card, and not here" for case in found.missing[:_SHOWN])]


def _value(value: float | None) -> str:
    return "not judged" if value is None else f"{value:.6g}"
