"""`sora-eval audit`: which wrong clips somebody's metric, reward model or judge prefers to the truth."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from sora_eval.config import AuditConfig, Call, out_folder
from sora_eval.errors import ConfigError
from sora_eval.probes.selection import select_probes
from sora_eval.types import ALL_MODES


def main(config: AuditConfig, call: Call) -> int:
    """Write the audit; return 1 where a scorer prefers a control or an exploit to the truth."""
    from sora_eval.audit.report import make_audit
    from sora_eval.audit.statistics import paid_for
    from sora_eval.audit.trials import Target, audit_trials
    from sora_eval.reporting.audit.write import write_audit
    from sora_eval.validity.trials import TrialPlan, code_hash

    targets = [Target(t, t in config.lower, config.timeout_s) for t in config.scorers]
    if unknown := [t for t in config.lower if t not in config.scorers]:
        raise ConfigError(f"lower={unknown[0]} is none of the scorers: {', '.join(config.scorers)}")
    scorers = [t.load() for t in targets]
    if len({s.name for s in scorers}) < len(scorers):
        raise ConfigError(f"two scorers have the same name: {', '.join(s.name for s in scorers)}")
    modes = tuple(m for m in ALL_MODES if m in config.suite.modes)
    every = select_probes(config.suite.suites, config.suite.probes).values()
    probes = [p for p in every if set(p.modes) & set(modes)]
    folder = out_folder(config.out)
    plan = TrialPlan(config.profile, modes, config.suite.count, config.seed, Path(config.cache), code_hash())
    with tqdm(unit="scene", smoothing=0.05) as bar:

        def done(total: int) -> None:
            bar.total = total
            bar.update()

        trials = audit_trials(targets, probes, plan, config.workers or call.cores, done)
    about = f"{plan.count} scenes of each of {len(probes)} probes, profile {config.profile.name}"
    audit = make_audit(call.command, about, scorers, trials)
    for scorer in scorers:
        if all(t.value is None for t in trials if t.scorer == scorer.name):
            reason = next(t.reason for t in trials if t.scorer == scorer.name)
            raise ConfigError(f"scorer {scorer.name} gave no score for any clip: {reason}")
    page = write_audit(audit, probes, plan, folder)
    paid = paid_for(audit.preferences)
    for r in paid:
        print(f"{r.scorer} prefers {r.condition} to the truth in {r.rate:.0%} of scenes [{r.low:.0%}, {r.high:.0%}]")
    print(f"audit: {page}")
    return 1 if paid else 0
