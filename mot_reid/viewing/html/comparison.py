"""The page of a comparison: which tracker, which embedder, which boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mot_reid.viewing.html.page import Section, page_html
from mot_reid.viewing.html.templates import render

SCORES = {"HOTA": "hota", "DetA": "deta", "AssA": "assa", "IDF1": "idf1"}
_Row = Mapping[str, Any]


def comparison_html(board: Mapping[str, Any], *, measured: str) -> Markup:
    """Returns the whole page.

    Args:
        board: from `evaluation.leaderboard.leaderboard`, maybe with `mean_ap` and `correlations` of the Re-ID models.
        measured: one line on what was compared.
    """
    sections = [Section("take", "Which one to take", _take(board))]
    for number, detector in enumerate(dict.fromkeys(row["detector"] for row in board["rows"])):
        rows = [row for row in board["rows"] if row["detector"] == detector]
        sections.append(Section(f"boxes{number}", f"Boxes of {detector}", _boxes(rows, board["videos"])))
    sections.append(Section("refinement", "Once the video is over", _refinement(board)))
    sections.append(Section("models", "Re-ID models", _models(board)))
    return page_html(
        "Trackers compared", heading="Trackers compared", subtitle=measured, sections=sections, style="comparison.css"
    )


def _take(board: Mapping[str, Any]) -> Markup:
    """Returns the best row of each kind on the boxes of each detector."""
    of_name = {row["name"]: row for row in board["rows"]}
    rows = []
    for best in board["best"]:
        row = of_name[best["name"]]
        kind = "the whole video" if row["offline"] else "a Re-ID model" if row["embedder"] else "boxes only"
        told = {key: f"{100 * row['combined'][key]:.1f}" for key in ("hota", "idf1")}
        known = {key: row[key] for key in ("detector", "tracker", "embedder", "offline")}
        rows.append(known | told | {"kind": kind, "led": best["led"], "level": best["level"]})
    return render("comparison/take.html", {"rows": rows, "videos": len(board["videos"])})


def _refinement(board: Mapping[str, Any]) -> Markup:
    """Returns refined rows before and after; nothing where none was refined."""
    if "refinement" not in board:
        return Markup("")
    rows = []
    for gain in board["refinement"]:
        told = {}
        for key in ("hota", "idf1"):
            low, high = (100 * end for end in gain["interval"][key])
            before, after = (f"{100 * gain[when][key]:.1f}" for when in ("before", "after"))
            told[key] = {"text": f"{before} → {after}", "small": f"{low:+.1f} to {high:+.1f}"}
        rows.append({**{key: gain[key] for key in ("detector", "tracker", "embedder", "video")}, **told})
    return render("comparison/refinement.html", {"rows": rows})


def _boxes(rows: Sequence[_Row], videos: Sequence[str]) -> Markup:
    """Returns the rows on the boxes of one detector: all videos together, then each."""
    together = {
        "title": "All videos together",
        "open": True,
        "timed": True,
        "rows": [_cells(row, None) for row in rows],
    }
    single = [
        {
            "title": video,
            "open": False,
            "timed": False,
            "rows": [_cells(row, video) for row in sorted(rows, key=lambda row: -row["sequences"][video]["hota"])],
        }
        for video in videos
    ]
    values = {"titles": list(SCORES), "tables": [together, *single], "reference": rows[0]["reference"]}
    return render("comparison/boxes.html", values)


def _cells(row: _Row, video: str | None) -> dict[str, Any]:
    """Returns what stands in a row, with intervals: on one video, or on all of them together."""
    scores, interval = row["combined"], row["interval"]
    if video is not None:
        scores = row["sequences"][video]
        interval = scores["interval"]
    cells = []
    for name in SCORES.values():
        low, high = (100 * end for end in interval[name])
        small = "" if row["name"] == row["reference"] else f"{low:+.1f} to {high:+.1f}"
        cells.append({"text": f"{100 * scores[name]:.1f}", "small": small, "share": f"{100 * scores[name]:.0f}"})
    spent = row["milliseconds"]
    return {
        **{key: row[key] for key in ("tracker", "embedder", "offline")},
        "is_reference": row["name"] == row["reference"],
        "cells": cells,
        "switches": f"{scores['idsw']:,}",
        "milliseconds": "" if spent is None else f"{spent:.2f}",
    }


def _models(board: Mapping[str, Any]) -> Markup:
    """Returns IDF1 of every tracker with every Re-ID model, beside their mAP; nothing where only one was used."""
    online = [row for row in board["rows"] if row["embedder"] and not row["offline"]]
    idf1 = {(row["embedder"], row["tracker"], row["detector"]): row["combined"]["idf1"] for row in online}
    embedders = list(dict.fromkeys(embedder for embedder, _, _ in idf1))
    if len(embedders) < 2:
        return Markup("")
    mean_ap = board.get("mean_ap", {})
    methods = sorted({(tracker, detector) for _, tracker, detector in idf1}, key=lambda one: (one[1], one[0]))
    rows = []
    for embedder in embedders:
        known = [scores.get(embedder) for scores in mean_ap.values()]
        found = [idf1.get((embedder, *method)) for method in methods]
        rows.append({"name": embedder, "mean_ap": list(map(_percent, known)), "idf1": list(map(_percent, found))})
    values = {
        "data": list(mean_ap),
        "methods": methods,
        "rows": rows,
        "correlations": [_correlation(row) for row in board.get("correlations", [])],
    }
    return render("comparison/models.html", values)


def _percent(score: float | None) -> str:
    return "" if score is None else f"{100 * score:.1f}"


def _correlation(row: _Row) -> dict[str, Any]:
    low, high = row["interval"]
    return {**row, "text": f"{row['correlation']:+.2f}", "small": f"{low:+.2f} to {high:+.2f}"}
