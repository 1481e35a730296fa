"""sora-eval: a test bench that tells whether a video generator simulates a world or merely draws one.

>>> from sora_eval import evaluate
>>> result = evaluate("oracle", probes=["relation"], modes=["t2v"], count=1, references=[], progress=False)
>>> [row.value for row in result.rows]
[1.0]
"""

from sora_eval.api import Result, evaluate, load_run
from sora_eval.types import Case, Video
from sora_eval.version import __version__

__all__ = ["Case", "Result", "Video", "__version__", "evaluate", "load_run"]
