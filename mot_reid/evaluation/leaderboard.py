"""The table of a comparison: every tracker, embedder and detector on the same videos, beside a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    each video; a row whose interval of HOTA reaches 0 cannot be told from that one. `refinement` has the refined rows
    with the same tracks before, if there are any. `best` has the best row of each kind (without a Re-ID model, with
    one, refined) on the boxes of each detector, and which of that kind cannot be told from it.

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
    board = {
        "videos": list(next(iter(cells.values()))),
        "rows": [rows[entry] for entry in ranked],
        "best": [_best(same, cells, rows) for same in _kinds(ranked)],
    }
    refined = [gain for entry in ranked if entry.offline for gain in _gains(entry, cells)]
    return board | ({"refinement": refined} if refined else {})


def _kinds(ranked: Sequence[Entry]) -> list[list[Entry]]:
    """Returns the rows on the same boxes that need the same: nothing, a Re-ID model, or the whole video."""
    kinds: dict[tuple[str, bool, bool], list[Entry]] = {}
    for entry in ranked:
        kinds.setdefault((entry.detector, entry.offline, bool(entry.embedder) and not entry.offline), []).append(entry)
    return [kinds[kind] for kind in sorted(kinds)]


def _best(
    same: Sequence[Entry], cells: dict[Entry, dict[str, Cell]], rows: dict[Entry, dict[str, Any]]
) -> dict[str, Any]:
    """Returns the name of the first row, on how many videos it is the best, and the rows that may be as good."""
    first, drawn = same[0], _drawn(cells[same[0]])
    highest = {video: max(rows[entry]["sequences"][video]["hota"] for entry in same) for video in cells[first]}
    led = sum(rows[first]["sequences"][video]["hota"] == score for video, score in highest.items())
    level = [entry for entry in same[1:] if paired_intervals(drawn, _drawn(cells[entry]))["hota"][1] >= 0]
    return {"detector": first.detector, "name": first.name, "led": led, "level": [entry.method for entry in level]}


def _gains(entry: Entry, cells: dict[Entry, dict[str, Cell]]) -> list[dict[str, Any]]:
    """Returns a refined row before and after, on all videos together (`video` is empty) and on each."""
    before, after = cells[replace(entry, offline=False)], cells[entry]
    gains = []
    for video, names in {"": list(after), **{name: [name] for name in after}}.items():
        first, second = ({name: row[name] for name in names} for row in (before, after))
        gains.append(
            {"detector": entry.detector, "tracker": entry.tracker, "embedder": entry.embedder, "video": video}
            | {"before": _sums(first), "after": _sums(second), "interval": _intervals(_drawn(first), _drawn(second))}
        )
    return gains


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
    spent = [cell.milliseconds for cell in of_video.values()]
    return {
        "name": entry.name,
        "detector": entry.detector,
        "tracker": entry.tracker,
        "embedder": entry.embedder,
        "offline": entry.offline,
        "combined": _sums(of_video),
        "milliseconds": None if any(np.isnan(spent)) else float(np.mean(spent)),
        "sequences": {name: _sums({name: cell}) for name, cell in of_video.items()},
    }


def _sums(of_video: dict[str, Cell]) -> dict[str, float]:
    """Returns the scores of videos together."""
    plain = reduce(add, (cell.plain for cell in of_video.values()))
    scores = {name: float(values[0]) for name, values in plain.scores().items()}
    return scores | {"idsw": sum(cell.switches for cell in of_video.values())}


def _intervals(before: dict[str, Resampled], after: dict[str, Resampled]) -> dict[str, list[float]]:
    return {name: list(interval) for name, interval in paired_intervals(before, after).items()}


def _drawn(of_video: dict[str, Cell]) -> dict[str, Resampled]:
    return {name: cell.drawn for name, cell in of_video.items()}
