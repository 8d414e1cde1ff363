"""Templates: what is given is escaped, what is missing is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from mot_reid.viewing.html.templates import render


def write(folder: Path, text: str) -> Path:
    (folder / "page.html").write_text(text, encoding="utf-8")
    return folder


def test_text_is_escaped_and_markup_is_not(tmp_path: Path) -> None:
    folder = write(tmp_path, "{{ text }}{{ markup }}")
    found = render("page.html", {"text": "<b>&", "markup": Markup("<i></i>")}, folder=folder)
    assert found == "&lt;b&gt;&amp;<i></i>"
    assert isinstance(found, Markup)


def test_a_name_that_nobody_gave_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError, match="'missing' is undefined"):
        render("page.html", {}, folder=write(tmp_path, "{{ missing }}"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{{ 0.1234 | percent }}", "12.3"), ("{{ 12345 | count }}", "12,345"), ("{{ 0.126 | fixed }}", "0.13")],
)
def test_numbers_are_written_as_in_a_table(tmp_path: Path, text: str, expected: str) -> None:
    assert render("page.html", {}, folder=write(tmp_path, text)) == expected
