"""Does the mAP of a Re-ID model say how well it tracks? Embedders ranked by both."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.evaluation.comparison import Cell
from mot_reid.evaluation.leaderboard import Entry
from mot_reid.metrics.bootstrap import percentile_intervals
from mot_reid.metrics.rank_correlation import rank_correlation
from mot_reid.reid.bundled import title

FEWEST = 3
"""Embedders that are ranked at least: two are always in the same or in the opposite order."""
_FORM = (
    "the JSON file of mot-reid evaluate checkpoint=A,B,.. or a CSV file with columns embedder, mean_ap and maybe data"
)


def read_mean_ap(path: str | Path) -> dict[str, dict[str, float]]:
    """Returns the mAP of embedders, as fractions, by data set and then by embedder.

    Args:
        path: the JSON file of `mot-reid evaluate` for several models, or a CSV file with columns `embedder`,
            `mean_ap` and, if there are several data sets, `data`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds something else, or a model twice.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"retrieval: got '{path}'; expected an existing file; check the path")
    try:
        text = Path(path).read_text(encoding="utf-8")
        rows = _json_rows(text) if Path(path).suffix == ".json" else _csv_rows(text)
        found: dict[str, dict[str, float]] = {}
        twice = None
        for data, model, value in rows:
            scores = found.setdefault(data, {})
            twice = title(model) if title(model) in scores else twice
            scores[title(model)] = float(value)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"retrieval: got '{path}'; expected {_FORM}") from None
    if twice is not None:
        raise ValueError(f"retrieval: got '{twice}' twice in '{path}'; expected each model once for each data set")
    outside = next((value for scores in found.values() for value in scores.values() if not 0 <= value <= 1), None)
    if outside is not None or not found:
        said = "no row" if outside is None else f"an mAP of {outside:g}"
        raise ValueError(f"retrieval: got {said} in '{path}'; expected fractions from 0 to 1")
    return found


def correlations(
    cells: Mapping[Entry, Mapping[str, Cell]], mean_ap: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Returns the rank correlation of mAP and IDF1 for each tracker, detector and data set, with its 95% interval.

    The interval is that of the tracking: the same blocks of frames are drawn for all embedders.

    Args:
        cells: by row, then by video; refined rows are left out.
        mean_ap: from `read_mean_ap`.
    """
    groups: dict[tuple[str, str], dict[str, Mapping[str, Cell]]] = {}
    for entry, of_video in cells.items():
        if entry.embedder and not entry.offline:
            groups.setdefault((entry.tracker, entry.detector), {})[entry.embedder] = of_video
    found = []
    for (tracker, detector), rows in groups.items():
        for data, scores in mean_ap.items():
            both = [embedder for embedder in rows if embedder in scores]
            if len(both) >= FEWEST:
                given = np.array([scores[embedder] for embedder in both])
                about = {"tracker": tracker, "detector": detector, "data": data, "embedders": len(both)}
                found.append(about | _correlated(given, [rows[embedder].values() for embedder in both]))
    return found


def _correlated(mean_ap: np.ndarray[Any, Any], rows: list[Iterable[Cell]]) -> dict[str, Any]:
    cells = [list(row) for row in rows]
    plain = np.stack([reduce(add, (cell.plain for cell in row)).scores()["idf1"] for row in cells], axis=-1)
    drawn = np.stack([reduce(add, (cell.drawn for cell in row)).scores()["idf1"] for row in cells], axis=-1)
    each = rank_correlation(np.broadcast_to(mean_ap, drawn.shape), drawn)
    interval = percentile_intervals(each[:, None], confidence=0.95)[0]
    return {"correlation": float(rank_correlation(mean_ap, plain[0])), "interval": list(interval)}


def _json_rows(text: str) -> list[tuple[str, str, Any]]:
    return [(row["data"]["root"], row["model"], row["mean_ap"]) for row in json.loads(text)["table"]]


def _csv_rows(text: str) -> list[tuple[str, str, Any]]:
    return [(row.get("data") or "", row["embedder"], row["mean_ap"]) for row in csv.DictReader(text.splitlines())]
