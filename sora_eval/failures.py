"""Technical failures: clips without an answer for a reason that says nothing about the model: an exception, a service that is down."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from itertools import islice

from sora_eval.errors import ConfigError, ManifestError, SoraEvalError
from sora_eval.generator.base import Generator
from sora_eval.types import Case, Failure, ScoreRow, Video

SHARE = 0.02
"""The share of a model's clips that may fail technically before it is compared with none: well below the drops that a gate looks for."""
FAILED = "failed.json"
"""Of a run's folder in a sweep: why its job failed the last time."""
NO_ANSWER = "the generator gave no answer"


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Nothing can be written: of the run's own folder too. Other errors of the system may be the generator's alone."""


class FailedRunError(SoraEvalError):
    """No clip of a run's model could be judged, for technical reasons."""


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its type and its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def answers(generator: Generator, cases: Sequence[Case]) -> Iterator[tuple[Case, Video | Failure]]:
    """Yield each case with its answer, whatever the generator does: what it raises becomes a technical `Failure`.

    After an exception the cases that have no answer yet are asked one by one, so that only the one that raises by itself fails: a batch may
    have been too large. A generator that gives more or fewer answers than cases may have skipped one in the middle, and none of its answers
    can be trusted to be of its case; then all are asked one by one, and a case comes a second time: its last answer counts.

    Raises:
        ConfigError, ManifestError: the generator can't be used at all. OSError: the disk is full.
    """
    if not cases:
        return
    left = list(cases)
    try:
        given = iter(generator.generate(left))
        while left:
            found = next(given, None)
            if found is None:
                break
            yield left[0], _checked(found)
            left = left[1:]
        if left or next(given, None) is not None:
            left = list(cases)
    except GeneratorExit:
        raise
    except BaseException as error:
        if _fatal(error):
            raise
        if left and len(cases) == 1:
            yield cases[0], _raised(generator, error)
            return
    for case in left:
        yield case, _alone(generator, case)


def technical(rows: Sequence[ScoreRow]) -> int:
    """Return how many rows failed technically."""
    return sum(r.failure == "technical" for r in rows)


def failed(rows: Sequence[ScoreRow]) -> bool:
    """Return whether rows hold nothing that could be judged, for technical reasons: then their score says nothing about the model.

    Cases that were refused, and answers without a clip, may be among them.
    """
    return technical(rows) > 0 and not any(answered(r) for r in rows)


def answered(row: ScoreRow) -> bool:
    """Return whether the model gave a clip that was judged, or could have been."""
    return row.value is not None or (row.video != "" and not row.failure)


def first_reason(rows: Sequence[ScoreRow]) -> str:
    """Return the case and the reason of the first technical failure, "" where there is none."""
    return next((f"{r.case}: {r.reason}" for r in rows if r.failure), "")


def why_failed(rows: Sequence[ScoreRow], name: str) -> str:
    """Return why a run has no score of the model `name`, "" where it has one."""
    mine = [r for r in rows if r.generator == name]
    if not failed(mine):
        return ""
    return f"{name} has no score: {_counted(mine)} and no other came back ({first_reason(mine)}); the same command asks again"


def too_many(rows: Sequence[ScoreRow], share: float = SHARE) -> str:
    """Return why rows of one generator say too little of it to be compared, "" where few or none failed technically.

    Few are at most `share` of all cases, and of each probe at most that share or one.
    """
    probes: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in rows:
        probes.setdefault((row.suite, row.probe), []).append(row)
    spoilt = [p for (_, p), some in probes.items() if technical(some) > max(1.0, share * len(some))]
    if technical(rows) <= share * len(rows) and not spoilt:
        return ""
    where = (
        f", of {spoilt[0]} more than {share:g} of its own" if spoilt and technical(rows) <= share * len(rows) else ""
    )
    return f"{_counted(rows)}{where}; at most a share of {share:g} may ({first_reason(rows)}); the run's command asks again"


def _counted(rows: Sequence[ScoreRow]) -> str:
    return f"{technical(rows)} of {len(rows)} clips failed technically"


def _alone(generator: Generator, case: Case) -> Video | Failure:
    try:
        found = list(islice(generator.generate([case]), 2))
    except BaseException as error:
        if _fatal(error):
            raise
        return _raised(generator, error)
    if len(found) > 1:
        return Failure("the generator gave more than one answer to one case", technical=True)
    return _checked(found[0]) if found else Failure(NO_ANSWER, technical=True)


def _checked(answer: object) -> Video | Failure:
    if isinstance(answer, Video | Failure):
        return answer
    return Failure(f"the generator gave a {type(answer).__name__}, a Video or a Failure is needed", technical=True)


def _raised(generator: Generator, error: BaseException) -> Failure:
    return Failure(f"the generator {generator.name} raised {one_line(error)}", technical=True)


def _fatal(error: BaseException) -> bool:
    """Return whether an exception of a generator ends the run: the user stops it, nothing can be asked of it, or nothing can be written."""
    return isinstance(error, KeyboardInterrupt | ConfigError | ManifestError) or (
        isinstance(error, OSError) and error.errno in _FULL
    )
