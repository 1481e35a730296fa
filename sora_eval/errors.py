"""Exceptions of sora-eval; each message names the thing, the place and the remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from difflib import get_close_matches


class SoraEvalError(Exception):
    """Base of every exception that sora-eval raises on purpose."""


class VideoError(SoraEvalError):
    """A video could not be read or written."""


class ManifestError(SoraEvalError):
    """A manifest of somebody's videos has a faulty row."""


class ConfigError(SoraEvalError):
    """A configuration value is unknown or out of range."""


_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ESTALE, errno.EMFILE, errno.ENFILE)


def is_fatal(error: BaseException | None) -> bool:
    """Return whether an exception ends a run rather than one case: the disk is full, failing or closed to us, or was when a codec wrote."""
    while error is not None:
        # FFmpeg's errors have a number too, and are no OSError.
        if getattr(error, "errno", None) in _FATAL:
            return True
        error = error.__cause__
    return False


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Return the error for an unknown `name`, with the nearest known names."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return ConfigError(f"unknown {kind} '{name}': {hint}")
