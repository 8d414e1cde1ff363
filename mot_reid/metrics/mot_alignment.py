"""Are a ground truth and a result of the same frames and the same pixels? Scores do not tell: they are just low.

A result of resized images, of a cut video or with columns of another meaning gets scores like those of a very bad
tracker. So before anything is scored, the boxes are compared as they are and under the usual mistakes; a mistake that
explains them where they do not fit as they are is named.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.boxes import iou
from mot_reid.metrics.mot_rules import IOU_THRESHOLD
from mot_reid.structures import TrackTable

Pairs = list[tuple[FloatArray, FloatArray]]
"""Boxes of the people and of the result, frame by frame."""

_MOST_FRAMES = 60
"""Frames that are compared, spread over the sequence: a mistake is in all of them."""
_EXPLAINED, _GAIN = 0.3, 4.0
"""A mistake is sure if, without it, this share of the people is found, and this many times as many as with it."""
_SAME_SCALE = 0.02
_NEAR, _LIKE_SIZES, _MOST_PAIRS = 0.05, 0.35, 2000
_MISSING_SHARE, _FEWEST_MISSING = 0.1, 5


def refuse_other_pixels(truth: TrackTable, result: TrackTable) -> None:
    """Refuses a result whose boxes fit the ground truth only after a change that people forget.

    Args:
        truth: the rows of the ground truth that count.
        result: the boxes of the tracker.

    Raises:
        ValueError: If there is such a change: a factor, centres for corners, corners for sizes.
    """
    shared = np.intersect1d(truth.frame, result.frame)
    if not len(shared):
        return
    chosen = shared[np.linspace(0, len(shared) - 1, min(len(shared), _MOST_FRAMES)).astype(np.int64)]
    pairs = [(truth.xyxy[truth.frame == frame], result.xyxy[result.frame == frame]) for frame in chosen]
    now = _found(pairs)
    if now >= _EXPLAINED:  # nothing could be `_GAIN` times as good
        return
    share, text = max(
        ((_found(changed), text) for text, changed in _suspicions(pairs)), default=(0.0, ""), key=lambda found: found[0]
    )
    if share >= max(_EXPLAINED, _GAIN * now):
        raise ValueError(f"boxes: got {now:.0%} of the people covered, and {share:.0%} if {text}")


def missing_frames(truth: TrackTable, result: TrackTable) -> str | None:
    """Returns what is to be said of frames that only one side has, `None` where they are few.

    Args:
        truth: the rows of the ground truth that count.
        result: the boxes of the tracker.
    """
    people, boxes = np.unique(truth.frame), np.unique(result.frame)
    if not len(people) or not len(boxes):
        return None
    alone, extra = np.setdiff1d(people, boxes), np.setdiff1d(boxes, people)
    if len(alone) >= max(_FEWEST_MISSING, _MISSING_SHARE * len(people)):
        return (
            f"the result has no box in {len(alone)} of {len(people)} frames with people ({_spell(alone)}); all of them "
            "count as missed; check that the whole sequence was tracked, and that frames kept their numbers"
        )
    run = max((len(part) for part in _runs(extra)), default=0)  # here and there, nobody is in sight
    if run >= max(_FEWEST_MISSING, _MISSING_SHARE * len(boxes)):
        return (
            f"the result has boxes in {len(extra)} frames without people in the ground truth ({_spell(extra)}), "
            f"which has people in {len(people)}; all of these boxes count as false alarms; check that both are of the "
            "same part of the video, and that frames kept their numbers"
        )
    return None


def _found(pairs: Pairs) -> float:
    """Returns the share of people with a box on them."""
    found = people = 0
    for ours, theirs in pairs:
        people += len(ours)
        found += int((iou(ours, theirs).max(axis=1, initial=0) >= IOU_THRESHOLD).sum())
    return found / max(people, 1)


def _factor(pairs: Pairs) -> FloatArray:
    """Returns (2,) factors for x and y that put the boxes of the result on the people: those that most pairs ask for.

    A person and a box ask for the ratio of their centres, if their sizes have nearly the same.
    """
    ratios = [np.zeros((0, 2))]
    for ours, theirs in pairs:
        size = [np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9) for boxes in (ours, theirs)]
        centre = [np.maximum(boxes[:, :2] + boxes[:, 2:], 2e-9) / 2 for boxes in (ours, theirs)]
        ratio = centre[0][:, None] / centre[1]
        alike = np.abs(np.log(size[0][:, None] / size[1] / ratio)) < _LIKE_SIZES
        ratios.append(ratio[alike.all(axis=2)])
    asked = np.log(np.concatenate(ratios))
    if not len(asked):
        return np.ones(2)
    asked = asked[np.linspace(0, len(asked) - 1, min(len(asked), _MOST_PAIRS)).astype(np.int64)]
    alike = (np.abs(asked[:, None] - asked) < _NEAR).all(axis=2)
    return _refined(pairs, np.exp(np.median(asked[alike[alike.sum(axis=1).argmax()]], axis=0)))


def _refined(pairs: Pairs, factor: FloatArray) -> FloatArray:
    """Returns the factor from the centres of the boxes that it puts on people, which do not depend on how tight boxes
    are; one factor for both directions where they hardly differ.
    """
    for _ in range(3):
        centres = []
        for ours, theirs in _scaled(pairs, factor):
            row, column = np.nonzero(iou(ours, theirs) >= IOU_THRESHOLD)
            centres.append([(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (ours[row], theirs[column])])
        goal, now = (np.concatenate([pair[side] for pair in centres]) for side in (0, 1))
        if not len(goal):
            return factor
        factor = factor * (goal * now).sum(axis=0) / np.maximum((now * now).sum(axis=0), 1e-9)
    mean = np.sqrt(factor.prod())
    return np.full(2, mean) if np.abs(factor / mean - 1).max() < _SAME_SCALE else factor


def _scaled(pairs: Pairs, factor: FloatArray) -> Pairs:
    return [(ours, theirs * np.tile(factor, 2)) for ours, theirs in pairs]


def _suspicions(pairs: Pairs) -> Iterator[tuple[str, Pairs]]:
    """Yields what might be wrong, with the remedy, and the boxes without it."""
    factor = _factor(pairs)
    if np.abs(factor - 1).max() > _SAME_SCALE:
        across, down = (f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in factor)
        by = f"by {across}" if across == down else f"by {across} across and by {down} down"
        yield (
            (
                f"the boxes of the result are multiplied {by}; expected pixels of the same image size on both sides; "
                "scale the boxes of the result"
            ),
            _scaled(pairs, factor),
        )
    corners, centres = [], []
    for ours, theirs in pairs:
        size = theirs[:, 2:] - theirs[:, :2]
        corners.append((ours, np.concatenate((theirs[:, :2], np.maximum(size, theirs[:, :2])), axis=1)))
        centres.append((ours, theirs - np.tile(size / 2, 2)))
    rule = "expected left, top, width, height"
    yield f"its boxes are two corners, x1, y1, x2, y2; {rule}; write x2 - x1 and y2 - y1", corners
    yield f"its boxes begin with their centres; {rule}; subtract half of the width and half of the height", centres


def _runs(numbers: IntArray) -> list[IntArray]:
    """Returns rising numbers in parts without a gap."""
    return np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)


def _spell(numbers: IntArray) -> str:
    """Returns rising numbers of frames as ranges, the first three of them."""
    runs = _runs(numbers)
    texts = [f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:3]]
    return ", ".join(texts) + (", ..." if len(runs) > 3 else "")
