"""One frame's association: the boxes in order, and the stages of a preset run over them. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mot_reid.structures import Detections
from mot_reid.tracking.assignment import cut, gated, one_to_one
from mot_reid.tracking.costs import COSTS, Pairs, Scene, direction_bonus, overlapping_pairs
from mot_reid.tracking.presets import Bands, Preset, Stage
from mot_reid.tracking.store import Store

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

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
    embedding: NDArray[np.float32] | None = None


@dataclass(slots=True)
class Matches:
    """Pairs that were formed: `(K,)` track, box, index of the stage, cost, IoU and cosine (NaN where unknown)."""

    row: IntArray
    column: IntArray
    stage: IntArray
    cost: FloatArray
    iou: FloatArray
    cosine: FloatArray


def arrange(found: Detections, bands: Bands) -> Boxes:
    """Returns the boxes of both bands, by falling score; ties are ordered by class and coordinates."""
    falling = -found.score
    order = falling.argsort(kind="stable")
    falling = falling.take(order)
    if (falling[1:] == falling[:-1]).any():
        x1, y1, x2, y2 = found.xyxy.T
        order = np.lexsort((y2, x2, y1, x1, found.class_id, -found.score))
        falling = -found.score.take(order)
    count = len(order)
    high = count if bands.high is None else int(falling.searchsorted(-bands.high))
    used = high if bands.low is None else int(falling.searchsorted(-bands.low))
    if used < count:
        order = order[:used]
    xyxy = np.ascontiguousarray(found.xyxy.take(order, axis=0).T)
    sides = xyxy[2:] - xyxy[:2]
    if used and sides.min() < _THINNEST:
        real = np.flatnonzero(sides.min(axis=0) >= _THINNEST)
        high = int((real < high).sum())
        order, xyxy = order.take(real), xyxy.take(real, axis=1)
    embedding = None if found.embedding is None else found.embedding.take(order, axis=0)
    return Boxes(xyxy, found.score.take(order), found.class_id.take(order), order, high, embedding)


def candidates(rows: FloatArray, store: Store, boxes: Boxes, *, pixel: float) -> Pairs:
    """Returns the overlapping pairs of tracks (boxes `(4, n)`) and boxes that are of the same class."""
    pairs = overlapping_pairs(rows, boxes.xyxy, pixel=pixel)
    return _same_class(pairs, store, boxes)


def associate(preset: Preset, store: Store, boxes: Boxes, *, pairs: Pairs, scene: Scene) -> Matches:
    """Returns the pairs that the stages of a preset form; every track and every box is in one at most."""
    free_row = np.ones(len(store), np.bool_)
    free_column = np.ones(len(boxes.score), np.bool_)
    parts: list[tuple[int, Pairs, FloatArray]] = []
    for number, stage in enumerate(preset.stages):
        chosen, cost = _run(stage, preset, store, boxes=boxes, pairs=pairs, scene=scene, free=(free_row, free_column))
        if len(chosen):
            parts.append((number, chosen, cost))
            free_row[chosen.row] = False
            free_column[chosen.column] = False
    return _join(parts)


def _run(
    stage: Stage,
    preset: Preset,
    store: Store,
    *,
    boxes: Boxes,
    pairs: Pairs,
    scene: Scene,
    free: tuple[BoolArray, BoolArray],
) -> tuple[Pairs, FloatArray]:
    """Returns the pairs of one stage and their costs."""
    begin, end = (0, boxes.high) if stage.boxes == "high" else (boxes.high, len(boxes.score))
    if begin == end:
        return _NO_PAIRS, _NO_COSTS
    if stage.cost == "last_observed":
        pairs = _same_class(overlapping_pairs(store.observed, boxes.xyxy, pixel=preset.pixel), store, boxes)
    if not len(pairs) and stage.cost != "direction":
        return _NO_PAIRS, _NO_COSTS
    rows = free[0] & group(store, stage.tracks)
    usable = rows.take(pairs.row) & free[1].take(pairs.column)
    usable &= (pairs.column >= begin) & (pairs.column < end)
    pairs = pairs.take(usable.nonzero()[0])
    cost = COSTS[stage.cost](pairs, scene)
    if stage.policy == "gated":
        pairs, cost = _below(pairs, cost, stage.limit)
        chosen = gated(pairs.row, pairs.column, cost, limit=stage.limit)
        return pairs.take(chosen), cost.take(chosen)
    if stage.policy == "clear_or_cut":
        clear, clear_cost = _below(pairs, cost, stage.limit)
        if len(clear) and one_to_one(clear.row, clear.column):
            return clear, clear_cost
    if stage.cost == "direction":
        chosen = _best_total(preset, store, boxes, pairs=pairs)
    else:
        chosen = cut(pairs.row, pairs.column, 1.0 - cost)
    return _below(pairs.take(chosen), cost.take(chosen), stage.limit)


def group(store: Store, name: str) -> BoolArray:
    """Returns which tracks belong to a group of `presets.TrackGroup`."""
    if name == "all":
        return np.ones(len(store), np.bool_)
    if name == "tentative":
        return ~store.confirmed
    return store.confirmed if name == "confirmed" else store.confirmed & (store.missed == 0)


def _best_total(preset: Preset, store: Store, boxes: Boxes, *, pairs: Pairs) -> IntArray:
    """Returns the indices of the pairs in the matching of the largest total of IoU and direction bonus.

    Boxes that do not overlap a track count with their bonus too, as in OC-SORT, so the matrix is a full one.
    """
    assert preset.direction is not None
    bonus = direction_bonus(
        reference_boxes(store), store.direction, boxes.xyxy[:, : boxes.high], score=boxes.score[: boxes.high]
    )
    total = preset.direction.inertia * bonus
    total[pairs.row, pairs.column] += pairs.iou
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


def _below(pairs: Pairs, cost: FloatArray, limit: float) -> tuple[Pairs, FloatArray]:
    index = (cost < limit).nonzero()[0]
    return (pairs, cost) if len(index) == len(cost) else (pairs.take(index), cost.take(index))


def _same_class(pairs: Pairs, store: Store, boxes: Boxes) -> Pairs:
    same = store.class_id.take(pairs.row) == boxes.class_id.take(pairs.column)
    return pairs if same.all() else pairs.take(same.nonzero()[0])


_NO_INDEX = np.zeros(0, np.int64)
_NO_COSTS = np.zeros(0)
_NO_PAIRS = Pairs(_NO_INDEX, _NO_INDEX, _NO_COSTS)


def _join(parts: list[tuple[int, Pairs, FloatArray]]) -> Matches:
    if not parts:
        return Matches(_NO_INDEX, _NO_INDEX, _NO_INDEX, _NO_COSTS, _NO_COSTS, _NO_COSTS)
    pairs = [part[1] for part in parts]
    return Matches(
        row=np.concatenate([p.row for p in pairs]),
        column=np.concatenate([p.column for p in pairs]),
        stage=np.repeat([part[0] for part in parts], [len(p) for p in pairs]),
        cost=np.concatenate([part[2] for part in parts]),
        iou=np.concatenate([p.iou for p in pairs]),
        cosine=np.concatenate([np.full(len(p), np.nan) if p.cosine is None else p.cosine for p in pairs]),
    )
