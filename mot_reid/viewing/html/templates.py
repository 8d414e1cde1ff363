"""Pages are Jinja2 templates: markup and styles lie in files, and every value is escaped on its way in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, values: Mapping[str, Any], *, folder: Path = TEMPLATES) -> Markup:
    """Returns a filled template; a name that the template uses and nobody gave is an error, not an empty place.

    Args:
        template: Name of the file in the folder, such as "page.html".
        values: What the template shows, by name. Strings are escaped; `Markup` is taken as it is.
        folder: Where the template lies.

    Raises:
        jinja2.UndefinedError: If the template uses a name that `values` lacks.
    """
    return Markup(_environment(folder).get_template(template).render(values))


def read_style(name: str, *, folder: Path = TEMPLATES) -> Markup:
    """Returns a style sheet of the folder, to be written into a page."""
    return Markup((folder / name).read_text(encoding="utf-8"))


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "count": _count, "fixed": _fixed}
    return environment


def _percent(value: float, digits: int = 1) -> str:
    """Returns a fraction in percent, without the sign."""
    return f"{100 * value:.{digits}f}"


def _count(value: int) -> str:
    """Returns a whole number with commas between its thousands."""
    return f"{value:,}"


def _fixed(value: float, digits: int = 2) -> str:
    """Returns a number with that many digits after the point."""
    return f"{value:.{digits}f}"
