"""Detections that were made before: a det.txt, or what another program found, as a detector."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.data.motchallenge import read_detections
from mot_reid.data.tables import names_columns, read_tracks
from mot_reid.structures import Detections, TrackTable

_FRACTION = 1.0
_OUTSIDE = 0.05
"""Share of boxes outside of the image from which on it is no slip of a detector."""
_SMALLER, _LIKE, _ENOUGH = 1.2, 0.03, 100
"""People who reach neither edge by this factor, alike in both directions, in this many boxes."""


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
        self._name = f"'{source}'" if isinstance(source, (str, Path)) else "detections"
        self._checked = False

    def at(self, number: int) -> Detections:
        """Returns the detections of a frame, none where the file has none.

        Args:
            number: of the frame, from 1.
        """
        return self._frames.get(number, Detections.empty())

    def check_size(self, width: int, height: int) -> None:
        """Compares all boxes with the size of the images, the first time that it is called.

        Args:
            width: of an image in pixels.
            height: of an image in pixels.

        Raises:
            ValueError: if the boxes are those of larger images, or fractions of an image.

        Warns:
            UserWarning: if they end where a smaller image would.
        """
        found = [item.xyxy for item in self._frames.values() if len(item)]
        if self._checked or not found:
            return
        self._checked = True
        _compare(self._name, np.concatenate(found), np.array([width, height]))


def _compare(name: str, xyxy: FloatArray, size: IntArray) -> None:
    """Refuses boxes of which many lie outside of images of a size, and warns of those that use a part of it only."""
    width, height = size
    reach = np.quantile(xyxy[:, 2:], 0.99, axis=0)
    outside = int(((xyxy[:, :2] >= size) | (xyxy[:, 2:] <= 0)).any(axis=1).sum())
    remedy = f"expected pixels of images of {width} x {height}"
    if xyxy.max() <= _FRACTION < min(width, height):
        raise ValueError(f"{name}: got fractions of an image, up to {xyxy.max():g}; {remedy}; multiply by these")
    if outside >= _OUTSIDE * len(xyxy):
        raise ValueError(
            f"{name}: got {outside} of {len(xyxy)} boxes outside of the image, which reach to {reach[0]:.0f}, "
            f"{reach[1]:.0f}, as in images at least {(reach / size).max():.2g} times as large; {remedy}; "
            "scale the boxes"
        )
    reach = xyxy[:, 2:].max(axis=0)
    across, down = size / np.maximum(reach, 1)
    if len(xyxy) >= _ENOUGH and min(across, down) > _SMALLER and abs(across / down - 1) < _LIKE:
        warnings.warn(
            f"{name}: got {len(xyxy)} boxes that all end at {reach[0]:.0f}, {reach[1]:.0f}, as in images that are "
            f"{across:.3g} times smaller; {remedy}; scale the boxes if that is so",
            stacklevel=3,
        )


def _by_frame(table: TrackTable, name: str) -> dict[int, Detections]:
    wrong = np.flatnonzero((table.score < 0) | (table.score > 1))
    if len(wrong):
        raise ValueError(
            f"{name}: got score {table.score[wrong[0]]:g} in frame {table.frame[wrong[0]]}; expected 0 to 1; "
            "convert the scores to this scale first"
        )
    order = np.argsort(table.frame, kind="stable")
    numbers, starts = np.unique(table.frame[order], return_index=True)
    return {
        int(number): Detections(table.xyxy[rows], table.score[rows], table.class_id[rows])
        for number, rows in zip(numbers, np.split(order, starts[1:]))
    }
