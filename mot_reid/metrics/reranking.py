"""Better rankings from the same embeddings: k-reciprocal re-ranking and query expansion.

Both look at who is near whom among all images, so they help on a fixed gallery; they are no part of the embedding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from mot_reid.arrays import Float32Array
from mot_reid.metrics.retrieval import Metric, check_choice, check_embedding, unit_rows

BLOCK_ELEMENTS = 2**24
"""Distances held at a time (float32: 64 MB); bounds the memory."""
ROWS_PER_TASK = 64


def rerank(
    query_embedding: ArrayLike,
    gallery_embedding: ArrayLike,
    *,
    k1: int = 20,
    k2: int = 6,
    distance_weight: float = 0.3,
    metric: Metric = "cosine",
) -> Float32Array:
    """Returns (Q, G) k-reciprocal distances, smaller is more alike, for `evaluate_distances`.

    Two images are near when they have the same images among their reciprocal neighbours: the result is
    `(1 - distance_weight) * jaccard + distance_weight * d / max(d)`, where d is the fourth power of the Euclidean
    distance. (The original code squares the squared distance; the published numbers have it, so it is kept.)
    Neighbourhoods are sparse matrices and distances come in blocks, so apart from the result, memory grows with Q + G.

    Args:
        query_embedding: (Q, D).
        gallery_embedding: (G, D); leave out junk before the call, as it would vote.
        k1: Size of the neighbourhood.
        k2: Number of nearest images, the image itself included, whose neighbourhoods are averaged; 1 averages nothing.
        distance_weight: Share of the plain distance, 0 to 1 (lambda in the paper).
        metric: "cosine" makes the embeddings unit length first; "euclidean" takes them as given.

    Raises:
        ValueError: If shapes do not fit, a value is not finite or an option is out of range.

    Reference:
        Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017, section 3.
    """
    queries, points = _points(query_embedding, gallery_embedding, metric)
    _check_options(k1, k2, distance_weight)
    nearest, longest, result = _neighbours(points, queries, min(k1 + 1, len(points)))
    result *= np.float32(distance_weight)
    features = _encode(points, nearest, longest, k1)
    if k2 > 1:
        features = _membership(nearest[:, :k2]) @ features / np.float32(min(k2, nearest.shape[1]))
    _add_jaccard(result, features.tocsr(), queries, np.float32(1 - distance_weight))
    return result


def expand_queries(
    query_embedding: ArrayLike, gallery_embedding: ArrayLike, *, neighbours: int = 5, alpha: float = 3.0
) -> Float32Array:
    """Returns (Q, D) unit embeddings of queries, each averaged with its nearest gallery images.

    Args:
        query_embedding: (Q, D).
        gallery_embedding: (G, D); leave out junk before the call.
        neighbours: How many gallery images join each query.
        alpha: They join with weight similarity ** alpha (negative similarities with none); 0 is the plain average.

    Raises:
        ValueError: If shapes do not fit, a value is not finite or an option is out of range.

    Reference:
        Chum et al., Total Recall, ICCV 2007 (the average); Radenović et al., Fine-tuning CNN Image Retrieval with No
        Human Annotation, TPAMI 2019, section 3.2 (alpha).
    """
    queries, points = _points(query_embedding, gallery_embedding, "cosine")
    if neighbours < 1 or alpha < 0:
        raise ValueError(f"neighbours, alpha: got {neighbours}, {alpha}; expected at least 1 and at least 0")
    query, gallery = points[:queries], points[queries:]
    count = min(neighbours, len(gallery))
    expanded = query.copy()
    for rows in _blocks(len(query), len(gallery)):
        similarity = query[rows] @ gallery.T
        found = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        weight = np.maximum(np.take_along_axis(similarity, found, axis=1), 0) ** np.float32(alpha)
        expanded[rows] += np.einsum("qk,qkd->qd", weight, gallery[found])
    return unit_rows("query_embedding", expanded)


def _points(query_embedding: ArrayLike, gallery_embedding: ArrayLike, metric: Metric) -> tuple[int, Float32Array]:
    """Returns the number of queries, and queries and gallery in one array."""
    check_choice("metric", metric, ("cosine", "euclidean"))
    query = check_embedding("query_embedding", query_embedding)
    gallery = check_embedding("gallery_embedding", gallery_embedding, like=query)
    if metric == "cosine":
        query, gallery = unit_rows("query_embedding", query), unit_rows("gallery_embedding", gallery)
    return len(query), np.concatenate([query, gallery])


def _check_options(k1: int, k2: int, distance_weight: float) -> None:
    if not 1 <= k2 <= k1 + 1:
        raise ValueError(f"k1, k2: got {k1}, {k2}; expected 1 <= k2 <= k1 + 1")
    if not 0 <= distance_weight <= 1:
        raise ValueError(f"distance_weight: got {distance_weight}; expected 0 to 1")


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, BLOCK_ELEMENTS // columns)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def _neighbours(points: Float32Array, queries: int, count: int) -> tuple[NDArray[np.int32], Float32Array, Float32Array]:
    """Returns the nearest images, nearest first (N, count), the largest distance (N,) and the plain term of the result.

    The plain term is (Q, G): distance from query to gallery over the query's largest.
    """
    square = np.einsum("nd,nd->n", points, points)
    nearest = np.empty((len(points), count), dtype=np.int32)
    longest = np.empty(len(points), dtype=np.float32)
    result = np.empty((queries, len(points) - queries), dtype=np.float32)

    def settle(block: Float32Array, start: int, at: int) -> None:
        part = block[at : at + ROWS_PER_TASK]
        rows = slice(start + at, start + at + len(part))
        part *= -2
        part += square
        part += square[rows, None]
        np.maximum(part, 0, out=part)
        part *= part
        part[np.arange(len(part)), np.arange(rows.start, rows.stop)] = -1  # itself first, even among copies
        longest[rows] = np.maximum(part.max(axis=1), np.finfo(np.float32).tiny)
        found = np.argpartition(part, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(part, found, axis=1), axis=1)
        nearest[rows] = np.take_along_axis(found, order, axis=1)
        seen = max(0, min(queries, rows.stop) - rows.start)
        result[rows.start : rows.start + seen] = part[:seen, queries:] / longest[rows][:seen, None]

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for rows in _blocks(len(points), len(points)):
            block = points[rows] @ points.T
            list(pool.map(partial(settle, block, rows.start), range(0, len(block), ROWS_PER_TASK)))
    return nearest, longest, result


def _membership(nearest: NDArray[np.int32]) -> sparse.csr_array:
    """Returns the (N, N) matrix with a one where the column is among the row's nearest."""
    rows, count = nearest.shape
    start = np.arange(0, rows * count + 1, count)
    return sparse.csr_array((np.ones(rows * count, dtype=np.float32), nearest.ravel(), start), shape=(rows, rows))


def _encode(points: Float32Array, nearest: NDArray[np.int32], longest: Float32Array, k1: int) -> sparse.csr_array:
    """Returns (N, N) sparse features: each image as weights over its expanded reciprocal neighbours, summing to 1."""
    member, half = _membership(nearest), _membership(nearest[:, : round(k1 / 2) + 1])
    reciprocal, half_reciprocal = member.multiply(member.T).tocsr(), half.multiply(half.T).tocsr()
    # a neighbour brings its own (smaller) neighbourhood along when two thirds of it are neighbours already
    shared = (reciprocal @ half_reciprocal.T).multiply(reciprocal).tocoo()
    size = half_reciprocal.sum(axis=1)
    brings = 3 * shared.data > 2 * size[shared.col]
    chosen = sparse.csr_array((shared.data[brings], (shared.row[brings], shared.col[brings])), shape=shared.shape)
    features = (reciprocal + chosen @ half_reciprocal).tocsr()
    features.sort_indices()
    row = np.repeat(np.arange(len(points)), np.diff(features.indptr))
    features.data = np.exp(-_pair_distance(points, row, features.indices) / longest[row])
    total = np.add.reduceat(features.data, features.indptr[:-1])
    features.data /= total[row]
    return features


def _pair_distance(points: Float32Array, left: NDArray[np.integer], right: NDArray[np.integer]) -> Float32Array:
    """Returns the fourth power of the distance of pairs of points, in chunks."""
    distance = np.empty(len(left), dtype=np.float32)
    step = max(1, BLOCK_ELEMENTS // (4 * points.shape[1]))
    for start in range(0, len(left), step):
        part = slice(start, start + step)
        gap = points[left[part]]
        gap -= points[right[part]]
        distance[part] = np.einsum("pd,pd->p", gap, gap)
    return distance * distance


def _add_jaccard(result: Float32Array, features: sparse.csr_array, queries: int, weight: np.float32) -> None:
    """Adds the weighted Jaccard distance of queries and gallery, given their features, to the result."""
    gallery = features[queries:].tocsc()

    def settle(at: int) -> None:
        for i in range(at, min(at + ROWS_PER_TASK, queries)):
            own = slice(features.indptr[i], features.indptr[i + 1])
            begin, end = gallery.indptr[features.indices[own]], gallery.indptr[features.indices[own] + 1]
            length = end - begin
            # the rows of all columns that this query uses, one after the other
            where = np.repeat(end - np.cumsum(length), length) + np.arange(length.sum())
            shared = np.minimum(np.repeat(features.data[own], length), gallery.data[where])
            overlap = np.bincount(gallery.indices[where], weights=shared, minlength=result.shape[1])
            result[i] += weight * (1 - overlap / (2 - overlap)).astype(np.float32)

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(settle, range(0, queries, ROWS_PER_TASK)))
