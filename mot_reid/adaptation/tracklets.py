"""Which stretches of a video surely show one person, and which two of them surely show two?

A tracker without appearance errs where people cross. So its tracks are cut there, and what is left are tracklets,
short and nearly always of one person. Two of them in one frame, apart from each other, are two persons.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mot_reid.arrays import BoolArray, FloatArray, IntArray
from mot_reid.structures import TrackTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts as a tracklet. Times are in seconds.

    Attributes:
        max_cover: share of the smaller of two boxes that the other one may cover; above it both tracks are cut.
        max_gap: time that a track may be unseen without being cut.
        min_length: least time from the first to the last frame of a tracklet.
        min_score: least mean score of its boxes.
        min_together: time in which two tracklets must both be seen to count as two persons.
    """

    max_cover: float
    max_gap: float
    min_length: float
    min_score: float
    min_together: float


@dataclass(frozen=True, slots=True, eq=False)
class VideoTracklets:
    """The tracklets of one video.

    Attributes:
        table: (M,) their rows, sorted by tracklet and frame.
        tracklet: (M,) number of each row's tracklet, from 0.
        together: (P, 2) pairs of tracklets that show two persons, the lower number first.
    """

    table: TrackTable
    tracklet: IntArray
    together: IntArray

    @property
    def count(self) -> int:
        """Number of tracklets."""
        return int(self.tracklet[-1]) + 1 if len(self.tracklet) else 0

    def spread(self, count: int) -> IntArray:
        """Returns the rows of at most so many images of each tracklet, evenly spread over its time.

        Args:
            count: images of a tracklet, 1 or more.
        """
        starts = np.searchsorted(self.tracklet, np.arange(self.count + 1))
        chosen = [np.linspace(a, b - 1, min(count, b - a)).round() for a, b in pairwise(starts)]
        return np.concatenate([np.zeros(0), *chosen]).astype(np.int64)


def find_tracklets(table: TrackTable, frame_rate: float, rules: Rules) -> VideoTracklets:
    """Returns the tracklets of one video.

    Args:
        table: what a tracker said.
        frame_rate: frames per second.
        rules: what counts.
    """
    table = table[np.lexsort((table.frame, table.track_id))]
    clean = covered(table) <= rules.max_cover
    piece = _pieces(table, clean, max_gap=max(1, round(rules.max_gap * frame_rate)))
    kept = clean & _long_and_sure(table, piece, least=rules.min_length * frame_rate, score=rules.min_score)
    table = table[kept]
    _, tracklet = np.unique(piece[kept], return_inverse=True)
    together = _together(table, tracklet, least=max(1, round(rules.min_together * frame_rate)))
    return VideoTracklets(table, tracklet.astype(np.int64), together)


def covered(table: TrackTable) -> FloatArray:
    """Returns (M,) the largest share of the smaller box in which a row's box and another one of its frame overlap.

    Args:
        table: one video, in any order.
    """
    found = np.zeros(len(table))
    for rows in table.rows_by_frame().values():
        box = table.xyxy[rows]
        sides = np.minimum(box[:, None, 2:], box[None, :, 2:]) - np.maximum(box[:, None, :2], box[None, :, :2])
        size = (box[:, 2:] - box[:, :2]).prod(axis=1)
        least = np.maximum(np.minimum(size[:, None], size), 1e-9)
        share = sides.clip(min=0).prod(axis=2) / least
        np.fill_diagonal(share, 0)
        found[rows] = share.max(axis=1)
    return found


def _pieces(table: TrackTable, clean: BoolArray, *, max_gap: int) -> IntArray:
    """Returns (M,) numbers of the stretches that lie between cuts; a row that is not clean is a piece by itself."""
    starts = np.ones(len(table), dtype=np.bool_)
    starts[1:] = (np.diff(table.track_id) != 0) | (np.diff(table.frame) > max_gap) | ~clean[1:] | ~clean[:-1]
    return np.cumsum(starts)


def _long_and_sure(table: TrackTable, piece: IntArray, *, least: float, score: float) -> BoolArray:
    """Returns (M,) whether a row belongs to a piece that is long and sure enough; the pieces are in a row."""
    if not len(table):
        return np.zeros(0, dtype=np.bool_)
    _, first, index, count = np.unique(piece, return_index=True, return_inverse=True, return_counts=True)
    long = table.frame[first + count - 1] - table.frame[first] >= least - 1e-9
    sure = np.bincount(index, table.score) / count >= score - 1e-9
    return np.asarray((long & sure)[index])


def _together(table: TrackTable, tracklet: IntArray, *, least: int) -> IntArray:
    """Returns (P, 2) pairs of tracklets that share enough frames; a track is once in a frame, so they are of two."""
    seen: dict[tuple[int, int], int] = {}
    for rows in table.rows_by_frame().values():
        here = np.sort(tracklet[rows]).tolist()
        for place, one in enumerate(here):
            for other in here[place + 1 :]:
                seen[one, other] = seen.get((one, other), 0) + 1
    pairs = sorted(pair for pair, count in seen.items() if count >= least)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
