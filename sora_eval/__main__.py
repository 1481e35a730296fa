"""`python -m sora_eval`, the same as the console script `sora-eval`."""

import sys

from sora_eval.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
