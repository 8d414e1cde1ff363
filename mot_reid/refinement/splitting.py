"""Tracks cut where they went over from one person to another."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, IntArray
from mot_reid.refinement.tracklets import present
from mot_reid.structures import TrackTable


def split_by_appearance(
    table: TrackTable, embedding: Float32Array, *, threshold: float, margin: float, least: int
) -> IntArray:
    """Returns (M,) identities: a track whose looks change for good goes on as somebody new.

    A track is cut where the boxes before and after differ most, if they differ more than one person does: their mean
    similarity is below the threshold, and below that within each side by a margin. New identities are larger than
    all others.

    Args:
        table: the tracks of one video.
        embedding: (M, D) unit vectors, NaN where there is none.
        threshold: least similarity of one person, as calibrated with the model.
        margin: by how much each side must be more alike than the two together; raise it to cut less.
        least: the fewest boxes with an embedding on each side.
    """
    identity = table.track_id.copy()
    newest = int(identity.max(initial=0))
    waiting = list(table.rows_by_track().values())
    while waiting:
        rows = waiting.pop()
        known = present(embedding, rows)
        at = _cut(embedding[known].astype(np.float64), threshold=threshold, margin=margin, least=least)
        if at is None:
            continue
        place = int(np.flatnonzero(rows == known[at])[0])
        newest += 1
        identity[rows[place:]] = newest
        waiting += [rows[:place], rows[place:]]
    return identity


def _cut(embedding: FloatArray, *, threshold: float, margin: float, least: int) -> int | None:
    """Returns the first row of the second person, None where there is one person only."""
    total = len(embedding)
    if total < 2 * least or least < 2:
        return None
    before = np.cumsum(embedding, axis=0)[least - 1 : total - least]
    after = embedding.sum(axis=0) - before
    count = np.arange(least, total - least + 1)
    other = total - count
    across = (before * after).sum(axis=1) / (count * other)
    first = ((before * before).sum(axis=1) - count) / (count * (count - 1))
    second = ((after * after).sum(axis=1) - other) / (other * (other - 1))
    apart = np.minimum(first, second) - across
    best = int(np.argmax(apart))
    return int(count[best]) if apart[best] > margin and across[best] < threshold else None
