"""What later trackers look at besides overlap and embeddings: heights, scores, and where the four corners go.

Pure functions of the columns of pairs: arrays of K values, one for each pair.
"""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import FloatArray

# The x and the y of the corners left top, left bottom, right top, right bottom of a box x1, y1, x2, y2.
_X, _Y = [0, 0, 2, 2], [1, 3, 1, 3]


def height_overlap(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns the `(K,)` IoU of the vertical extents of boxes `(4, K)` and as many others.

    Reference:
        Yang et al., Hybrid-SORT: Weak Cues Matter for Online Multi-Object Tracking, AAAI 2024, section 3.4.
    """
    shared = np.minimum(first[3], second[3]) - np.maximum(first[1], second[1])
    whole = np.maximum(first[3], second[3]) - np.minimum(first[1], second[1])
    return np.clip(shared / whole, 0.0, 1.0)


def corner_steps(start: FloatArray, end: FloatArray) -> FloatArray:
    """Returns the `(4, 2, K)` directions, x and y, of the corners from boxes `(4, K)` to others; NaN is zero."""
    step = end - start
    x, y = step[_X], step[_Y]
    length = np.sqrt(x**2 + y**2) + 1e-5
    return np.nan_to_num(np.stack((x / length, y / length), axis=1))


def corner_directions(path: FloatArray, box: FloatArray) -> FloatArray:
    """Returns the `(4, 2, K)` mean directions from earlier boxes to `box`; those long ago weigh less.

    Args:
        path: `(span, 4, K)` boxes of the last updates, oldest first, NaN where unseen.
        box: `(4, K)` box now.
    """
    span = len(path)
    steps = [corner_steps(path[-back], box) / back for back in range(1, span + 1)]
    return np.sum(steps, axis=0) / span


def turn(directions: FloatArray, steps: FloatArray) -> FloatArray:
    """Returns the `(K,)` mean angle of the corners between directions and steps `(4, 2, K)`; 1 is 180 degrees."""
    cosine = np.clip((directions * steps).sum(axis=1), -1.0, 1.0)
    return np.arccos(cosine).mean(axis=0) / np.pi
