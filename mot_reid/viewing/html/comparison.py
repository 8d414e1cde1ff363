"""The page of a comparison: which tracker, which embedder, which boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from mot_reid.viewing.html.page import Section, page_html
from mot_reid.viewing.html.templates import render

SCORES = {"HOTA": "hota", "DetA": "deta", "AssA": "assa", "IDF1": "idf1"}
_NOTE = (
    "Percent, all boxes of the videos together. Below a score: the 95% interval of its difference to the first row, "
    "from the same draws of blocks of frames. A row whose interval reaches 0 cannot be told from the first. Refined "
    "rows saw the whole video. Milliseconds are those of association alone, a frame."
)


def comparison_html(board: Mapping[str, Any], *, measured: str) -> Markup:
    """Returns the whole page.

    Args:
        board: from `evaluation.comparison.leaderboard`.
        measured: one line on what was compared.
    """
    sections = [Section("together", "All videos together", _table(board["rows"], None, note=_NOTE))]
    for number, video in enumerate(board["videos"]):
        sections.append(Section(f"video{number}", video, _table(board["rows"], video, note="")))
    return page_html("Trackers compared", heading="Trackers compared", subtitle=measured, sections=sections)


def _table(rows: list[dict[str, Any]], video: str | None, *, note: str) -> Markup:
    """Returns the rows on one video, or on all of them together."""
    shown = rows if video is None else sorted(rows, key=lambda row: -row["sequences"][video]["hota"])
    titles = [*SCORES, "Switches", *(["ms"] if video is None else [])]
    values = {"titles": titles, "rows": [_cells(row, video, first=row is shown[0]) for row in shown], "note": note}
    return render("comparison/table.html", values)


def _cells(row: Mapping[str, Any], video: str | None, *, first: bool) -> dict[str, Any]:
    scores = row["combined"] if video is None else row["sequences"][video]
    cells = []
    for name in SCORES.values():
        low, high = (100 * end for end in row["to_best"][name])
        small = "" if video is not None or first else f"{low:+.1f} to {high:+.1f}"
        cells.append({"text": f"{100 * scores[name]:.1f}", "small": small})
    cells.append({"text": f"{scores['idsw']:,}", "small": ""})
    if video is None:
        spent = row["milliseconds"]
        cells.append({"text": "" if spent is None else f"{spent:.2f}", "small": ""})
    return {**{key: row[key] for key in ("tracker", "embedder", "detector", "offline")}, "cells": cells}
