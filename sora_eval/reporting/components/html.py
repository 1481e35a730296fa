"""Pages from templates: one look, one script, and a policy by which nothing is fetched and no other script runs."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup


def render(template: str, page: Any, clips: Mapping[str, str] | None = None) -> str:
    """Return a page as HTML. template: a file that extends base.html.j2. page: what it reads. clips: base64 MP4 by clip id."""
    style, script = (Markup(_source(name)) for name in ("style.html.j2", "script.html.j2"))
    # The page's own policy lets no other script run, so an escaping bug would stay a bug instead of becoming a hole.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    found = _environment().get_template(template)
    return found.render(page=page, clips=dict(clips or {}), style=style, script=script, script_hash=script_hash)


def _source(name: str) -> str:
    return files("sora_eval.reporting").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = _score
    environment.filters["part"] = _part
    environment.filters["p"] = p_value
    environment.filters["figure"] = figure
    environment.filters["signed"] = signed
    return environment


def _score(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if math.isfinite(value) else "∞" if value > 0 else "−∞"


def _part(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def p_value(p: float) -> str:
    """Return a p-value as text: two digits that matter, none below a thousandth."""
    return "<0.001" if p < 0.001 else f"{p:.2g}" if p < 0.995 else "1"


def figure(value: float) -> str:
    """Return a measure of fidelity as text; what rounding leaves of nothing is nothing."""
    return "0" if abs(value) < 1e-9 else f"{value:.3g}"


def signed(value: float) -> str:
    """Return a difference as text, with a real minus; what rounds to nothing has no sign."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
