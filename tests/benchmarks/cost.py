"""What runs cost, by suite and profile, from `sora-eval plan`: `python -m benchmarks.cost` writes the tables of docs/cost.md and README.md.

`--codecs` writes the table of codecs anew too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import codecs

from sora_eval import registry
from sora_eval.config import RunConfig, parse
from sora_eval.cost.estimates import estimate, gib
from sora_eval.cost.rates import Rates, clips_by_stage, cpu_minutes, measure
from sora_eval.cost.references import DEFAULT
from sora_eval.evaluation import Loop
from sora_eval.generator.simulator import reference
from sora_eval.stats.samples import asked_of

ROOT = Path(__file__).parents[2]
SUITES = ("smoke", "gate", "standard", "full")
PROFILES = ("small", "medium", "large")
WORKERS = 2
README_SUITE = "smoke"


def rates_of(profile: str, measured: int = 2) -> Rates:
    """Return this machine's rates for a profile."""
    config = _config("smoke", profile)
    probes, cases = config.suite.select(config.profile, 0, 1)
    spread = cases[:: max(1, len(cases) // measured)][:measured]
    with TemporaryDirectory() as folder:
        return measure(spread, Loop(Path(folder), probes, registry.tracker(config.tracker)), config)


def rows(rates: Mapping[str, Rates], suites: Sequence[str] = SUITES) -> list[list[str]]:
    """Return suite, profile, clips, minutes of judging, minutes of references, memory and disk, in words."""
    found = []
    for suite in suites:
        for profile in rates:
            config = _config(suite, profile)
            _, cases = config.suite.select(config.profile, 0, 1)
            prompts, kept = asked_of("oracle", cases), rates[profile]
            made = sum(len(asked_of(reference(name).kind, cases)) for name in DEFAULT)
            alone = cpu_minutes(kept, clips_by_stage(config, len(prompts), len(cases), 0))
            more = cpu_minutes(kept, clips_by_stage(config, len(prompts), len(cases), made)) - alone
            needed = estimate(config.profile, config.video, len(cases), made, False, WORKERS)
            found.append(
                [
                    *(suite, profile, f"{len(cases):,}"),
                    *(_time(minutes / WORKERS) for minutes in (alone, more)),
                    gib(needed.memory),
                    _disk((len(cases) + made) * kept.stored, needed.noisy_disk),
                ]
            )
    return found


def table(found: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    heads = ("suite", "profile", "clips", "judging", "references, once", "memory", "disk")
    return markdown((heads, ["---", "---", *["--:"] * 5], *found))


def stages(rates: Mapping[str, Rates]) -> str:
    """Return CPU seconds of a clip by stage and profile as a Markdown table."""
    names = list(next(iter(rates.values())).seconds)
    lines = [["CPU seconds a clip", *names], ["---", *["--:"] * len(names)]]
    lines += [[profile, *(f"{kept.seconds[name]:.2f}" for name in names)] for profile, kept in rates.items()]
    return markdown(lines)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells, heads and rule first, as a Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(path: Path, name: str, text: str) -> None:
    """Replace the part NAME of a page."""
    page = path.read_text(encoding="utf-8")
    begin, end = f"<!-- made: {name} -->", "<!-- end -->"
    pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    assert pattern.search(page), f"{path.name}: no part {name}"
    path.write_text(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", page), encoding="utf-8")


def _config(suite: str, profile: str) -> RunConfig:
    config: RunConfig = parse("plan", [f"suite={suite}", f"profile={profile}"])[0]
    return config


def _disk(clean: float, noisy: float) -> str:
    figures = [f"{size / 1e9:.2f}" if size < 1e9 else f"{size / 1e9:.0f}" for size in (clean, max(clean, noisy))]
    return f"{' to '.join(dict.fromkeys(figures))} GB"


def _time(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def main() -> None:
    """Measure and write the tables."""
    rates = {profile: rates_of(profile) for profile in PROFILES}
    found = rows(rates)
    cost = ROOT / "docs" / "cost.md"
    write(cost, "cost", table(found))
    write(cost, "stages", stages(rates))
    write(ROOT / "README.md", "cost", table([row for row in found if row[0] == README_SUITE]))
    if "--codecs" in sys.argv:
        for size in codecs.SIZES:
            write(cost, f"codecs {size[0]}", codecs.table(size))


if __name__ == "__main__":
    main()
