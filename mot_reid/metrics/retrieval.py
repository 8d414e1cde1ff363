"""How well do queries find their person in a gallery? CMC, AP, mAP and mINP under the rules of Market-1501.

The protocol, in one place:

- gallery images with person_id -1 are junk: they are left out and change nothing;
- gallery images of an identity that no query has (the distractors, person_id 0 in Market-1501) stay and hurt;
- gallery images of the query's own person taken by the query's own camera are left out for that query;
- without camera ids nothing is left out for its camera;
- a query that has no match left is invalid: it is not counted, neither as right nor as wrong;
- equally similar gallery images keep the order of the gallery (a stable sort).

To evaluate a set against itself, give every image a camera id of its own: then each query leaves out only itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mot_reid.arrays import BoolArray, Float32Array, IntArray

Metric = Literal["cosine", "euclidean"]
AveragePrecision = Literal["plain", "trapezoid"]

JUNK = -1
DISTRACTOR = 0
BLOCK_ELEMENTS = 2**23
"""Similarities held at a time (float32: 32 MB); bounds the memory and does not change the result."""
ROWS_PER_TASK = 32

Similarity = Callable[[slice], NDArray[np.floating]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RetrievalResult:
    """Scores of a retrieval run. All scores are fractions; all arrays are read-only.

    Attributes:
        cmc: (R,) share of valid queries with a match among the first 1, 2, .. R gallery images.
        mean_ap: Mean of `ap` over the valid queries (mAP).
        mean_inp: Mean of `inp` over the valid queries (mINP).
        ap: (Q,) average precision of each query, NaN where invalid.
        inp: (Q,) inverse negative penalty of each query: matches / rank of the last match, NaN where invalid.
        first_rank: (Q,) rank, from 1, of the first match of each query; 0 where invalid.
        valid: (Q,) bool, whether the query has a match in the gallery.
    """

    cmc: NDArray[np.float64]
    mean_ap: float
    mean_inp: float
    ap: NDArray[np.float64]
    inp: NDArray[np.float64]
    first_rank: IntArray
    valid: BoolArray

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __repr__(self) -> str:
        ranks = "".join(f"Rank-{k} {self.rank(k):.2%}, " for k in (1, 5) if k <= len(self.cmc))
        invalid = len(self.valid) - int(self.valid.sum())
        left_out = f" ({invalid:,} of them without a match)" if invalid else ""
        return (
            f"RetrievalResult({ranks}mAP {self.mean_ap:.2%}, mINP {self.mean_inp:.2%}, "
            f"{len(self.valid):,} queries{left_out})"
        )

    def rank(self, k: int) -> float:
        """Returns Rank-k: the share of valid queries with a match among the first k gallery images.

        Raises:
            ValueError: If k is not among the ranks that were computed.
        """
        if not 1 <= k <= len(self.cmc):
            raise ValueError(f"rank: got {k}; expected 1 to {len(self.cmc)}; evaluate with a larger max_rank")
        return float(self.cmc[k - 1])


def evaluate_retrieval(
    query_embedding: ArrayLike,
    gallery_embedding: ArrayLike,
    *,
    query_person_id: ArrayLike,
    gallery_person_id: ArrayLike,
    query_camera_id: ArrayLike | None = None,
    gallery_camera_id: ArrayLike | None = None,
    metric: Metric = "cosine",
    average_precision: AveragePrecision = "plain",
    max_rank: int = 50,
) -> RetrievalResult:
    """Returns CMC, AP, mAP and mINP of queries searched in a gallery, by the rules above.

    Similarities are computed in float32, block by block, so the memory does not grow with Q x G.

    Args:
        query_embedding: (Q, D) one embedding per query; need not have unit length.
        gallery_embedding: (G, D).
        query_person_id: (Q,) integers.
        gallery_person_id: (G,) integers; -1 is junk.
        query_camera_id: (Q,) integers, or None when cameras are unknown.
        gallery_camera_id: (G,) integers, or None together with `query_camera_id`.
        metric: "cosine" similarity, or "euclidean" distance of the embeddings as given.
        average_precision: "plain" is the mean of the precisions at the matches (torchreid, fast-reid and most papers);
            "trapezoid" is that of Market-1501's own MATLAB code, 0.5 to 1.0 points of mAP lower there.
        max_rank: R, the length of the CMC.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, an embedding has no direction ("cosine"),
            an option is unknown or no query has a match.

    Reference:
        Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015 (protocol);
        Ye et al., Deep Learning for Person Re-identification: A Survey and Outlook, TPAMI 2021 (mINP).
    """
    query = check_embedding("query_embedding", query_embedding)
    gallery = check_embedding("gallery_embedding", gallery_embedding, like=query)
    people = _people((len(query), len(gallery)), query_person_id, gallery_person_id, query_camera_id, gallery_camera_id)
    gallery = gallery if people.keep is None else gallery[people.keep]
    check_choice("metric", metric, ("cosine", "euclidean"))
    if metric == "cosine":
        query, gallery = unit_rows("query_embedding", query), unit_rows("gallery_embedding", gallery)
        shift = None
    else:
        # |q - g|^2 = |q|^2 - 2 (q.g - |g|^2 / 2): the same order for one query, and half of the work
        shift = 0.5 * np.einsum("gd,gd->g", gallery, gallery)

    def similarity(rows: slice) -> Float32Array:
        block = query[rows] @ gallery.T
        if shift is not None:
            block -= shift
        return block

    return _evaluate(similarity, people, average_precision, max_rank)


def evaluate_distances(
    distance: ArrayLike,
    *,
    query_person_id: ArrayLike,
    gallery_person_id: ArrayLike,
    query_camera_id: ArrayLike | None = None,
    gallery_camera_id: ArrayLike | None = None,
    average_precision: AveragePrecision = "plain",
    max_rank: int = 50,
) -> RetrievalResult:
    """Returns the same scores as `evaluate_retrieval` from distances already computed, such as re-ranked ones.

    Args:
        distance: (Q, G) smaller is more alike; any unit.
        query_person_id: (Q,) integers.
        gallery_person_id: (G,) integers; -1 is junk.
        query_camera_id: (Q,) integers, or None when cameras are unknown.
        gallery_camera_id: (G,) integers, or None together with `query_camera_id`.
        average_precision: "plain" or "trapezoid", see `evaluate_retrieval`.
        max_rank: R, the length of the CMC.

    Raises:
        ValueError: If shapes do not fit, a distance is not finite, an option is unknown or no query has a match.
    """
    given = np.asarray(distance)
    if given.ndim != 2:
        raise ValueError(f"distance: got shape {given.shape}; expected (queries, gallery)")
    given = given if given.dtype in (np.float32, np.float64) else given.astype(np.float64)
    people = _people(given.shape, query_person_id, gallery_person_id, query_camera_id, gallery_camera_id)

    def similarity(rows: slice) -> NDArray[np.floating]:
        block = np.negative(given[rows] if people.keep is None else given[rows][:, people.keep])
        if not np.isfinite(block).all():
            raise ValueError("distance: got NaN or infinity; expected finite numbers")
        return block

    return _evaluate(similarity, people, average_precision, max_rank)


@dataclass(frozen=True, slots=True)
class _People:
    """Who is where: checked ids, the gallery without junk, sorted by person for look-up.

    Attributes:
        keep: Rows of the gallery as given that are not junk, None when none is.
        order: (G,) gallery columns sorted by person, stable.
        begin, end: (Q,) where in `order` the gallery images of the query's person lie.
    """

    keep: IntArray | None
    query_camera: IntArray | None
    gallery_camera: IntArray | None
    order: IntArray
    begin: IntArray
    end: IntArray

    def same_person(self, row: int) -> tuple[IntArray, IntArray]:
        """Returns the gallery columns that match a query, and those left out because they share its camera."""
        column = self.order[self.begin[row] : self.end[row]]
        if self.query_camera is None or self.gallery_camera is None:
            return column, column[:0]
        left_out = self.gallery_camera[column] == self.query_camera[row]
        return column[~left_out], column[left_out]


def _people(
    shape: tuple[int, ...],
    query_person_id: ArrayLike,
    gallery_person_id: ArrayLike,
    query_camera_id: ArrayLike | None,
    gallery_camera_id: ArrayLike | None,
) -> _People:
    queries, galleries = shape
    query_person = check_ids("query_person_id", query_person_id, queries)
    gallery_person = check_ids("gallery_person_id", gallery_person_id, galleries)
    if (query_camera_id is None) != (gallery_camera_id is None):
        missing = "query_camera_id" if query_camera_id is None else "gallery_camera_id"
        raise ValueError(f"{missing}: got None; expected camera ids on both sides; give both or neither")
    query_camera = None if query_camera_id is None else check_ids("query_camera_id", query_camera_id, queries)
    gallery_camera = None if gallery_camera_id is None else check_ids("gallery_camera_id", gallery_camera_id, galleries)
    keep = None
    if (gallery_person == JUNK).any():
        keep = np.flatnonzero(gallery_person != JUNK)
        gallery_person = gallery_person[keep]
        gallery_camera = None if gallery_camera is None else gallery_camera[keep]
    order = np.argsort(gallery_person, kind="stable")
    person = gallery_person[order]
    begin, end = np.searchsorted(person, query_person, "left"), np.searchsorted(person, query_person, "right")
    return _People(keep, query_camera, gallery_camera, order, begin, end)


def _evaluate(
    similarity: Similarity, people: _People, average_precision: AveragePrecision, max_rank: int
) -> RetrievalResult:
    check_choice("average_precision", average_precision, ("plain", "trapezoid"))
    if max_rank < 1:
        raise ValueError(f"max_rank: got {max_rank}; expected at least 1")
    queries = len(people.begin)
    ap, inp = np.full(queries, np.nan), np.full(queries, np.nan)
    first_rank = np.zeros(queries, dtype=np.int64)
    for row, rank in _ranks_of_matches(similarity, people):
        if not len(rank):
            continue
        found = np.arange(1, len(rank) + 1)
        precision = found / rank
        if average_precision == "trapezoid":
            before = np.where(rank > 1, (found - 1) / np.maximum(rank - 1, 1), 1.0)
            precision = 0.5 * (before + precision)
        ap[row], inp[row], first_rank[row] = precision.mean(), len(rank) / rank[-1], rank[0]
    valid = first_rank > 0
    if not valid.any():
        raise ValueError(
            f"query_person_id: got {queries} queries without a match; expected at least one whose person is in "
            "the gallery and, where cameras are given, seen by another camera"
        )
    hits = np.bincount(np.minimum(first_rank[valid], max_rank + 1), minlength=max_rank + 2)[1:-1]
    cmc = np.cumsum(hits) / valid.sum()
    return RetrievalResult(cmc, float(ap[valid].mean()), float(inp[valid].mean()), ap, inp, first_rank, valid)


def _ranks_of_matches(similarity: Similarity, people: _People) -> Iterator[tuple[int, IntArray]]:
    """Yields each query with the ranks, from 1 and ascending, of its matches among the gallery images that count."""
    queries, galleries = len(people.begin), len(people.order)
    step = max(1, BLOCK_ELEMENTS // max(galleries, 1))
    # sorting leaves the interpreter lock, so threads help; the blocks in between use the threads of BLAS
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, queries, step):
            block = similarity(slice(start, min(start + step, queries)))
            tasks = range(0, len(block), ROWS_PER_TASK)
            for part in pool.map(partial(_rank_rows, block, start, people), tasks):
                yield from part


def _rank_rows(block: NDArray[np.floating], start: int, people: _People, at: int) -> list[tuple[int, IntArray]]:
    block, start = block[at : at + ROWS_PER_TASK], start + at
    matches = []
    for i, row in enumerate(block):
        match, left_out = people.same_person(start + i)
        row[left_out] = -np.inf
        matches.append(match)
    ordered = np.sort(block, axis=1)
    return [(start + i, _rank_row(row, ordered[i], match)) for i, (row, match) in enumerate(zip(block, matches))]


def _rank_row(row: NDArray[np.floating], ordered: NDArray[np.floating], match: IntArray) -> IntArray:
    """Returns the ranks of the matches: one more than the images before them, where equals go by column."""
    score = row[match]
    first_equal, after = np.searchsorted(ordered, score, "left"), np.searchsorted(ordered, score, "right")
    rank = len(row) - after + 1
    for tied in np.flatnonzero(after - first_equal > 1):
        rank[tied] += np.count_nonzero(row[: match[tied]] == score[tied])
    return np.sort(rank)


def check_embedding(name: str, value: ArrayLike, *, like: Float32Array | None = None) -> Float32Array:
    """Returns the value as float32 (N, D), or says what is wrong with it.

    Raises:
        ValueError: If it is not a finite, non-empty matrix, or not as wide as `like`.
    """
    array = np.ascontiguousarray(value, dtype=np.float32)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name}: got shape {array.shape}; expected (images, dimensions), neither of them 0")
    if like is not None and array.shape[1] != like.shape[1]:
        raise ValueError(
            f"{name}: got {array.shape[1]} columns; expected the query's {like.shape[1]}; "
            "embed both with the same model"
        )
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{name}: got NaN or infinity in {bad.sum()} rows, first in row {bad.argmax()}; expected finite"
        )
    return array


def unit_rows(name: str, embedding: Float32Array) -> Float32Array:
    """Returns the rows scaled to length 1.

    Raises:
        ValueError: If a row has length 0.
    """
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    if not length.all():
        raise ValueError(f"{name}: got a vector of length 0 in row {length.argmin()}; expected a direction")
    return embedding / length


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises ValueError unless the value is one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name}: got '{value}'; expected one of {', '.join(allowed)}")


def check_ids(name: str, value: ArrayLike, length: int) -> IntArray:
    """Returns the value as int64 (length,), or says what is wrong with it.

    Raises:
        ValueError: If it has another shape or is not integer.
    """
    array = np.asarray(value)
    if array.shape != (length,):
        raise ValueError(f"{name}: got shape {array.shape}; expected ({length},), one per image")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name}: got {array.dtype}; expected integers")
    return array.astype(np.int64)
