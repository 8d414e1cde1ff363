"""Detections that were made before: a det.txt, or what another program found, as a detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mot_reid.data.motchallenge import read_detections
from mot_reid.data.tables import names_columns, read_tracks
from mot_reid.structures import Detections, TrackTable


class PublicDetector:
    """Answers with the detections of a file instead of looking at the image.

    It is asked by frame number, see `at`; `track` does so.

    Args:
        source: the path of a det.txt in MOTChallenge's format, sorted or not, or of a CSV that `track` wrote; its rows
            as a table; or the detections of each frame, from frame 1.
        min_score: least score of a box.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a malformed line, or scores beyond [0, 1], as those of old detectors are.
    """

    def __init__(self, source: str | Path | TrackTable | Sequence[Detections], *, min_score: float = 0.0) -> None:
        if isinstance(source, (str, Path)):
            table = read_tracks(source) if names_columns(source) else read_detections(source)
            self._frames = _by_frame(table, f"'{source}'")
        elif isinstance(source, TrackTable):
            self._frames = _by_frame(source, "the table")
        else:
            self._frames = dict(enumerate(source, start=1))
        self._frames = {number: found[found.score >= min_score] for number, found in self._frames.items()}

    def at(self, number: int) -> Detections:
        """Returns the detections of a frame, none where the file has none.

        Args:
            number: of the frame, from 1.
        """
        return self._frames.get(number, Detections.empty())


def _by_frame(table: TrackTable, name: str) -> dict[int, Detections]:
    wrong = np.flatnonzero((table.score < 0) | (table.score > 1))
    if len(wrong):
        raise ValueError(
            f"{name}: got score {table.score[wrong[0]]:g} in frame {table.frame[wrong[0]]}; expected 0 to 1; "
            "these are scores of another scale, map them first"
        )
    order = np.argsort(table.frame, kind="stable")
    numbers, starts = np.unique(table.frame[order], return_index=True)
    return {
        int(number): Detections(table.xyxy[rows], table.score[rows], table.class_id[rows])
        for number, rows in zip(numbers, np.split(order, starts[1:]))
    }
