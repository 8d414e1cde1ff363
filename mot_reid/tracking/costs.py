"""What it costs to call a box and a track the same person.

Most pairs of a frame do not overlap and can never be matched, so candidates are kept as a list of the pairs that do
(`Pairs`), not as a matrix. A cost is a pure function `(pairs, scene) -> (K,)`: 1 minus a similarity in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.tracking.confidence import continued
from mot_reid.tracking.cues import corner_steps, height_overlap, turn
from mot_reid.tracking.presets import Bands
from mot_reid.tracking.store import Store

# Above this many comparisons, sorting by x and looking only at neighbours is faster than comparing all with all.
_SWEEP_FROM = 4096
_EVIDENCE = 0.4
_MOTION_SHARE = 0.02
# TrackTrack: weights of a change of score and of direction, what a weak box costs, and the least IoU of a pair.
_SCORE_WEIGHT, _TURN_WEIGHT, _LOW_BAND, _LEAST_OVERLAP = 0.1, 0.05, 0.2, 0.1
# Between the gate and identical embeddings: with a gate of 1 there is no room to divide by.
_LEAST_ROOM = 1e-6


@dataclass(slots=True)
class Pairs:
    """Candidate pairs, each column `(K,)`; nobody changes them (a frozen class takes twice as long to make).

    Attributes:
        row: of a track.
        column: of a box.
        iou: their overlap.
        cosine: how alike they look; NaN: unknown.
        distance: squared Mahalanobis distance of the box from where the filter expects the track.
    """

    row: IntArray
    column: IntArray
    iou: FloatArray
    cosine: FloatArray | None = None
    distance: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: IntArray) -> Pairs:
        """Returns the pairs at `(J,)` indices."""
        cosine = None if self.cosine is None else self.cosine.take(index)
        distance = None if self.distance is None else self.distance.take(index)
        return Pairs(self.row.take(index), self.column.take(index), self.iou.take(index), cosine, distance)


NO_PAIRS = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _no_boxes() -> FloatArray:
    return np.zeros((4, 0))


@dataclass(slots=True)
class Scene:
    """What costs may know beside the pairs.

    Attributes:
        score: `(m,)` scores of the boxes.
        gate: least cosine similarity of the same person.
        proximity: least IoU of a pair that appearance may join.
        tracks: `(4, n)` boxes where the tracks are expected.
        boxes: `(4, m)` boxes found.
        high: the first `high` boxes are the high band.
        store: the tracks, for costs that look at their past.
        bands: the score bands of this frame.
        in_gate: the pairs that the filter thinks possible, overlapping or not; only with `appearance_in_gate`.
    """

    score: FloatArray
    gate: float = 0.5
    proximity: float = 0.5
    tracks: FloatArray = field(default_factory=_no_boxes)
    boxes: FloatArray = field(default_factory=_no_boxes)
    high: int = 0
    store: Store | None = None
    bands: Bands | None = None
    in_gate: Pairs | None = None


def overlapping_pairs(first: FloatArray, second: FloatArray, *, pixel: float = 0.0) -> Pairs:
    """Returns every pair of boxes that share some area, sorted by row.

    Args:
        first: `(4, n)` boxes x1, y1, x2, y2, one per column; a column of NaN overlaps nothing.
        second: `(4, m)` boxes likewise.
        pixel: added to x2 and y2 first (see `Preset.pixel`).
    """
    if pixel:
        grow = np.array([[0.0], [0.0], [pixel], [pixel]])
        first, second = first + grow, second + grow
    n, m = first.shape[1], second.shape[1]
    if n == 0 or m == 0:
        return NO_PAIRS
    size_first, size_second = first[2:] - first[:2], second[2:] - second[:2]
    area_first, area_second = size_first[0] * size_first[1], size_second[0] * size_second[1]
    if n * m < _SWEEP_FROM:
        common = _common(first[:, :, None], second[:, None, :]).ravel()
        real = common.nonzero()[0]
        row, column = np.divmod(real, m)
        common = common.take(real)
        return Pairs(row, column, common / (area_first.take(row) + area_second.take(column) - common))
    row, column = _neighbours(first, second)
    common = _common(first.take(row, axis=1), second.take(column, axis=1))
    real = common.nonzero()[0]
    row, column, common = row.take(real), column.take(real), common.take(real)
    return Pairs(row, column, common / (area_first.take(row) + area_second.take(column) - common))


def overlap(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns the `(K,)` IoU of boxes `(4, K)` with as many others."""
    common = _common(first, second)
    area = (first[2] - first[0]) * (first[3] - first[1]) + (second[2] - second[0]) * (second[3] - second[1])
    return common / (area - common)


def _common(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns the shared areas of boxes `(4, ..)`; 0 where they are apart or one is NaN."""
    size = np.minimum(first[2:], second[2:])
    size -= np.maximum(first[:2], second[:2])
    # fmax, not maximum: a NaN is no overlap.
    np.fmax(size, 0.0, out=size)
    return size[0] * size[1]


def _neighbours(first: FloatArray, second: FloatArray) -> tuple[IntArray, IntArray]:
    """Returns rows and columns of the pairs whose x ranges may overlap."""
    order = second[0].argsort(kind="stable")
    left = second[0].take(order)
    widest = (second[2] - second[0]).max()
    begin = np.searchsorted(left, first[0] - widest, side="left")
    end = np.searchsorted(left, first[2], side="left")
    count = np.maximum(end - begin, 0)
    row = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, order.take(within + begin.take(row))


def iou(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns 1 - IoU."""
    return 1.0 - pairs.iou


def iou_score(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns 1 - IoU x score: ByteTrack's fused cost, which prefers boxes that the detector is sure of."""
    return 1.0 - pairs.iou * scene.score.take(pairs.column)


def appearance(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns the smaller of `iou_score` and half the cosine distance of pairs that are close and alike (BoT-SORT)."""
    motion = iou_score(pairs, scene)
    if pairs.cosine is None:
        return motion
    # NaN compares false, so a pair without embeddings keeps its motion cost.
    alike = (pairs.cosine >= scene.gate) & (pairs.iou >= scene.proximity)
    return np.where(alike, np.minimum(motion, (1.0 - pairs.cosine) / 2), motion)


def blend(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns `iou_score` moved down for pairs that look alike and up for pairs that do not (ours).

    The evidence of appearance is 0 at the gate, 1 for identical embeddings, at least -1, and counts `_EVIDENCE` times.
    """
    motion = iou_score(pairs, scene)
    if pairs.cosine is None:
        return motion
    evidence = np.clip((pairs.cosine - scene.gate) / max(1.0 - scene.gate, _LEAST_ROOM), -1.0, 1.0)
    blended = np.where(pairs.iou >= scene.proximity, motion - _EVIDENCE * evidence, np.inf)
    return np.where(np.isnan(pairs.cosine), motion, blended)


def appearance_in_gate(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns the cosine distance and a little of the filter's distance (StrongSORT); IoU stands for unknown cosines.

    Reference:
        Du et al., StrongSORT, 2023, equation 5.
    """
    assert pairs.distance is not None
    alike = pairs.iou if pairs.cosine is None else np.where(np.isnan(pairs.cosine), pairs.iou, pairs.cosine)
    return (1.0 - _MOTION_SHARE) * (1.0 - alike) + _MOTION_SHARE * pairs.distance


def several_cues(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns 1 - IoU of boxes and of heights, halved with appearance, plus changes of score and of the corners' ways.

    Boxes of the low band cost more. Pairs that overlap too little are impossible.

    Reference:
        Shim et al., Focusing on Tracks for Online Multi-Object Tracking, CVPR 2025, section 3.1.
    """
    store = scene.store
    assert store is not None
    row, column = pairs.row, pairs.column
    box, score = scene.boxes.take(column, axis=1), scene.score.take(column)
    cost = 1.0 - pairs.iou * height_overlap(scene.tracks.take(row, axis=1), box)
    if pairs.cosine is not None:
        looks = np.clip(1.0 - pairs.cosine, 0.0, 1.0)
        cost = np.where(np.isnan(looks), cost, 0.5 * cost + 0.5 * looks)
    start = np.where(np.isnan(store.corner_boxes[0]), store.last, store.corner_boxes[0]).take(row, axis=1)
    cost += _TURN_WEIGHT * score * turn(store.corners.take(row, axis=2), corner_steps(start, box))
    expected = 2.0 * store.score - store.score_before
    cost += _SCORE_WEIGHT * np.abs(expected.take(row) - score) + _LOW_BAND * (column >= scene.high)
    return np.where(pairs.iou > _LEAST_OVERLAP, np.minimum(cost, 1.0), np.inf)


def height_iou(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns 1 - IoU of boxes x IoU of their vertical extents.

    Reference:
        Yang et al., Hybrid-SORT: Weak Cues Matter for Online Multi-Object Tracking, AAAI 2024, section 3.4.
    """
    tracks, boxes = scene.tracks.take(pairs.row, axis=1), scene.boxes.take(pairs.column, axis=1)
    return 1.0 - pairs.iou * height_overlap(tracks, boxes)


def height_score(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns `height_iou` plus the distance of the score from what the track's last two make one expect; at most 1."""
    store, bands = scene.store, scene.bands
    assert store is not None and bands is not None and bands.high is not None and bands.low is not None
    expected = continued(store.score, store.score_before, low=bands.low, high=bands.high)
    change = np.abs(expected.take(pairs.row) - scene.score.take(pairs.column))
    return np.minimum(height_iou(pairs, scene) + change, 1.0)


def height_last_observed(pairs: Pairs, scene: Scene) -> FloatArray:
    """Returns `height_iou` with the boxes in which the tracks were last observed."""
    assert scene.store is not None
    return height_iou(pairs, replace(scene, tracks=scene.store.observed))


COSTS: dict[str, Callable[[Pairs, Scene], FloatArray]] = {
    "iou": iou,
    "last_observed": iou,
    "direction": iou,
    "iou_score": iou_score,
    "appearance": appearance,
    "blend": blend,
    "appearance_in_gate": appearance_in_gate,
    "several_cues": several_cues,
    "weak_cues": height_iou,
    "height_score": height_score,
    "height_last_observed": height_last_observed,
}


def direction_bonus(
    reference: FloatArray, direction: FloatArray, boxes: FloatArray, *, score: FloatArray
) -> FloatArray:
    """Returns the `(n, m)` agreement in [-0.5, 0.5] of each step with the track's direction, times the box's score.

    Args:
        reference: `(4, n)` earlier observed box of each track, x1, y1, x2, y2; NaN where it was never observed.
        direction: `(2, n)` unit vectors; zero where unknown, NaN where never observed.
        boxes: `(4, m)`.
        score: `(m,)`.

    Reference:
        Cao et al., Observation-Centric SORT, CVPR 2023, equation 5.
    """
    step = unit_step(reference[:, :, None], boxes[:, None, :])
    cosine = np.clip((direction[:, :, None] * step).sum(axis=0), -1, 1)
    bonus = (np.pi / 2 - np.arccos(cosine)) / np.pi * score
    return np.nan_to_num(bonus)


def corner_bonus(reference: FloatArray, corners: FloatArray, boxes: FloatArray, *, score: FloatArray) -> FloatArray:
    """Returns the `(n, m)` sums of the agreement, in [-0.5, 0.5] each, of the steps of four corners with their ways.

    Args:
        reference: `(4, n)` earlier observed box of each track; NaN where it was never observed.
        corners: `(4, 2, n)` sums of unit vectors; zero where unknown.
        boxes: `(4, m)`.
        score: `(m,)`.

    Reference:
        Yang et al., Hybrid-SORT, AAAI 2024, section 3.5. As in the authors' code the unit vectors of three steps are
        added, so a corner that keeps its way agrees fully up to an angle of 70 degrees.
    """
    step = corner_steps(reference[:, :, None], boxes[:, None, :])
    cosine = np.clip((corners[:, :, :, None] * step).sum(axis=1), -1, 1)
    return ((np.pi / 2 - np.arccos(cosine)) / np.pi).sum(axis=0) * score


def adaptive_weight(cosine: FloatArray, *, weight: float, boost: float) -> FloatArray:
    """Returns the `(n, m)` weights of similarities, larger in rows and columns whose best is far above the second.

    Args:
        cosine: `(n, m)`, 0 where there is no pair.
        weight: that of all.
        boost: most that a row and a column add together.

    Reference:
        Maggiolino et al., Deep OC-SORT, ICIP 2023, section 3.3.
    """
    weights = np.full(cosine.shape, weight)
    for axis in (0, 1):
        if cosine.shape[axis] > 1:
            second, first = np.moveaxis(np.partition(cosine, -2, axis=axis), axis, 0)[-2:]
            weights += np.expand_dims(np.minimum(first - second, boost) / 2, axis)
    return weights


def unit_step(start: FloatArray, end: FloatArray) -> FloatArray:
    """Returns the `(2, ..)` direction from the centre of `start` `(4, ..)` to that of `end`; zero for no movement."""
    step = ((end[:2] + end[2:]) - (start[:2] + start[2:])) / 2
    return step / (np.sqrt((step**2).sum(axis=0)) + 1e-6)
