"""Rank lists, and where a network looks, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mot_reid.viewing.crops import Crop, Evidence, Example, data_uri, overlay
from mot_reid.viewing.html.templates import render

MARKS = {"match": "✓", "wrong": "✗", "ignored": "–", "answer": ""}
_NOBODY = {0: "distractor", -1: "junk"}


def rank_lists_html(examples: Sequence[Example]) -> Markup:
    """Returns each query and its answers in a row."""
    shown = [
        {"query": _shown(one.query), "answers": [_shown(crop) for crop in one.answers], "ap": one.ap}
        for one in examples
    ]
    return render("examples.html", {"examples": shown, "pairs": []})


def evidence_html(evidence: Sequence[Evidence]) -> Markup:
    """Returns both pictures of each pair, each next to itself with the map laid over."""
    pairs = [
        [
            {**_shown(crop), "overlaid": data_uri(overlay(crop.image, heat))}
            for crop, heat in ((one.query, one.query_map), (one.answer, one.answer_map))
        ]
        for one in evidence
    ]
    return render("examples.html", {"examples": [], "pairs": pairs})


def _shown(crop: Crop) -> Mapping[str, Any]:
    """Returns what the template shows of a crop: the picture, its text, rank and similarity, who and where."""
    seen = "" if crop.camera_id is None else f"camera {crop.camera_id}"
    if crop.caption is not None:
        who = where = crop.caption
    else:
        named = _NOBODY.get(crop.person_id) if crop.person_id is not None else "unknown"
        who = ", ".join(filter(None, [named or f"person {crop.person_id}", seen]))
        where = (named or str(crop.person_id)) + ("" if crop.camera_id is None else f" · c{crop.camera_id}")
    mark = "query"
    if crop.status != "query":
        mark = f"{MARKS[crop.status]} {crop.rank or ''}".strip()
    return {
        "status": crop.status,
        "uri": data_uri(crop.image),
        "who": f"{crop.status}: {who}",
        "mark": mark,
        "similarity": "" if crop.similarity is None or crop.status == "query" else f" {crop.similarity:.2f}",
        "where": where,
    }
