"""Texts of this package that stress a word: Markdown has them as they are, a page as HTML."""

from __future__ import annotations

import re

from markupsafe import Markup, escape


class Marked(str):
    """Text with **bold** and *emphasised* words, for cells, captions and notes; never a text of users."""


def marked_html(text: str) -> Markup:
    """Return text as HTML; the stars of `Marked` become elements, all other text is escaped.

    Example:
        >>> marked_html(Marked("**0.50** < 1")), marked_html("*a*")
        (Markup('<strong>0.50</strong> &lt; 1'), Markup('*a*'))
    """
    html = str(escape(str(text)))
    if isinstance(text, Marked):
        html = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html)
        html = re.sub(r"\*(.+?)\*", r"<em>\1</em>", html)
    return Markup(html)
