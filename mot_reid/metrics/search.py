"""The nearest of many: the most similar embeddings of a gallery, exactly, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.arrays import Float32Array, IntArray
from mot_reid.extras import missing
from mot_reid.metrics.retrieval import check_choice, check_embedding

_ENGINES = ("numpy", "faiss")
_SLICE = 65_536


def nearest(
    query: ArrayLike, gallery: ArrayLike, *, count: int = 10, engine: str = "numpy"
) -> tuple[IntArray, Float32Array]:
    """Returns the rows of the gallery that are most similar to each query, and how similar, the best first.

    The gallery is gone through in slices, so that a million rows need no room for all their similarities.

    Args:
        query: (Q, D) unit vectors.
        gallery: (G, D) unit vectors.
        count: K, or as many as there are.
        engine: "numpy", or "faiss" for its exact index, which is to be installed; the answers are the same but for
            rows that are equally similar.

    Returns:
        (Q, K) int64 rows and (Q, K) float32 cosine similarities, falling.

    Raises:
        ValueError: if shapes do not fit, an embedding is not finite, or a choice is unknown.
        ImportError: if FAISS is asked for and not installed.
    """
    asked = check_embedding("query", query)
    people = check_embedding("gallery", gallery, like=asked)
    check_choice("engine", engine, _ENGINES)
    if count < 1:
        raise ValueError(f"count: got {count}; expected 1 or more")
    count = min(count, len(people))
    return _by_faiss(asked, people, count) if engine == "faiss" else _by_numpy(asked, people, count)


def _by_numpy(query: Float32Array, gallery: Float32Array, count: int) -> tuple[IntArray, Float32Array]:
    row = np.zeros((len(query), 0), np.int64)
    similarity = np.zeros((len(query), 0), np.float32)
    for start in range(0, len(gallery), _SLICE):
        part = query @ gallery[start : start + _SLICE].T
        chosen = np.argpartition(part, -min(count, part.shape[1]), axis=1)[:, -count:]
        row = np.hstack([row, chosen + start])
        similarity = np.hstack([similarity, np.take_along_axis(part, chosen, axis=1)])
    order = np.lexsort((row, -similarity), axis=1)[:, :count]
    return np.take_along_axis(row, order, axis=1), np.take_along_axis(similarity, order, axis=1)


def _by_faiss(query: Any, gallery: Any, count: int) -> tuple[IntArray, Float32Array]:
    try:
        import faiss
    except ImportError:
        raise missing("faiss", "search") from None
    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    similarity, row = index.search(query, count)
    return row, similarity
