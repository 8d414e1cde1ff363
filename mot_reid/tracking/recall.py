"""Recognising a person who comes back, by appearance alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.tracking.appearance import Gallery, Memory
from mot_reid.tracking.assignment import gated
from mot_reid.tracking.store import Store

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def recall(
    store: Store, gallery: Gallery, memory: Memory, *, new: IntArray, dropped: BoolArray, gate: float, oldest: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """Gives new tracks the identities of lost people who look like them.

    Candidates are the lost tracks of the store and the people of the memory that left after `oldest`; the same
    class only; a pair needs a cosine similarity of `gate`. A lost track that is recognised is dropped (its successor
    goes on under its identity), a person of the memory leaves it.

    Args:
        new: `(k,)` positions of tracks that are about to receive an identity.
        dropped: `(n,)` changed in place.
        gate: least cosine similarity.
        oldest: time in frames.

    Returns:
        Positions of the recognised tracks, their identities, and the similarities; each `(j,)`.
    """
    memory.forget_before(oldest)
    lost = np.flatnonzero((store.missed > 0) & (store.track_id > 0) & (store.seen >= oldest))
    new = new[~np.isnan(gallery.mean[new, 0])] if gallery.dimension else new[:0]
    people = gallery.select(lost)
    people.extend(memory.gallery)
    if not len(new) or not len(people):
        return new[:0], new[:0], np.zeros(0)
    row, column = (part.ravel() for part in np.meshgrid(np.arange(len(new)), np.arange(len(people)), indexing="ij"))
    cosine = people.similarity(column, gallery.mean[new[row]])
    class_id = np.concatenate((store.class_id[lost], memory.class_id))
    alike = np.flatnonzero((cosine > gate) & (store.class_id[new[row]] == class_id[column]))
    chosen = alike[gated(row[alike], column[alike], 1.0 - cosine[alike], limit=1.0 - gate)]
    rows, found = new[row[chosen]], column[chosen]
    identity = np.concatenate((store.track_id[lost], memory.track_id))[found]
    store.track_id[rows] = identity
    gallery.inherit(rows, people.select(found))
    dropped[lost[found[found < len(lost)]]] = True
    left = np.setdiff1d(np.arange(len(memory)), found - len(lost))
    if len(left) < len(memory):
        memory.keep(left)
    return rows, identity, cosine[chosen]
