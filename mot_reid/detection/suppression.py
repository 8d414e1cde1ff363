"""Of boxes that show the same thing, the best one."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.boxes import iou


def suppress(xyxy: FloatArray, score: FloatArray, class_id: IntArray, *, limit: float, most: int = 300) -> IntArray:
    """Returns the rows that greedy non-maximum suppression keeps, best first.

    Args:
        xyxy: (N, 4) boxes.
        score: (N,) confidence; of equal ones the earlier row comes first.
        class_id: (N,); boxes of different classes leave each other alone.
        limit: IoU above which the worse of two boxes goes.
        most: rows kept at most.
    """
    left = np.argsort(-score, kind="stable")
    kept: list[int] = []
    while len(left) and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        same = (class_id[left] == class_id[best]) & (iou(xyxy[best], xyxy[left])[0] > limit)
        left = left[~same]
    return np.array(kept, dtype=np.int64)
