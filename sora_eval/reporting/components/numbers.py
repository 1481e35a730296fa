"""Numbers as text: the same on a page, in Markdown and in a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable


def score(value: float | None) -> str:
    """Return a score in two decimals, a dash for none."""
    if value is None:
        return "–"
    return f"{value:.2f}" if math.isfinite(value) else "∞" if value > 0 else "−∞"


def part(value: float) -> str:
    """Return a component of a score in four digits, a dash where it is not finite."""
    return f"{value:.4g}" if math.isfinite(value) else "–"


def p_value(p: float) -> str:
    """Return a p-value: two digits that matter, none below a thousandth."""
    return "<0.001" if p < 0.001 else f"{p:.2g}" if p < 0.995 else "1"


def figure(value: float) -> str:
    """Return a measure of fidelity; what rounding leaves of nothing is nothing."""
    return "0" if abs(value) < 1e-9 else f"{value:.3g}"


def signed(value: float) -> str:
    """Return a difference with a real minus; what rounds to nothing has no sign."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def span(low: float | None, high: float | None, show: Callable[[float], str] = score) -> str:
    """Return an interval, `[0.55, 0.69]`; "" where there is none."""
    return "" if low is None or high is None else f"[{show(low)}, {show(high)}]"


def several(names: list[str] | tuple[str, ...]) -> str:
    """Return names as a list in words: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def count(n: int, what: str) -> str:
    """Return `1 case` or `2 cases`."""
    return f"{n} {what}{'' if n == 1 else 's'}"
