"""The report card of a Re-ID model: one HTML file that needs nothing beside it.

Every section is a pure function from results to HTML; `report_html` puts those together for which there is something
to show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from mot_reid.metrics.camera_pairs import CameraPairs
from mot_reid.metrics.scores import RANKS, Scores, verification_scores
from mot_reid.metrics.verification import PairSimilarities
from mot_reid.viewing.charts import Axis, Frame, area, chart, dot, line, rule, whisker
from mot_reid.viewing.crops import Evidence, Example, evidence_html, example_html
from mot_reid.viewing.html.page import Section, page_html
from mot_reid.viewing.plots import PANELS, Curve

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


def report_html(card: ReportCard) -> str:
    """Returns the whole page."""
    sections = [
        Section("scores", "Scores", scores_html(card.scores)),
        Section("similarity", "Same or different", similarity_html(card.pairs, card.calibration)),
        Section("cameras", "Across cameras", "" if card.cameras is None else cameras_html(card.cameras)),
        Section("worst", "Answered worst", examples_html(card.worst, "The queries with the lowest average precision")),
        Section("best", "Answered best", examples_html(card.best, "The queries with the highest average precision")),
        Section("evidence", "Where the network looks", evidence_section_html(card.evidence)),
        Section("training", "Training", curves_html(card.curves)),
        Section("provenance", "Provenance", provenance_html(card.provenance)),
    ]
    return page_html(f"{card.title}: report card", heading=card.title, subtitle=card.measured, sections=sections)


def scores_html(scores: Mapping[str, Scores]) -> str:
    """Returns the headline scores as tiles, the CMC, and a table where there is more than one way of ranking."""
    plain = scores["plain"]
    values = plain.to_dict()
    tiles = "".join(
        f'<div class="tile"><b>{name}</b><strong>{100 * values[key]:.1f}<small>%</small></strong>'
        f"<span>{_interval(plain, key)}</span></div>"
        for key, name in NAMES.items()
    )
    note = ""
    if plain.intervals:
        note = '<p class="note">Ranges hold 95% of the scores of resampled sets of persons (bootstrap).</p>'
    table = _rankings_table(scores) if len(scores) > 1 else ""
    return f'<div class="tiles">{tiles}</div>{note}<div class="charts">{cmc_html(scores)}{table}</div>'


def _rankings_table(scores: Mapping[str, Scores]) -> str:
    head = "".join(f"<th>{name}</th>" for name in NAMES.values())
    rows = []
    for ranking, found in scores.items():
        values = found.to_dict()
        cells = "".join(f"<td>{100 * values[key]:.1f}<small>{_interval(found, key)}</small></td>" for key in NAMES)
        rows.append(f"<tr><th>{escape(RANKINGS.get(ranking, ranking))}</th>{cells}</tr>")
    return f'<div class="scroll"><table class="numbers"><tr><th>%</th>{head}</tr>{"".join(rows)}</table></div>'


def _interval(scores: Scores, key: str) -> str:
    if key not in scores.intervals:
        return ""
    low, high = scores.intervals[key]
    return f"{100 * low:.1f} – {100 * high:.1f}"


def cmc_html(scores: Mapping[str, Scores]) -> str:
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


def cameras_html(cameras: CameraPairs) -> str:
    """Returns mAP from camera to camera as a coloured matrix; nothing where no two cameras see one person."""
    if np.isnan(cameras.mean_ap).all():
        return ""
    head = "".join(f"<th>{camera}</th>" for camera in cameras.gallery_camera)
    low, high = np.nanmin(cameras.mean_ap), np.nanmax(cameras.mean_ap)
    rows = []
    for a, camera in enumerate(cameras.query_camera):
        cells = []
        for value, queries in zip(cameras.mean_ap[a], cameras.queries[a]):
            if np.isnan(value):
                cells.append('<td class="none">–</td>')
                continue
            weight = (value - low) / max(high - low, 1e-9)
            cells.append(f'<td style="--w:{8 + 52 * weight:.0f}%" title="{queries} queries">{100 * value:.1f}</td>')
        rows.append(f"<tr><th>{camera}</th>{''.join(cells)}</tr>")
    worst = np.unravel_index(np.nanargmin(cameras.mean_ap), cameras.mean_ap.shape)
    pair = cameras.query_camera[worst[0]], cameras.gallery_camera[worst[1]]
    hardest = f"from camera {pair[0]} to camera {pair[1]}, {100 * low:.1f}%"
    return (
        "<p>mAP (%) of queries of one camera (rows) searched among the images of one other camera (columns). "
        f"Hardest: {hardest}.</p>"
        f'<div class="scroll"><table class="matrix"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
    )


def similarity_html(pairs: PairSimilarities, calibration: Mapping[str, Any] | None) -> str:
    """Returns the histograms of similarity, the ROC, and what the calibrated threshold does on these persons."""
    found = verification_scores(pairs, calibration)
    if not found:
        return ""
    text = f"<p>{pairs.genuine.sum():,} pairs of one person and {pairs.impostor.sum():,} pairs of two. "
    text += f"Equal error rate {100 * found['equal_error_rate']:.2f}%.</p>"
    if calibration is not None:
        text += _threshold_table(found)
        text += f'<p class="note">Promised by {calibration["identities"]} persons held out of training.</p>'
    return text + f'<div class="charts">{_histogram(pairs, found.get("threshold"))}{_roc_chart(pairs, found)}</div>'


def _threshold_table(found: Mapping[str, float]) -> str:
    rates = {name: 100 * value for name, value in found.items() if name.endswith("rate")}
    return (
        '<div class="scroll"><table class="numbers">'
        f"<tr><th>Threshold {found['threshold']:.3f}</th><th>Promised</th><th>Measured here</th></tr>"
        f"<tr><th>Strangers taken for one</th><td>{rates['promised_false_match_rate']:.3f}%</td>"
        f"<td>{rates['false_match_rate']:.3f}%</td></tr>"
        f"<tr><th>Same persons recognised</th><td>{rates['promised_true_match_rate']:.1f}%</td>"
        f"<td>{rates['true_match_rate']:.1f}%</td></tr></table></div>"
    )


def _histogram(pairs: PairSimilarities, threshold: float | None) -> str:
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


def _roc_chart(pairs: PairSimilarities, found: Mapping[str, float]) -> str:
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


def examples_html(examples: Sequence[Example], what: str) -> str:
    """Returns rank lists with pictures."""
    if not examples:
        return ""
    key = (
        f"<p>{escape(what)}, and the most similar gallery images, each with its cosine similarity. "
        '<span class="mark match">right</span> <span class="mark wrong">wrong</span> '
        '<span class="mark ignored">not counted: same person, same camera</span></p>'
    )
    return key + "".join(example_html(example) for example in examples)


def evidence_section_html(evidence: Sequence[Evidence]) -> str:
    """Returns queries and their first answers with the places that make them alike."""
    if not evidence:
        return ""
    text = (
        "<p>A query and its first answer. Warm places add to the similarity of the two "
        "(gradient times activation of the last feature map).</p>"
    )
    return f'{text}<div class="pairs">{"".join(evidence_html(one) for one in evidence)}</div>'


def curves_html(curves: Mapping[str, Curve]) -> str:
    """Returns the curves of the training, a chart for each of `plots.PANELS`."""
    charts = []
    for title, starts in PANELS.items():
        ours = {name for name in curves if name in starts or (name.split("-")[0] in starts and "/" not in name)}
        names = sorted(ours)[: len(COLORS)]
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
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def provenance_html(provenance: Mapping[str, Any]) -> str:
    """Returns a table of where the model comes from; nested mappings unfold on a click."""
    rows = []
    for name, value in provenance.items():
        if isinstance(value, Mapping):
            text = escape(json.dumps(value, indent=2, ensure_ascii=False, default=str))
            cell = f"<details><summary>{len(value)} entries</summary><pre>{text}</pre></details>"
        else:
            cell = escape("–" if value is None else str(value))
        rows.append(f"<tr><th>{escape(name)}</th><td>{cell}</td></tr>")
    return f'<div class="scroll"><table class="facts">{"".join(rows)}</table></div>' if rows else ""
