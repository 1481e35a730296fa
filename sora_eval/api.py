"""The Python API: `from sora_eval import evaluate, load_run`."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from sora_eval.types import Mode, ScoreRow

if TYPE_CHECKING:
    import pandas as pd

    from sora_eval.generator.base import Generator
    from sora_eval.tracking.base import Tracker


class _Temporary:
    """A folder that goes with the last result that uses it."""

    def __init__(self) -> None:
        self.name = mkdtemp(prefix="sora-eval-")
        weakref.finalize(self, shutil.rmtree, self.name, ignore_errors=True)


@dataclass(frozen=True)
class Result:
    """A finished run."""

    folder: Path
    """The run folder."""
    rows: tuple[ScoreRow, ...]
    """A score per clip, of the model first."""
    problems: tuple[str, ...]
    """What was wrong with the input."""
    _temporary: _Temporary | None = field(default=None, repr=False, compare=False)

    def table(self) -> str:
        """Return scores with 95% intervals by generator and suite, as aligned columns."""
        from sora_eval.reporting.components.text import table

        return table(self.rows)

    def to_pandas(self) -> pd.DataFrame:
        """Return a row per clip; each component of the score is a column `components.NAME`."""
        import pandas as pd

        return pd.json_normalize([row.values() for row in self.rows])

    def report(self, players: int = 3) -> Path:
        """Write report.html and return its path. players: clips shown per probe and model."""
        from sora_eval.reporting.report.write import write_report

        return write_report(self.folder, players)

    def save(self, folder: str | Path) -> Result:
        """Copy the run folder and return the run there.

        Raises:
            FileExistsError: the folder is there already.
        """
        shutil.copytree(self.folder, folder)
        return replaced(self, folder=Path(folder), _temporary=None)


def evaluate(
    generator: Generator | Callable[..., Any] | str,
    suite: str = "smoke",
    profile: str = "small",
    *,
    count: int | None = None,
    suites: Sequence[str] | None = None,
    probes: Sequence[str] | None = None,
    modes: Sequence[Mode] | None = None,
    samples: int | None = None,
    seed: int = 0,
    references: Sequence[str] = ("oracle", "frozen"),
    tracker: Tracker | str = "world",
    expander: str = "none",
    fidelity: bool = False,
    tracking: bool = False,
    folder: str | Path | None = None,
    replace: bool = False,
    workers: int = 1,
    progress: bool = True,
) -> Result:
    """Evaluate a generator on a suite, as `sora-eval run` does.

    Args:
        generator: a `Generator`; a function `f(prompt, *, height, width, frames, fps, seed, conditioning)` that returns uint8 [T, H, W, 3];
            or the name of an entry of conf/generator, such as "reference", or of a plug-in.
        suite: an entry of conf/suite: smoke, standard, full, gate, abilities, or a suite by its name (`sora-eval list`).
        profile: an entry of conf/profile: small, medium, large, wan, cogvideox, ltx or hunyuan.
        count: cases per probe and mode; None for the suite's.
        suites: suites to select, None for the four default ones; the optional ones are chosen by name.
        probes: probes to select, None for all of the four default suites; those of the optional ones are chosen by name.
        modes: t2v, i2v or v2v, None for the suite's.
        samples: clips per case; None for 1, or as many as a folder of videos has.
        seed: of the scenes.
        references: oracle and controls to compare with.
        tracker: a `Tracker`, or the name of an entry of conf/tracker or of a plug-in.
        expander: of prompts before they are sent: none, bundled, or package.module:function.
        fidelity: whether to measure fidelity metrics.
        tracking: whether to measure tracking metrics.
        folder: run folder, in which the same call resumes; None for a temporary one, which lives as long as the result.
        replace: whether `folder` may be taken where it holds another run.
        workers: processes; generators that can't be copied run in this one. With more than one, a script needs
            `if __name__ == "__main__":`.
        progress: whether to show a progress bar.

    Raises:
        ConfigError: a name is unknown or a value can't be used.
        FailedRunError: no clip could be judged, for technical reasons.

    """
    from sora_eval import registry
    from sora_eval.config import Call, RunConfig, parse
    from sora_eval.fidelity.options import FidelityOptions
    from sora_eval.generator.base import Generator
    from sora_eval.generator.callable import PythonCallable
    from sora_eval.processes import check_main_guard
    from sora_eval.prompting.options import PromptOptions
    from sora_eval.run import plan_run, run

    check_main_guard()
    entry = generator if isinstance(generator, str) else "oracle"
    followed = tracker if isinstance(tracker, str) else "world"
    words = [f"generator={entry}", f"tracker={followed}", f"suite={suite}", f"profile={profile}"]
    config: RunConfig = parse("run", words)[0]
    if isinstance(generator, str):
        model, node = registry.generator(config.generator), config.generator
    else:
        model = generator if isinstance(generator, Generator) else PythonCallable(generator)
        node = {**_class_of(generator), "name": model.name}
    changes: dict[str, Any] = {"count": count, "suites": suites, "probes": probes, "modes": modes}
    temporary = _Temporary() if folder is None else None
    config = replaced(
        config,
        generator=node,
        tracker=config.tracker if isinstance(tracker, str) else _class_of(tracker),
        suite=replaced(config.suite, **{k: v for k, v in changes.items() if v is not None}),
        out=str(folder if temporary is None else temporary.name),
        replace=replace,
        references=tuple(references),
        seed=seed,
        samples=samples,
        prompts=PromptOptions(expander=expander),
        fidelity=FidelityOptions() if fidelity else None,
        tracking=tracking,
    )
    call = Call("sora_eval.evaluate(...)", entry, workers)
    plan = plan_run(config, call, model, None if isinstance(tracker, str) else tracker)
    done = run(plan, say=lambda line: None, progress=progress)
    return Result(plan.folder, tuple(done.rows), tuple(done.problems), temporary)


def _class_of(made: object) -> dict[str, Any]:
    """Return the config node of an object that no configuration made."""
    return {"_target_": f"{type(made).__module__}.{type(made).__qualname__}"}


def load_run(folder: str | Path) -> Result:
    """Return the finished run in a folder.

    Raises:
        ConfigError: a file of the run is missing or broken.
    """
    from sora_eval.runs.reader import read_run

    run = read_run(Path(folder))
    return Result(run.folder, run.rows, run.problems)
