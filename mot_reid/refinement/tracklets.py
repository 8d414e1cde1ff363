"""The rows of each track in the order of time."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, IntArray
from mot_reid.structures import TrackTable


def check_once(table: TrackTable) -> None:
    """Refuses a table in which somebody is in two places at once.

    Raises:
        ValueError: an identity appears twice in a frame.
    """
    for rows in table.rows_by_track().values():
        twice = np.flatnonzero(np.diff(table.frame[rows]) == 0)
        if len(twice):
            row = rows[twice[0]]
            raise ValueError(
                f"refine: got identity {table.track_id[row]} twice in frame {table.frame[row]}; expected it once"
            )


def present(embedding: Float32Array, rows: IntArray) -> IntArray:
    """Returns those of the rows that have an embedding."""
    return rows[~np.isnan(embedding[rows]).any(axis=1)]


def mean_embedding(embedding: Float32Array, rows: IntArray) -> FloatArray | None:
    """Returns the plain mean of the rows' embeddings, None where no row has one.

    The product of two such means is the mean cosine similarity of all pairs of a row here and a row there.
    """
    found = present(embedding, rows)
    return embedding[found].astype(np.float64).mean(axis=0) if len(found) else None
