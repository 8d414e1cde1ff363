"""The frame of a report: one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from mot_reid.viewing.html.templates import read_style, render


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        name: Its anchor.
        title: Its heading, and its link at the top.
        body: HTML; a section with an empty body is left out.
    """

    name: str
    title: str
    body: Markup


def page_html(title: str, *, heading: str, subtitle: str, sections: Sequence[Section], style: str = "") -> Markup:
    """Returns a whole page.

    Args:
        title: Title of the browser's window.
        heading: Heading at the top of the page.
        subtitle: One line below the heading.
        sections: Sections in their order.
        style: Name of a further style sheet in `templates/`, read after the one that all reports share.
    """
    sheets = read_style("style.css") + (read_style(style) if style else Markup(""))
    shown = [part for part in sections if part.body]
    values = {"title": title, "heading": heading, "subtitle": subtitle, "sections": shown, "style": sheets}
    return render("page.html", values)
