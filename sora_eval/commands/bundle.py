"""`sora-eval bundle RUN`: a run in one archive, for others to verify."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def main(args: Sequence[str]) -> int:
    """Write the archive and return the exit code."""
    from sora_eval.commands.words import parsed
    from sora_eval.recipe.bundle import write_bundle
    from sora_eval.recipe.options import BundleOptions

    about = (
        "Put a finished run into one archive: clips, reproduction card, scores, results and the hashes of all files."
    )
    (run,), options = parsed("bundle", about, [("run", "folder of a finished run")], BundleOptions, args)
    out = Path(options.out) if options.out is not None else run.resolve().with_name(f"{run.resolve().name}.zip")
    files = write_bundle(run, out)
    print(f"{files} files, {out.stat().st_size / 1e6:.1f} MB: {out}")
    return 0
