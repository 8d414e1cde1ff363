"""The frame of a report: one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from mot_reid.viewing.html.style import STYLE


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        name: Its anchor.
        title: Its heading, and its link at the top.
        body: HTML; a section without is left out.
    """

    name: str
    title: str
    body: str


def page_html(title: str, *, heading: str, subtitle: str, sections: Sequence[Section], style: str = "") -> str:
    """Returns a whole page.

    Args:
        title: Of the window.
        heading: On top of the page.
        subtitle: One line below it.
        sections: In their order.
        style: CSS beside the one that all reports share.
    """
    shown = [part for part in sections if part.body]
    links = "".join(f'<a href="#{part.name}">{escape(part.title)}</a>' for part in shown)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(heading)}</h1><p>{escape(subtitle)}</p><nav>{links}</nav></header>\n<main>\n"
        + "\n".join(
            f'<section id="{part.name}"><h2>{escape(part.title)}</h2>\n{part.body}\n</section>' for part in shown
        )
        + "\n</main>\n</body>\n</html>\n"
    )
