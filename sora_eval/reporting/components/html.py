"""Renders pages: one template, one style sheet, one script, and a policy by which nothing is fetched and no other script runs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from sora_eval.reporting.components.marked import marked_html
from sora_eval.reporting.components.page import Page


def render(page: Page, clips: Mapping[str, str] | None = None) -> str:
    """Return a page as HTML. clips: base64 MP4 by clip id."""
    style, script = (Markup(_source(name)) for name in ("style.html.j2", "script.html.j2"))
    # The page's own policy lets no other script run, so an escaping bug would stay a bug instead of becoming a hole.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    variables = {"page": page, "clips": dict(clips or {}), "style": style, "script": script, "script_hash": script_hash}
    return _environment().get_template("page.html.j2").render(variables)


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
    environment.filters.update(marked=marked_html)
    return environment
