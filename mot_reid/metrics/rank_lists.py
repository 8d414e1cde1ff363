"""What came first, and was it right? The best answers to single queries, for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.arrays import BoolArray, Float32Array, IntArray
from mot_reid.metrics.retrieval import JUNK, RetrievalResult, check_embedding, check_ids, unit_rows


@dataclass(frozen=True, slots=True, eq=False)
class RankList:
    """The K gallery images most similar to one query, most similar first, those that do not count included.

    Attributes:
        query: Row of the query.
        gallery: (K,) rows of the gallery.
        similarity: (K,) cosine similarities, falling.
        rank: (K,) rank from 1 among the images that count; 0 for those that do not: junk, and the query's own person
            seen by the query's own camera.
        match: (K,) bool, whether the image counts and shows the query's person.
    """

    query: int
    gallery: IntArray
    similarity: Float32Array
    rank: IntArray
    match: BoolArray

    @property
    def ignored(self) -> BoolArray:
        """(K,) bool, whether the image does not count."""
        return self.rank == 0

    @property
    def status(self) -> list[str]:
        """K times "match", "wrong" or "ignored"."""
        return [str(one) for one in np.where(self.ignored, "ignored", np.where(self.match, "match", "wrong"))]


def rank_lists(
    query_embedding: ArrayLike,
    gallery_embedding: ArrayLike,
    *,
    rows: ArrayLike,
    query_person_id: ArrayLike,
    gallery_person_id: ArrayLike,
    query_camera_id: ArrayLike | None = None,
    gallery_camera_id: ArrayLike | None = None,
    length: int = 10,
) -> list[RankList]:
    """Returns the beginning of the ranking of the chosen queries, by cosine and the rules of `evaluate_retrieval`.

    Args:
        query_embedding: (Q, D).
        gallery_embedding: (G, D).
        rows: Which queries.
        query_person_id: (Q,) integers.
        gallery_person_id: (G,) integers; -1 is junk.
        query_camera_id: (Q,) integers, or None when cameras are unknown.
        gallery_camera_id: (G,) integers, or None together with `query_camera_id`.
        length: K.

    Raises:
        ValueError: If shapes do not fit or an embedding is not finite or has no direction.
    """
    query = unit_rows("query_embedding", check_embedding("query_embedding", query_embedding))
    gallery = unit_rows("gallery_embedding", check_embedding("gallery_embedding", gallery_embedding, like=query))
    person = check_ids("query_person_id", query_person_id, len(query))
    gallery_person = check_ids("gallery_person_id", gallery_person_id, len(gallery))
    found = []
    for row in np.asarray(rows, dtype=np.int64):
        same = gallery_person == person[row]
        ignored = gallery_person == JUNK
        if query_camera_id is not None and gallery_camera_id is not None:
            ignored |= same & (np.asarray(gallery_camera_id) == np.asarray(query_camera_id)[row])
        similarity = gallery @ query[row]
        order = np.argsort(-similarity, kind="stable")[:length]
        counts = ~ignored[order]
        rank = np.where(counts, np.cumsum(counts), 0)
        found.append(RankList(int(row), order, similarity[order], rank, same[order] & counts))
    return found


def worst_and_best(
    result: RetrievalResult, query_person_id: ArrayLike, *, count: int, matches: ArrayLike | None = None
) -> tuple[IntArray, IntArray]:
    """Returns the rows of the queries with the lowest and with the highest average precision, of different persons.

    Among equals come first: of the worst those whose first match comes last, of the best those with more matches, and
    then the earlier row.

    Args:
        result: From `evaluate_retrieval`.
        query_person_id: (Q,) integers, those the result was computed with.
        count: How many of each; fewer where there are fewer persons.
        matches: (Q,) number of matches of each query in the gallery, see `count_matches`; None counts all the same.
    """
    person = np.asarray(query_person_id)
    many = np.ones(len(person)) if matches is None else np.asarray(matches)
    valid = np.flatnonzero(result.valid)
    rising = valid[np.lexsort((valid, -result.first_rank[valid], result.ap[valid]))]
    falling = valid[np.lexsort((valid, -many[valid], -result.ap[valid]))]
    return _of_different_persons(rising, person, count), _of_different_persons(falling, person, count)


def count_matches(
    *,
    query_person_id: ArrayLike,
    gallery_person_id: ArrayLike,
    query_camera_id: ArrayLike | None = None,
    gallery_camera_id: ArrayLike | None = None,
) -> IntArray:
    """Returns (Q,) how many gallery images match each query, its own camera's left out where cameras are given."""
    person, gallery_person = np.asarray(query_person_id), np.asarray(gallery_person_id)
    if query_camera_id is None or gallery_camera_id is None:
        return np.array([(gallery_person == one).sum() for one in person], dtype=np.int64)
    camera, gallery_camera = np.asarray(query_camera_id), np.asarray(gallery_camera_id)
    pairs = zip(person, camera)
    return np.array([((gallery_person == p) & (gallery_camera != c)).sum() for p, c in pairs], dtype=np.int64)


def _of_different_persons(rows: IntArray, person: IntArray, count: int) -> IntArray:
    _, first = np.unique(person[rows], return_index=True)
    return rows[np.sort(first)][:count]
