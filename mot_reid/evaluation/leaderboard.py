"""The table of a comparison: every tracker, embedder and detector on the same videos, beside a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from mot_reid.evaluation.comparison import Cell
from mot_reid.metrics.block_bootstrap import Resampled, paired_intervals

INTERVALS = ("hota", "deta", "assa", "idf1")
"""Scores that have an interval."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table.

    Attributes:
        detector: whose boxes.
        tracker: the preset, or the name of the others' results.
        embedder: the Re-ID model; empty for none.
        offline: whether the tracks are refined.
    """

    detector: str
    tracker: str
    embedder: str = ""
    offline: bool = False

    @property
    def method(self) -> str:
        """What a command line calls it: TRACKER or TRACKER+MODEL."""
        return "+".join(part for part in (self.tracker, self.embedder) if part)

    @property
    def name(self) -> str:
        """The row in words."""
        parts = (self.tracker, self.embedder, self.detector, "refined" if self.offline else "")
        return " · ".join(part for part in parts if part)


def leaderboard(cells: dict[Entry, dict[str, Cell]], *, reference: str | None = None) -> dict[str, Any]:
    """Returns the comparison in plain numbers: rows by HOTA of all videos together, best first.

    Each row has the difference to a row on the same boxes with its 95% interval, from the same draws, together and for
    each video; a row whose interval of HOTA reaches 0 cannot be told from that one.

    Args:
        cells: by row, then by video; rows with the same videos are comparable.
        reference: the method that the rows of the same boxes are compared with, online; None: the best of them.

    Raises:
        ValueError: no row has that method.
    """
    rows = {entry: _row(entry, of_video) for entry, of_video in cells.items()}
    ranked = sorted(rows, key=lambda entry: -rows[entry]["combined"]["hota"])
    beside = {detector: _reference(ranked, detector, reference) for detector in {entry.detector for entry in ranked}}
    for entry in ranked:
        row, before = rows[entry], beside[entry.detector]
        row["reference"] = before.name
        row["difference"] = {name: row["combined"][name] - rows[before]["combined"][name] for name in INTERVALS}
        first, second = _drawn(cells[before]), _drawn(cells[entry])
        row["interval"] = _intervals(first, second)
        for video, scores in row["sequences"].items():
            scores["interval"] = _intervals({video: first[video]}, {video: second[video]})
    return {"videos": list(next(iter(cells.values()))), "rows": [rows[entry] for entry in ranked]}


def _reference(ranked: Sequence[Entry], detector: str, method: str | None) -> Entry:
    """Returns the row that those on the boxes of a detector are compared with."""
    same = [entry for entry in ranked if entry.detector == detector]
    if method is None:
        return same[0]
    found = next((entry for entry in same if entry.method == method and not entry.offline), None)
    if found is None:
        known = list(dict.fromkeys(entry.method for entry in same if not entry.offline))
        raise ValueError(
            f"reference: got '{method}'; expected one of {', '.join(known)}, which were run on the boxes of {detector}"
        )
    return found


def _row(entry: Entry, of_video: dict[str, Cell]) -> dict[str, Any]:
    plain = reduce(add, (cell.plain for cell in of_video.values()))
    combined = _numbers(plain) | {"idsw": sum(cell.switches for cell in of_video.values())}
    spent = [cell.milliseconds for cell in of_video.values()]
    return {
        "name": entry.name,
        "detector": entry.detector,
        "tracker": entry.tracker,
        "embedder": entry.embedder,
        "offline": entry.offline,
        "combined": combined,
        "milliseconds": None if any(np.isnan(spent)) else float(np.mean(spent)),
        "sequences": {name: _numbers(cell.plain) | {"idsw": cell.switches} for name, cell in of_video.items()},
    }


def _numbers(sums: Resampled) -> dict[str, float]:
    return {name: float(values[0]) for name, values in sums.scores().items()}


def _intervals(before: dict[str, Resampled], after: dict[str, Resampled]) -> dict[str, list[float]]:
    return {name: list(interval) for name, interval in paired_intervals(before, after).items()}


def _drawn(of_video: dict[str, Cell]) -> dict[str, Resampled]:
    return {name: cell.drawn for name, cell in of_video.items()}
