"""`sora-eval verify BUNDLE`: hashes, cases and a random share of the scores of somebody else's run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

_SHOWN = 10


def main(args: Sequence[str]) -> int:
    """Verify an archive, print the verdict in one line and return the exit code: 0 verified, 1 not."""
    from sora_eval.commands.words import parsed
    from sora_eval.processes import cores
    from sora_eval.recipe.options import VerifyOptions
    from sora_eval.recipe.verify import verify

    about = "Check the hashes of a bundle, make its cases again, and score a random share of its clips again."
    codes = "Exit codes: 0 verified, 1 not verified, 2 not done."
    (bundle,), options = parsed(
        "verify", about, [("bundle", "an archive of sora-eval bundle")], VerifyOptions, args, codes
    )
    with TemporaryDirectory(prefix="sora-eval-") as folder:
        done = verify(
            bundle,
            Path(folder),
            options.share,
            options.seed,
            options.tolerance,
            options.workers or cores(),
            options.trust,
            say=lambda line: print(line, file=sys.stderr),
        )
    for note in done.notes:
        print(f"note: {note}")
    for finding in done.findings[1:_SHOWN]:
        print(f"also: {finding.text}")
    print(done.verdict)
    return done.code
