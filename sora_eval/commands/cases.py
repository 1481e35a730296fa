"""`sora-eval cases`: export prompts, given frames and a manifest template."""

from __future__ import annotations

from omegaconf import DictConfig

from sora_eval.config import chosen_cases, chosen_probes, out_folder
from sora_eval.stats.samples import per_prompt


def main(config: DictConfig) -> int:
    """Write the cases and return the exit code."""
    from sora_eval.runs.case_export import export_cases
    from sora_eval.world import conditioning

    cases = chosen_cases(config, chosen_probes(config))
    folder = export_cases(cases, out_folder(config), conditioning, progress=True)
    k = per_prompt(cases)
    told = f"{len(cases) // k} cases" + (f", {k} samples of each," if k > 1 else "")
    print(f"{told} are in {folder}; README.txt there says how to go on")
    return 0
