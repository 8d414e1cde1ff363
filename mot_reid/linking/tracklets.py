"""The tracklets to be joined, and which of them cannot be one person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, IntArray
from mot_reid.structures import Column, Columns

Travel = Mapping[tuple[int, int], tuple[float, float]]
Pairs = Iterable[tuple[int, int]]
_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tracklets(Columns):
    """What trackers saw: one row for each track of each camera.

    Attributes:
        camera_id: `(N,)` which camera, a number from 0.
        track_id: `(N,)` identity that the camera's tracker gave.
        begin_seconds: `(N,)` when the track was first seen. Clocks of several cameras need not agree unless
            travel times are used.
        end_seconds: `(N,)` when it was last seen.
        embedding: `(N, D)` mean of the embeddings of its crops, brought to unit length.
        crops: `(N,)` number of boxes; 1 for every row when not given.
        class_id: `(N,)`; 0 for every row when not given.

    Raises:
        ValueError: naming the column, the row and what was expected there.
    """

    camera_id: IntArray
    track_id: IntArray
    begin_seconds: FloatArray
    end_seconds: FloatArray
    embedding: Float32Array
    crops: IntArray = None  # type: ignore[assignment]
    class_id: IntArray = None  # type: ignore[assignment]

    COLUMNS: ClassVar[dict[str, Column]] = {
        "camera_id": Column(np.int64),
        "track_id": Column(np.int64),
        "begin_seconds": Column(float),
        "end_seconds": Column(float),
        "embedding": Column(np.float32, -1),
        "crops": Column(np.int64, fill=1),
        "class_id": Column(np.int64, fill=0),
    }

    def _check(self) -> None:
        length = np.linalg.norm(self.embedding, axis=1)
        _refuse("embedding", ~(np.abs(length - 1) < _UNIT_TOLERANCE), "a vector of length 1; divide it by its length")
        _refuse("camera_id", self.camera_id < 0, "numbers from 0")
        _refuse("crops", self.crops < 1, "at least 1")
        finite = np.isfinite(self.begin_seconds) & np.isfinite(self.end_seconds)
        _refuse("end_seconds", ~finite | (self.end_seconds < self.begin_seconds), "seconds, not before begin_seconds")


@dataclass(frozen=True, slots=True)
class Constraints:
    """Who cannot be who.

    Attributes:
        tracklets: The tracklets.
        travel_seconds: Least and most seconds from the end of the earlier to the begin of the later tracklet, by pair
            of cameras, the lower number first. Pairs that are not named may take any time.
        cannot: Pairs of rows that are two persons, the lower row first.
    """

    tracklets: Tracklets
    travel_seconds: Travel
    cannot: frozenset[tuple[int, int]]

    def allow(self, a: IntArray, b: IntArray) -> BoolArray:
        """Returns whether rows may show one person, row by row.

        Args:
            a: (K,) rows.
            b: (K,) rows.
        """
        t = self.tracklets
        begin, end = t.begin_seconds, t.end_seconds
        gap = np.maximum(begin[a], begin[b]) - np.minimum(end[a], end[b])
        allowed = (t.class_id[a] == t.class_id[b]) & ((t.camera_id[a] != t.camera_id[b]) | (gap > 0))
        for (one, other), (least, most) in self.travel_seconds.items():
            low, high = np.minimum(t.camera_id[a], t.camera_id[b]), np.maximum(t.camera_id[a], t.camera_id[b])
            allowed &= (low != one) | (high != other) | ((gap >= least) & (gap <= most))
        if self.cannot:
            pairs = zip(np.minimum(a, b).tolist(), np.maximum(a, b).tolist())
            allowed &= np.array([pair not in self.cannot for pair in pairs], dtype=bool)
        return allowed

    def allow_all(self, a: list[int], b: list[int]) -> bool:
        """Returns whether every row of one group may be the same person as every row of another.

        Args:
            a: Rows.
            b: Rows.
        """
        return bool(self.allow(np.repeat(np.array(a), len(b)), np.tile(np.array(b), len(a))).all())


def ordered(pairs: Pairs, rows: int, *, what: str) -> frozenset[tuple[int, int]]:
    """Returns pairs of rows, each with the lower one first.

    Args:
        pairs: Pairs of rows.
        rows: Number of tracklets.
        what: Names the pairs in a message.

    Raises:
        ValueError: A pair is no pair of two different rows.
    """
    found = frozenset((min(a, b), max(a, b)) for a, b in pairs)
    for a, b in found:
        if not 0 <= a < b < rows:
            raise ValueError(f"{what}: got the pair {a}, {b}; expected two different rows from 0 to {rows - 1}")
    return found


def _refuse(column: str, wrong: BoolArray, rule: str) -> None:
    if wrong.any():
        raise ValueError(f"Tracklets.{column}: got a wrong value in row {int(np.argmax(wrong))}; expected {rule}")
