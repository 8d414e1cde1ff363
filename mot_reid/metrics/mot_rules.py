"""What counts on which benchmark? Turns a ground truth and a result into the frames that are scored.

The rules of MOTChallenge and of those who follow it, in one place:

- MOT15 has no classes: every row of the ground truth counts that is not marked to be ignored.
- All others have classes: only pedestrians (class 1) count, without the rows marked to be ignored.
  First every result box is matched to the ground truth of *all* classes (IoU of at least 0.5, largest sum), and those
  matched to something that looks like a pedestrian but is not to be counted (a person on a vehicle, a static person, a
  distractor, a reflection; on MOT20 also a vehicle) are removed: they are neither right nor wrong.
- A result box on an ignored pedestrian is a false positive, as on the benchmark's server.
- Visibility plays no part.
- DanceTrack and SportsMOT are scored as MOT17 is: TrackEval has no rules of their own for them. What they publish has
  class 1 and nobody to be ignored, so that every row counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.arrays import BoolArray, FloatArray, IntArray
from mot_reid.boxes import iou
from mot_reid.structures import TrackTable

Benchmark = Literal["MOT15", "MOT16", "MOT17", "MOT20", "DanceTrack", "SportsMOT"]
BENCHMARKS: tuple[Benchmark, ...] = get_args(Benchmark)

IOU_THRESHOLD = 0.5
EPSILON = float(np.finfo(float).eps)
"""Slack of every threshold, as in TrackEval: a similarity of 0.5 that rounding made smaller still counts."""

PEDESTRIAN = 1
CLASSES = range(1, 14)
_LIKE_A_PEDESTRIAN = (2, 7, 8, 12)
_VEHICLE = 6
DISTRACTOR_CLASSES: dict[Benchmark, tuple[int, ...]] = {
    "MOT15": (),
    "MOT16": _LIKE_A_PEDESTRIAN,
    "MOT17": _LIKE_A_PEDESTRIAN,
    "MOT20": (*_LIKE_A_PEDESTRIAN, _VEHICLE),
    "DanceTrack": _LIKE_A_PEDESTRIAN,
    "SportsMOT": _LIKE_A_PEDESTRIAN,
}


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFrame:
    """One frame that has boxes on at least one side. Persons and tracks are counted from 0 within the sequence.

    Attributes:
        number: Frame number, from 1.
        truth: (n,) person of each ground-truth box.
        result: (m,) track of each result box.
        similarity: (n, m) IoU.
    """

    number: int
    truth: IntArray
    result: IntArray
    similarity: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSequence:
    """A sequence after the benchmark's rules: only what counts is left.

    Attributes:
        frames: The frames with boxes, in order.
        length: Number of frames of the sequence, those without boxes included.
        truth_id: (P,) identity in the ground truth of each person.
        result_id: (T,) identity in the result of each track.
        truth_boxes: (P,) number of boxes of each person.
        result_boxes: (T,) number of boxes of each track.
    """

    frames: tuple[ScoredFrame, ...]
    length: int
    truth_id: IntArray
    result_id: IntArray
    truth_boxes: IntArray
    result_boxes: IntArray


def apply_rules(
    ground_truth: TrackTable, result: TrackTable, *, benchmark: Benchmark, length: int | None = None
) -> ScoredSequence:
    """Returns what is scored of one sequence.

    Args:
        ground_truth: Boxes with `class_id` (except for MOT15) and `ignore`.
        result: A tracker's boxes; their scores and classes play no part.
        benchmark: Whose rules.
        length: Number of frames; the last frame seen on either side when not given.

    Raises:
        ValueError: If the benchmark is unknown, an identity appears twice in a frame, a class is unknown to the
            benchmark, no row of a ground truth counts or a frame lies beyond the given length.
    """
    if benchmark not in DISTRACTOR_CLASSES:
        raise ValueError(f"benchmark: got '{benchmark}'; expected one of {', '.join(BENCHMARKS)}")
    last = max((int(table.frame.max()) for table in (ground_truth, result) if len(table)), default=0)
    length = last if length is None else length
    if last > length:
        raise ValueError(f"frame: got {last}; expected at most {length}, the length of the sequence")
    _check_identities("ground truth", ground_truth)
    _check_identities("result", result)
    if benchmark != "MOT15":
        _check_classes(ground_truth, benchmark)
    ground_truth, result = (table[np.argsort(table.frame, kind="stable")] for table in (ground_truth, result))
    keep = counted(ground_truth, benchmark)
    _check_counted(ground_truth, keep, benchmark)
    distractor = np.isin(ground_truth.class_id, DISTRACTOR_CLASSES[benchmark])
    drop = np.zeros(len(result), dtype=bool)
    parts = []
    for number, of_truth, of_result in _frames(ground_truth, result):
        similarity = iou(ground_truth.xyxy[of_truth], result.xyxy[of_result])
        drop[of_result][_on_distractors(similarity, distractor[of_truth])] = True
        rows, columns = keep[of_truth], ~drop[of_result]
        if rows.any() or columns.any():
            parts.append((number, of_truth, of_result, rows, columns, similarity[rows][:, columns]))
    truth_id, truth, truth_boxes = _relabel(ground_truth.track_id, keep)
    result_id, track, result_boxes = _relabel(result.track_id, ~drop)
    frames = tuple(
        ScoredFrame(number, truth[of_truth][rows], track[of_result][columns], similarity)
        for number, of_truth, of_result, rows, columns, similarity in parts
    )
    return ScoredSequence(frames, length, truth_id, result_id, truth_boxes, result_boxes)


def counted(ground_truth: TrackTable, benchmark: Benchmark) -> BoolArray:
    """Returns which rows of a ground truth are to be found.

    Args:
        ground_truth: as in `apply_rules`.
        benchmark: Whose rules.
    """
    keep = ~ground_truth.ignore
    return keep if benchmark == "MOT15" else keep & (ground_truth.class_id == PEDESTRIAN)


def _frames(ground_truth: TrackTable, result: TrackTable) -> Iterator[tuple[int, slice, slice]]:
    """Yields number and rows of both tables (sorted by frame) of every frame that has a box."""
    numbers = np.union1d(ground_truth.frame, result.frame)
    edges = [np.searchsorted(table.frame, [*numbers, np.inf]).tolist() for table in (ground_truth, result)]
    for n, number in enumerate(numbers.tolist()):
        yield number, slice(*edges[0][n : n + 2]), slice(*edges[1][n : n + 2])


def _on_distractors(similarity: FloatArray, distractor: BoolArray) -> IntArray:
    """Returns the columns matched to a row that is a distractor."""
    near = similarity >= IOU_THRESHOLD - EPSILON
    if not near[distractor].any():
        return np.zeros(0, dtype=np.int64)
    row, column = linear_sum_assignment(np.where(near, similarity, 0), maximize=True)
    return column[near[row, column] & distractor[row]]


def _relabel(identity: IntArray, counts: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Returns the identities that count, the number from 0 of each row's identity, and how many rows each has."""
    unique, boxes = np.unique(identity[counts], return_counts=True)
    return unique, np.searchsorted(unique, identity), boxes


def _check_identities(what: str, table: TrackTable) -> None:
    order = np.lexsort((table.track_id, table.frame))
    frame, identity = table.frame[order], table.track_id[order]
    twice = np.flatnonzero((np.diff(frame) == 0) & (np.diff(identity) == 0))
    if len(twice):
        at = twice[0]
        raise ValueError(f"{what}: got identity {identity[at]} twice in frame {frame[at]}; expected it once")


def _check_classes(ground_truth: TrackTable, benchmark: Benchmark) -> None:
    unknown = ~np.isin(ground_truth.class_id, CLASSES)
    if unknown.any():
        raise ValueError(
            f"ground truth: got class {ground_truth.class_id[unknown][0]}; expected {CLASSES.start} to "
            f"{CLASSES.stop - 1} on {benchmark}; score data without classes as MOT15"
        )


def _check_counted(ground_truth: TrackTable, keep: BoolArray, benchmark: Benchmark) -> None:
    """Raises ValueError for a ground truth with rows of which none is scored: every box would be a false alarm."""
    if keep.any() or not len(ground_truth):
        return
    classes, rows = np.unique(ground_truth.class_id, return_counts=True)
    found = ", ".join(f"class {number} in {count:,} rows" for number, count in zip(classes, rows))
    if ground_truth.ignore.all():
        raise ValueError(
            f"ground truth: got {found}, all marked to be ignored (0 as the seventh number); "
            "expected 1 there in the rows that count"
        )
    if (ground_truth.class_id == PEDESTRIAN).any():
        found += f"; those of class {PEDESTRIAN} are marked to be ignored (0 as the seventh number)"
    raise ValueError(
        f"ground truth: got no row that counts on {benchmark}: {found}; expected rows of class {PEDESTRIAN} "
        f"(pedestrian); write class {PEDESTRIAN} for those to score, or score every class with benchmark=MOT15"
    )
