"""Tracklets of one person joined, by where they were going or by how they look; never two seen in one frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, IntArray
from mot_reid.boxes import xyxy_to_cxcywh
from mot_reid.refinement.tracklets import mean_embedding
from mot_reid.structures import TrackTable

_NEVER = 1e6
_STRANGER_QUANTILE = 0.95
_FASTEST = 3.0  # heights of a person in a second


@dataclass(frozen=True, slots=True, eq=False)
class _Tracklet:
    """What joining asks of a track: when, where and how fast it began and ended.

    Attributes:
        rows: of the table, by frame.
        first: frame.
        last: frame.
        start: (4,) first box, center and size.
        end: (4,) last box, center and size.
        start_speed: (2,) of its center at the start, pixels a frame.
        end_speed: (2,) at the end.
    """

    rows: IntArray
    first: int
    last: int
    start: FloatArray
    end: FloatArray
    start_speed: FloatArray
    end_speed: FloatArray


def join_by_motion(
    table: TrackTable,
    *,
    max_gap: float,
    limit: float,
    frame_rate: float,
    embedding: Float32Array | None = None,
    veto: float = 0.0,
) -> IntArray:
    """Returns (M,) identities after joining each end with the beginning that it would have reached.

    A pair costs how far the two miss each other, both followed at constant speed through the gap, in heights of the
    person, plus the change of height. The best one-to-one choice of all pairs below the limit is taken. It is the
    idea of AFLink without its network.

    Args:
        table: the tracks of one video.
        max_gap: the most missing frames between the two.
        limit: the largest cost; raise it to join more.
        frame_rate: frames per second.
        embedding: (M, D) unit vectors, NaN where there is none; None: looks are not asked.
        veto: least mean cosine similarity of the two where both have embeddings.

    Reference:
        Du et al., StrongSORT: Make DeepSORT Great Again, IEEE TMM 2023, section III-D (AFLink).
    """
    parts = [_describe(table, rows, frame_rate=frame_rate) for rows in table.rows_by_track().values()]
    if len(parts) < 2:
        return table.track_id
    cost = np.full((len(parts), len(parts)), _NEVER)
    for a, before in enumerate(parts):
        for b, after in enumerate(parts):
            missing = after.first - before.last - 1
            if 0 <= missing <= max_gap and table.class_id[before.rows[-1]] == table.class_id[after.rows[0]]:
                cost[a, b] = _miss(before, after)
    if embedding is not None:
        cost[_similarities(embedding, [part.rows for part in parts]) < veto] = _NEVER
    cost = np.where(cost <= limit, cost, limit)  # a pair at the limit is no better than leaving both alone
    chosen = [(int(a), int(b)) for a, b in zip(*linear_sum_assignment(cost)) if cost[a, b] < limit]
    return _renamed(table, [part.rows for part in parts], chosen)


def join_by_appearance(table: TrackTable, embedding: Float32Array, *, threshold: float, frame_rate: float) -> IntArray:
    """Returns (M,) identities after joining tracks that look alike, most alike first, whatever lies between.

    How alike two groups of tracks are is the mean cosine similarity of all pairs of their boxes. Tracks that were seen
    in one frame are different people: they are never joined, and how alike *they* are raises the threshold, so that
    it fits a video in which strangers look alike. Nobody is joined who would have had to run faster than 3 of their
    heights a second.

    Args:
        table: the tracks of one video.
        embedding: (M, D) unit vectors, NaN where there is none.
        threshold: least similarity of one person, as calibrated with the model.
        frame_rate: frames per second.
    """
    groups = [[_describe(table, rows, frame_rate=frame_rate)] for rows in table.rows_by_track().values()]
    names = [part[0].rows for part in groups]
    similarity = _similarities(embedding, names)
    weight = [int((~np.isnan(embedding[rows]).any(axis=1)).sum()) for rows in names]
    apart = _seen_together(table, names)
    strangers = similarity[np.triu(apart, 1) & ~np.isnan(similarity)]
    least = max(threshold, float(np.quantile(strangers, _STRANGER_QUANTILE))) if len(strangers) else threshold
    chosen: list[tuple[int, int]] = []
    forbidden = apart | np.isnan(similarity) | np.eye(len(names), dtype=bool)
    while not forbidden.all():
        asked = np.where(forbidden, -np.inf, similarity)
        a, b = sorted(int(n) for n in np.unravel_index(np.argmax(asked), asked.shape))
        if asked[a, b] < least:
            break
        if not _reachable(groups[a] + groups[b], frame_rate):
            forbidden[a, b] = forbidden[b, a] = True
            continue
        chosen.append((a, b))
        groups[a] = groups[a] + groups[b]
        both = (weight[a] * similarity[a] + weight[b] * similarity[b]) / (weight[a] + weight[b])
        similarity[a] = similarity[:, a] = both
        weight[a] += weight[b]
        forbidden[a] |= forbidden[b]
        forbidden[:, a] = forbidden[a]
        forbidden[b] = forbidden[:, b] = True
    return _renamed(table, names, chosen)


def _describe(table: TrackTable, rows: IntArray, *, frame_rate: float) -> _Tracklet:
    """Returns when, where and how fast a track began and ended, its speed fitted over half a second."""
    boxes, frame = xyxy_to_cxcywh(table.xyxy[rows]), table.frame[rows].astype(float)
    head = frame <= frame[0] + frame_rate / 2
    tail = frame >= frame[-1] - frame_rate / 2
    return _Tracklet(
        rows, int(frame[0]), int(frame[-1]), boxes[0], boxes[-1],
        _speed(frame[head], boxes[head, :2]), _speed(frame[tail], boxes[tail, :2]),
    )  # fmt: skip


def _speed(frame: FloatArray, center: FloatArray) -> FloatArray:
    """Returns the slope of the line that fits best; nothing moves that was seen twice at most."""
    if len(frame) < 3:
        return np.zeros(2)
    time = frame - frame.mean()
    return np.asarray(time @ (center - center.mean(axis=0)) / (time @ time))


def _miss(before: _Tracklet, after: _Tracklet) -> float:
    """Returns by how much the two miss each other, in heights, and the change of height as a logarithm."""
    gap = after.first - before.last
    way = after.start[:2] - before.end[:2]
    height = max((before.end[3] + after.start[3]) / 2, 1e-6)
    missed = np.linalg.norm(way - gap * before.end_speed) + np.linalg.norm(way - gap * after.start_speed)
    change = abs(float(np.log(max(after.start[3], 1e-6) / max(before.end[3], 1e-6))))
    return float(missed) / 2 / height + change


def _similarities(embedding: Float32Array, tracks: list[IntArray]) -> FloatArray:
    """Returns (T, T) mean similarities of all pairs of boxes; NaN where one of the tracks has no embedding."""
    means = [mean_embedding(embedding, rows) for rows in tracks]
    nothing = np.full(embedding.shape[1], np.nan)
    stacked = np.stack([nothing if mean is None else mean for mean in means])
    return np.asarray(stacked @ stacked.T)


def _seen_together(table: TrackTable, tracks: list[IntArray]) -> BoolArray:
    """Returns (T, T): which tracks were seen in one frame, or are of different classes."""
    seen = np.zeros((len(tracks), int(table.frame.max(initial=0)) + 1), dtype=np.float32)
    for number, rows in enumerate(tracks):
        seen[number, table.frame[rows]] = 1
    kind = np.array([table.class_id[rows[0]] for rows in tracks])
    return np.asarray((seen @ seen.T > 0) | (kind[:, None] != kind))


def _reachable(parts: list[_Tracklet], frame_rate: float) -> bool:
    """Whether a person can have been in all the places, one after the other."""
    ordered = sorted(parts, key=lambda part: part.first)
    for before, after in pairwise(ordered):
        if after.first <= before.last:  # it fills a hole of the other
            continue
        height = (before.end[3] + after.start[3]) / 2
        seconds = (after.first - before.last) / frame_rate
        if np.linalg.norm(after.start[:2] - before.end[:2]) > height * (1 + _FASTEST * seconds):
            return False
    return True


def _renamed(table: TrackTable, tracks: list[IntArray], pairs: list[tuple[int, int]]) -> IntArray:
    """Returns identities in which the tracks of each pair, and of pairs of pairs, have the one of the earliest."""
    root = list(range(len(tracks)))

    def find(number: int) -> int:
        while root[number] != number:
            number = root[number]
        return number

    for a, b in pairs:
        first, second = sorted((find(a), find(b)), key=lambda n: (table.frame[tracks[n][0]], n))
        root[second] = first
    identity = table.track_id.copy()
    for number, rows in enumerate(tracks):
        identity[rows] = table.track_id[tracks[find(number)][0]]
    return identity
