"""The report card of a Re-ID model: one HTML file that needs no other file.

Every section is a pure function from results to HTML; `report_html` puts those together for which there is something
to show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from mot_reid.metrics.camera_pairs import CameraPairs
from mot_reid.metrics.scores import RANKS, Scores, verification_scores
from mot_reid.metrics.verification import PairSimilarities
from mot_reid.viewing.charts import Axis, Frame, area, chart, dot, line, rule, whisker
from mot_reid.viewing.crops import Evidence, Example
from mot_reid.viewing.html.examples import evidence_html, rank_lists_html
from mot_reid.viewing.html.page import Section, page_html
from mot_reid.viewing.html.templates import render
from mot_reid.viewing.plots import PANELS, Curve, of_panel

NAMES = {"rank1": "Rank-1", "mean_ap": "mAP", "mean_inp": "mINP", "rank5": "Rank-5", "rank10": "Rank-10"}
RANKINGS = {"plain": "As embedded", "expanded": "Expanded queries", "reranked": "Re-ranked"}
COLORS = ("c1", "c2", "c3", "c4")
PAIRS_PER_BIN = 100
FEWEST = 1e-6


@dataclass(frozen=True)
class ReportCard:
    """All that a report shows; what is empty or None is left out.

    Attributes:
        title: Name of the model.
        measured: One line on the data, such as "3,368 queries of 750 persons".
        scores: From `score_rankings`.
        pairs: Similarities of pairs of a query and a gallery image.
        calibration: As in the checkpoint.
        cameras: mAP of pairs of cameras.
        worst: The queries that were answered worst.
        best: Those that were answered best.
        evidence: Where the network looks.
        curves: Of the training, from `plots.read_curves`.
        provenance: What to show of the model's origin, by name; nested mappings unfold.
    """

    title: str
    measured: str
    scores: Mapping[str, Scores]
    pairs: PairSimilarities
    calibration: Mapping[str, Any] | None = None
    cameras: CameraPairs | None = None
    worst: Sequence[Example] = ()
    best: Sequence[Example] = ()
    evidence: Sequence[Evidence] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def report_html(card: ReportCard) -> Markup:
    """Returns the whole page."""
    sections = [
        Section("scores", "Scores", scores_html(card.scores)),
        Section("similarity", "Same or different", similarity_html(card.pairs, card.calibration)),
        Section("cameras", "Across cameras", Markup("") if card.cameras is None else cameras_html(card.cameras)),
        Section("worst", "Answered worst", examples_html(card.worst, "The queries with the lowest average precision")),
        Section("best", "Answered best", examples_html(card.best, "The queries with the highest average precision")),
        Section("evidence", "Where the network looks", evidence_section_html(card.evidence)),
        Section("training", "Training", curves_html(card.curves)),
        Section("provenance", "Provenance", provenance_html(card.provenance)),
    ]
    return page_html(f"{card.title}: report card", heading=card.title, subtitle=card.measured, sections=sections)


def scores_html(scores: Mapping[str, Scores]) -> Markup:
    """Returns the headline scores as tiles, the CMC, and a table where there is more than one way of ranking."""
    rows = [
        {"name": RANKINGS.get(ranking, ranking), "cells": [_cell(found, key) for key in NAMES]}
        for ranking, found in scores.items()
    ]
    tiles = [{"name": name, **_cell(scores["plain"], key)} for key, name in NAMES.items()]
    values = {"tiles": tiles, "rows": rows, "intervals": scores["plain"].intervals, "cmc": cmc_html(scores)}
    return render("report/scores.html", values)


def _cell(scores: Scores, key: str) -> dict[str, Any]:
    return {"value": scores.to_dict()[key], "interval": _interval(scores, key)}


def _interval(scores: Scores, key: str) -> str:
    if key not in scores.intervals:
        return ""
    low, high = scores.intervals[key]
    return f"{100 * low:.1f} – {100 * high:.1f}"


def cmc_html(scores: Mapping[str, Scores]) -> Markup:
    """Returns the CMC curves, with the intervals of the plain one at the headline ranks."""
    curves = {name: found.result.cmc for name, found in scores.items()}
    intervals = {rank: scores["plain"].intervals.get(f"rank{rank}") for rank in RANKS}
    lowest = min([cmc[0] for cmc in curves.values()] + [one.low for one in intervals.values() if one is not None])
    frame = Frame(
        Axis("rank", 1, max(2, *(len(cmc) for cmc in curves.values()))),
        Axis("queries", float(min(np.floor(10 * lowest) / 10, 0.9)), 1, percent=True),
    )
    shapes = [line(frame, np.arange(1, len(cmc) + 1), cmc, color=color) for color, cmc in zip(COLORS, curves.values())]
    shapes += [whisker(frame, rank, *one, color=COLORS[0]) for rank, one in intervals.items() if one is not None]
    legend = {RANKINGS.get(name, name): color for color, name in zip(COLORS, curves)}
    return chart(frame, *shapes, title="Queries (%) answered within the first ranks (CMC)", legend=legend)


def cameras_html(cameras: CameraPairs) -> Markup:
    """Returns mAP from camera to camera as a coloured matrix; nothing where no two cameras see one person."""
    if np.isnan(cameras.mean_ap).all():
        return Markup("")
    low, high = np.nanmin(cameras.mean_ap), np.nanmax(cameras.mean_ap)

    def cell(value: float, queries: int) -> dict[str, Any] | None:
        weight = 8 + 52 * (value - low) / max(high - low, 1e-9)
        return None if np.isnan(value) else {"value": value, "queries": queries, "weight": f"{weight:.0f}"}

    rows = [
        {"camera": camera, "cells": [cell(*pair) for pair in zip(cameras.mean_ap[a], cameras.queries[a])]}
        for a, camera in enumerate(cameras.query_camera)
    ]
    worst = np.unravel_index(np.nanargmin(cameras.mean_ap), cameras.mean_ap.shape)
    hardest = {
        "query": cameras.query_camera[worst[0]],
        "gallery": cameras.gallery_camera[worst[1]],
        "value": low,
    }
    return render("report/cameras.html", {"columns": cameras.gallery_camera, "rows": rows, "hardest": hardest})


def similarity_html(pairs: PairSimilarities, calibration: Mapping[str, Any] | None) -> Markup:
    """Returns the histograms of similarity, the ROC, and what the calibrated threshold does on these persons."""
    found = verification_scores(pairs, calibration)
    if not found:
        return Markup("")
    values = {
        "found": found,
        "calibration": calibration,
        "genuine": pairs.genuine.sum(),
        "impostor": pairs.impostor.sum(),
        "histogram": _histogram(pairs, found.get("threshold")),
        "roc": _roc_chart(pairs, found),
    }
    return render("report/similarity.html", values)


def _histogram(pairs: PairSimilarities, threshold: float | None) -> Markup:
    legend = {"same person, two cameras": "c3", "different persons": "c2"}
    # as fine as the rarer kind of pair allows without noise, in powers of two
    fewer = min(pairs.genuine.sum(), pairs.impostor.sum())
    coarse = pairs.rebin(int(2 ** np.clip(np.log2(fewer / PAIRS_PER_BIN) // 1, 5, 8)))
    center = (coarse.edges[1:] + coarse.edges[:-1]) / 2
    shares = [counts / counts.sum() for counts in (coarse.genuine, coarse.impostor)]
    seen = np.flatnonzero(shares[0] + shares[1] > FEWEST)
    frame = Frame(
        Axis("cosine similarity", float(coarse.edges[seen[0]]), float(coarse.edges[seen[-1] + 1])),
        Axis("share of pairs", 0, 1.1 * max(share.max() for share in shares), percent=True),
    )
    rows = slice(seen[0], seen[-1] + 1)
    shapes = [area(frame, center[rows], share[rows], color=color) for share, color in zip(shares, legend.values())]
    if threshold is not None:
        shapes.append(rule(frame, threshold, label=f"threshold {threshold:.3f}"))
    return chart(frame, *shapes, title="Share of pairs (%) by similarity", legend=legend)


def _roc_chart(pairs: PairSimilarities, found: Mapping[str, float]) -> Markup:
    roc = pairs.roc()
    least = max(FEWEST, 10 ** np.floor(np.log10(1 / roc.impostor)))
    frame = Frame(
        Axis("strangers taken for one (%)", float(least), 1, scale="log", percent=True),
        Axis("same persons recognised", 0, 1, percent=True),
    )
    rates = np.geomspace(least, 1, 200)
    points = [roc.at(rate) for rate in rates]
    shapes = [line(frame, rates, roc.true_match_rate[points], color="c1")]
    if "threshold" in found:
        at = found["false_match_rate"], found["true_match_rate"]
        shapes.append(dot(frame, *at, color="c1", label="threshold"))
    return chart(frame, *shapes, title="Same persons recognised (%) (ROC)")


def examples_html(examples: Sequence[Example], what: str) -> Markup:
    """Returns rank lists with pictures."""
    if not examples:
        return Markup("")
    return render("report/examples.html", {"what": what, "lists": rank_lists_html(examples)})


def evidence_section_html(evidence: Sequence[Evidence]) -> Markup:
    """Returns queries and their first answers with the places that make them alike."""
    return render("report/evidence.html", {"pairs": evidence_html(evidence)}) if evidence else Markup("")


def curves_html(curves: Mapping[str, Curve]) -> Markup:
    """Returns the curves of the training, a chart for each of `plots.PANELS`."""
    charts = []
    for title in PANELS:
        names = sorted(of_panel(title, curves))[: len(COLORS)]
        if not names:
            continue
        steps = np.concatenate([curves[name][0] for name in names])
        values = np.concatenate([curves[name][1] for name in names])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        top = float(values.max()) * 1.05 or 1.0
        frame = Frame(
            Axis("step", 0, max(float(steps.max()), 1.0)),
            Axis(title, min(0.0, float(values.min())), top, percent=title == "score"),
        )
        shapes = [line(frame, *curves[name], color=color) for name, color in zip(names, COLORS)]
        shown = title + (" (%)" if title == "score" else "")
        charts.append(chart(frame, *shapes, title=shown.capitalize(), legend=dict(zip(names, COLORS))))
    return render("report/training.html", {"charts": charts}) if charts else Markup("")


def provenance_html(provenance: Mapping[str, Any]) -> Markup:
    """Returns a table of where the model comes from; nested mappings unfold on a click."""
    if not provenance:
        return Markup("")
    texts = {
        name: json.dumps(value, indent=2, ensure_ascii=False, default=str)
        for name, value in provenance.items()
        if isinstance(value, Mapping)
    }
    return render("report/provenance.html", {"facts": provenance, "texts": texts})
