"""One frame's association: the boxes in order, and the stages of a preset run over them. Pure functions."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, IntArray, all_true, filled
from mot_reid.structures import Detections
from mot_reid.tracking.assignment import cut, gated, mutual, one_to_one
from mot_reid.tracking.costs import (
    COSTS,
    NO_PAIRS,
    Pairs,
    Scene,
    adaptive_weight,
    corner_bonus,
    direction_bonus,
    overlap,
    overlapping_pairs,
)
from mot_reid.tracking.motion import POSITION, Filter
from mot_reid.tracking.presets import Bands, Preset, Stage, TrackGroup
from mot_reid.tracking.store import Store

# Squared Mahalanobis distance in four dimensions that one sight in twenty exceeds (chi-squared).
_GATE = 9.4877
# By how much the limit of mutual pairs falls from round to round (TrackTrack).
_FALL = 0.05
# Thinner boxes (pixels) have no aspect to speak of and overlap nothing; they are never tracked.
_THINNEST = 1e-3


@dataclass(slots=True)
class Boxes:
    """The boxes of a frame, most certain first, so that score bands are slices and the rows' order never matters.

    Attributes:
        xyxy: `(4, m)`.
        score: `(m,)` falling.
        class_id: `(m,)`.
        source: `(m,)` row of the detections given.
        high: the first `high` boxes are the high band, the others the low band.
        embedding: `(m, D)` unit vectors, NaN where unknown, or `None`.
    """

    xyxy: FloatArray
    score: FloatArray
    class_id: IntArray
    source: IntArray
    high: int
    embedding: Float32Array | None = None


_NO_INDEX = np.zeros(0, np.int64)
_NO_NUMBER = np.zeros(0)


class Matches:
    """The pairs that were formed.

    Attributes:
        row: `(K,)` tracks.
        column: `(K,)` boxes.
        box: `(n,)` box of each track; -1: none.
        free: `(n,)` tracks and `(m,)` boxes that are in no pair.
        parts: per stage its number, all its candidates with their costs, and which of them were formed.
    """

    __slots__ = ("box", "column", "free", "parts", "row")

    def __init__(self, tracks: int, boxes: int) -> None:
        self.row, self.column = _NO_INDEX, _NO_INDEX
        self.box = filled(tracks, -1)
        self.free = (filled(tracks, True), filled(boxes, True))
        self.parts: list[tuple[int, Pairs, FloatArray, IntArray]] = []

    def add(self, stage: int, pairs: Pairs, cost: FloatArray, chosen: IntArray) -> None:
        """Adds the pairs at `chosen`."""
        row, column = pairs.row.take(chosen), pairs.column.take(chosen)
        first = not self.parts
        self.row = row if first else np.concatenate((self.row, row))
        self.column = column if first else np.concatenate((self.column, column))
        self.box[row] = column
        self.free[0][row] = False
        self.free[1][column] = False
        self.parts.append((stage, pairs, cost, chosen))

    def reasons(self) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
        """Returns `(K,)` stage, IoU, cosine (NaN where unknown) and cost of each pair."""
        stage: list[Any] = [_NO_INDEX]
        iou: list[Any] = [_NO_NUMBER]
        cosine: list[Any] = [_NO_NUMBER]
        cost: list[Any] = [_NO_NUMBER]
        for number, pairs, costs, chosen in self.parts:
            stage.append(np.full(len(chosen), number))
            iou.append(pairs.iou.take(chosen))
            cosine.append(np.full(len(chosen), np.nan) if pairs.cosine is None else pairs.cosine.take(chosen))
            cost.append(costs.take(chosen))
        return np.concatenate(stage), np.concatenate(iou), np.concatenate(cosine), np.concatenate(cost)


def arrange(found: Detections, bands: Bands) -> Boxes:
    """Returns the boxes of both bands, by falling score; ties are ordered by class and coordinates."""
    negative = -found.score
    order = negative.argsort(kind="stable")
    growing = negative.take(order).tolist()
    if len(set(growing)) < len(growing):
        x1, y1, x2, y2 = found.xyxy.T
        order = np.lexsort((y2, x2, y1, x1, found.class_id, negative))
    # Scores above a limit are negative ones below its negative.
    high = len(growing) if bands.high is None else bisect_left(growing, -bands.high)
    used = high if bands.low is None else bisect_left(growing, -bands.low)
    if used < len(growing):
        order = order[:used]
    score = found.score.take(order)
    xyxy = found.xyxy.T.take(order, axis=1)
    sides = xyxy[2:] - xyxy[:2]
    if not all_true(sides >= _THINNEST):
        real = np.flatnonzero(sides.min(axis=0) >= _THINNEST)
        high = int((real < high).sum())
        order, score, xyxy = order.take(real), score.take(real), xyxy.take(real, axis=1)
    embedding = None if found.embedding is None else found.embedding.take(order, axis=0)
    return Boxes(xyxy, score, found.class_id.take(order), order, high, embedding)


def candidates(rows: FloatArray, store: Store, boxes: Boxes, *, pixel: float) -> Pairs:
    """Returns the overlapping pairs of tracks (boxes `(4, n)`) and boxes that are of the same class."""
    pairs = overlapping_pairs(rows, boxes.xyxy, pixel=pixel)
    if not len(pairs):
        return pairs
    same = store.class_id.take(pairs.row) == boxes.class_id.take(pairs.column)
    return pairs if all_true(same) else pairs.take(same.nonzero()[0])


def pairs_in_gate(motion: Filter, state: FloatArray, rows: FloatArray, store: Store, boxes: Boxes) -> Pairs:
    """Returns the pairs of one class that the filter thinks possible, whether they overlap or not.

    Args:
        state: `(5, 4, n)` predicted.
        rows: `(4, n)` its boxes.
    """
    distance = motion.distance(state, motion.measure(boxes.xyxy))
    row, column = ((distance <= _GATE) & (store.class_id[:, None] == boxes.class_id)).nonzero()
    shared = overlap(rows.take(row, axis=1), boxes.xyxy.take(column, axis=1))
    return Pairs(row, column, shared, distance=distance[row, column])


def associate(preset: Preset, store: Store, boxes: Boxes, *, pairs: Pairs, scene: Scene) -> Matches:
    """Returns the pairs that the stages of a preset form; every track and every box is in one at most."""
    matches = Matches(len(store), len(boxes.score))
    if not len(store):
        return matches
    costs: dict[tuple[str, float], FloatArray] = {}
    all_confirmed = all_true(store.confirmed)
    for number, stage in enumerate(preset.stages):
        begin = boxes.high if stage.boxes == "low" else 0
        end = boxes.high if stage.boxes == "high" else len(boxes.score)
        if begin == end or (all_confirmed and stage.tracks == "tentative"):
            continue
        tracks = None if all_confirmed and stage.tracks == "confirmed" else _members(store, stage.tracks)
        if stage.cost == "appearance_in_gate":
            candidate = NO_PAIRS if scene.in_gate is None else scene.in_gate
        elif stage.cost in ("last_observed", "height_last_observed"):
            candidate = candidates(store.observed, store, boxes, pixel=preset.pixel)
        elif stage.buffer:
            grown = replace(boxes, xyxy=_grown(boxes.xyxy, stage.buffer))
            candidate = candidates(_grown(scene.tracks, stage.buffer), store, grown, pixel=preset.pixel)
        else:
            candidate = pairs
        if not len(candidate):
            continue
        name = (stage.cost, stage.buffer)
        if name not in costs:
            costs[name] = COSTS[stage.cost](candidate, scene)
        usable = _usable(candidate, tracks, matches.free, begin=begin, end=end)
        cost = costs[name]
        chosen = _choose(stage, preset, store, boxes, pairs=candidate, cost=cost, usable=usable)
        if len(chosen):
            matches.add(number, candidate, cost, chosen)
    return matches


def _grown(xyxy: FloatArray, buffer: float) -> FloatArray:
    """Returns `(4, n)` boxes that are larger on every side by a share of their size."""
    margin = buffer * (xyxy[2:] - xyxy[:2])
    return np.concatenate((xyxy[:2] - margin, xyxy[2:] + margin))


def _members(store: Store, group: TrackGroup) -> BoolArray | None:
    """Returns which tracks belong to a group; `None`: all."""
    if group == "all":
        return None
    if group == "tentative":
        return ~store.confirmed
    if group == "recent":
        return store.missed == 0
    return store.confirmed if group == "confirmed" else store.confirmed & ~store.given_up()


def _usable(
    pairs: Pairs, tracks: BoolArray | None, free: tuple[BoolArray, BoolArray], *, begin: int, end: int
) -> BoolArray:
    """Returns which pairs join a free track of the stage's group and a free box of its band."""
    usable = (free[0] if tracks is None else free[0] & tracks).take(pairs.row)
    usable &= free[1].take(pairs.column)
    if begin:
        usable &= pairs.column >= begin
    if end < len(free[1]):
        usable &= pairs.column < end
    return usable


def _choose(
    stage: Stage, preset: Preset, store: Store, boxes: Boxes, *, pairs: Pairs, cost: FloatArray, usable: BoolArray
) -> IntArray:
    """Returns the indices of the pairs that a stage forms among the usable ones."""
    within = (usable & (cost < stage.limit)).nonzero()[0]
    if not len(within):
        return within
    row, column = pairs.row.take(within), pairs.column.take(within)
    if stage.policy == "gated":
        return within.take(gated(row, column, cost.take(within), limit=stage.limit))
    if stage.policy == "mutual":
        return within.take(mutual(row, column, cost.take(within), limit=stage.limit, step=_FALL))
    if stage.policy == "clear_or_cut" and one_to_one(row, column):
        return within
    usable_index = usable.nonzero()[0]
    some = pairs.take(usable_index)
    if stage.cost == "direction":
        best = _best_total(preset, store, boxes, pairs=some)
    elif stage.cost == "weak_cues":
        best = _best_of_weak_cues(preset, store, boxes, pairs=some, gain=1.0 - cost.take(usable_index))
    else:
        best = cut(some.row, some.column, 1.0 - cost.take(usable_index))
    chosen = usable_index.take(best)
    return chosen[cost.take(chosen) < stage.limit]


def _best_total(preset: Preset, store: Store, boxes: Boxes, *, pairs: Pairs) -> IntArray:
    """Returns the indices of the pairs in the matching of the largest total of IoU, direction bonus and appearance.

    Boxes that do not overlap a track count with their bonus too, as in OC-SORT, so the matrix is a full one.
    """
    assert preset.direction is not None
    bonus = direction_bonus(
        reference_boxes(store), store.direction, boxes.xyxy[:, : boxes.high], score=boxes.score[: boxes.high]
    )
    total = preset.direction.inertia * bonus
    total[pairs.row, pairs.column] += pairs.iou
    look = preset.appearance
    if look is not None and look.weight and pairs.cosine is not None:
        alike = np.zeros_like(total)
        alike[pairs.row, pairs.column] = np.nan_to_num(pairs.cosine)
        total += adaptive_weight(alike, weight=look.weight, boost=look.boost) * alike
    return _best(total, store, boxes, pairs=pairs)


def _best_of_weak_cues(preset: Preset, store: Store, boxes: Boxes, *, pairs: Pairs, gain: FloatArray) -> IntArray:
    """Returns the indices of the pairs in the matching of the largest total of gain, corners and scores (Hybrid-SORT).

    Args:
        gain: `(K,)` overlap of each pair; all other tracks and boxes count with 0, and with their corners and scores.
    """
    assert preset.direction is not None and preset.bands.high is not None
    score = boxes.score[: boxes.high]
    bonus = corner_bonus(reference_boxes(store), store.corners, boxes.xyxy[:, : boxes.high], score=score)
    expected = np.clip(store.score_state[POSITION], preset.bands.high, 1.0)
    total = preset.direction.inertia * bonus - np.abs(expected[:, None] - score)
    total[pairs.row, pairs.column] += gain
    return _best(total, store, boxes, pairs=pairs)


def _best(total: FloatArray, store: Store, boxes: Boxes, *, pairs: Pairs) -> IntArray:
    """Returns the indices of the pairs in the matching of the largest sum of an `(n, m)` matrix; changes the matrix."""
    # More than any total can gain, so that classes mix only where the matrix must be filled; those pairs have no index.
    total[store.class_id[:, None] != boxes.class_id[None, : boxes.high]] = -1e3
    index = np.full(total.shape, -1)
    index[pairs.row, pairs.column] = np.arange(len(pairs))
    chosen = index[linear_sum_assignment(total, maximize=True)]
    return chosen[chosen >= 0]


def reference_boxes(store: Store) -> FloatArray:
    """Returns the `(4, n)` oldest box observed in the last `span` updates, else the last one ever, else NaN."""
    reference = store.observed
    for recent in store.recent[::-1]:
        reference = np.where(np.isnan(recent), reference, recent)
    return reference
