"""`sora-eval cases`: export prompts, given frames and a manifest template."""

from __future__ import annotations

import sys

from sora_eval.config import Call, CasesConfig, out_folder, with_cases
from sora_eval.stats.samples import per_prompt


def main(config: CasesConfig, call: Call) -> int:
    """Write the cases and return the exit code."""
    from sora_eval.runs.case_export import export_cases
    from sora_eval.world import VERSION, conditioning
    from sora_eval.world.action_scripts import action_script
    from sora_eval.world.trajectories import trajectory

    config, asked = with_cases(config)
    cases = asked.cases
    for line in asked.left_out:
        print(line, file=sys.stderr)
    default = "-".join(
        ["cases", config.suite.name, config.profile.name, *filter(None, [config.world.name]), str(config.seed)]
    )
    out, version = out_folder(config.out, default), f"world {VERSION}"
    workers = config.workers or call.cores
    folder = export_cases(
        cases,
        out,
        conditioning,
        version,
        workers,
        progress=True,
        trajectory=trajectory,
        actions=action_script,
    )
    k = per_prompt(cases)
    counted = f"{len(cases) // k} cases" + (f", {k} samples of each," if k > 1 else "")
    print(f"{counted} are in {folder}; README.txt there explains the next step")
    return 0
