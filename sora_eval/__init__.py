"""sora-eval: a test bench that tells whether a video generator simulates a world or merely draws one.

>>> from sora_eval import evaluate
>>> result = evaluate("oracle", probes=["relation"], modes=["t2v"], count=1, references=[], progress=False)
>>> [row.value for row in result.rows]
[1.0]
"""

from typing import TYPE_CHECKING, Any

from sora_eval.version import __version__

if TYPE_CHECKING:
    from sora_eval.api import Result, evaluate, load_run
    from sora_eval.types import Case, Video

__all__ = ["Case", "Result", "Video", "__version__", "evaluate", "load_run"]


def __getattr__(name: str) -> Any:
    # At first use: the console script imports this package too, and answers --help without NumPy.
    from importlib import import_module

    for module in ("sora_eval.api", "sora_eval.types"):
        if name in __all__ and hasattr(import_module(module), name):
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
