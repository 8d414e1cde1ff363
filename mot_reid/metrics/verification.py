"""How alike are two images of one person, and of two? Similarities of pairs, and the ROC they give.

Pairs are chosen so that they ask the question of re-identification:

- genuine: the same person, seen by two different cameras (by any two images where cameras are unknown);
- impostor: two different persons, by any cameras;
- neither: the same person by the same camera (too easy), two distractors (person_id 0: nobody knows who they are),
  and every pair with junk (person_id -1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mot_reid.arrays import Float32Array, IntArray
from mot_reid.metrics.retrieval import DISTRACTOR, JUNK, check_embedding, check_ids, unit_rows

BINS = 2**15
"""Bins of the cosine similarity between -1 and 1: a threshold is known to 0.00006, its rates exactly."""
BLOCK_ELEMENTS = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """Rates at every threshold: a pair matches when its similarity is at least the threshold.

    Attributes:
        threshold: (N,) cosine similarities, rising.
        true_match_rate: (N,) share of genuine pairs that match, falling.
        false_match_rate: (N,) share of impostor pairs that match, falling.
        genuine: Number of genuine pairs.
        impostor: Number of impostor pairs.
    """

    threshold: NDArray[np.float64]
    true_match_rate: NDArray[np.float64]
    false_match_rate: NDArray[np.float64]
    genuine: int
    impostor: int

    def at(self, false_match_rate: float) -> int:
        """Returns the index of the lowest threshold whose false-match rate is at most the given one."""
        # the rates fall, so their negatives are sorted; the highest threshold always lets nothing through
        return int(np.searchsorted(-self.false_match_rate, -false_match_rate, side="left"))

    @property
    def equal_error_rate(self) -> float:
        """The rate at which as many impostors match as genuine pairs do not."""
        missed = 1 - self.true_match_rate
        nearest = int(np.argmin(np.abs(self.false_match_rate - missed)))
        return float((self.false_match_rate[nearest] + missed[nearest]) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class PairSimilarities:
    """Counts of the cosine similarities of pairs, in bins of equal width from -1 to 1.

    Attributes:
        genuine: (B,) counts of pairs of one person.
        impostor: (B,) counts of pairs of two persons.
    """

    genuine: IntArray
    impostor: IntArray

    @property
    def edges(self) -> NDArray[np.float64]:
        """(B + 1,) edges of the bins."""
        return np.linspace(-1, 1, len(self.genuine) + 1)

    def rebin(self, bins: int) -> PairSimilarities:
        """Returns the same counts in fewer bins, to draw them.

        Raises:
            ValueError: If the number of bins does not divide the present one.
        """
        if bins < 1 or len(self.genuine) % bins:
            raise ValueError(f"bins: got {bins}; expected a divisor of {len(self.genuine)}, such as 128")
        return PairSimilarities(self.genuine.reshape(bins, -1).sum(axis=1), self.impostor.reshape(bins, -1).sum(axis=1))

    def roc(self) -> Roc:
        """Returns the rates at every edge of the bins.

        Raises:
            ValueError: If there are no genuine or no impostor pairs.
        """
        for name, counts in (("genuine", self.genuine), ("impostor", self.impostor)):
            if not counts.any():
                raise ValueError(
                    f"pairs: got no {name} pair; expected at least two persons, one of them seen by two cameras"
                )
        # of an edge, the pairs in the bins above it match; above the last edge there are none
        above = [np.append(np.cumsum(counts[::-1])[::-1], 0) for counts in (self.genuine, self.impostor)]
        true_match, false_match = (counts / counts[0] for counts in above)
        return Roc(self.edges, true_match, false_match, int(above[0][0]), int(above[1][0]))


def similarities_between(
    query_embedding: ArrayLike,
    gallery_embedding: ArrayLike,
    *,
    query_person_id: ArrayLike,
    gallery_person_id: ArrayLike,
    query_camera_id: ArrayLike | None = None,
    gallery_camera_id: ArrayLike | None = None,
) -> PairSimilarities:
    """Returns the similarities of all pairs of a query and a gallery image, counted block by block.

    Args:
        query_embedding: (Q, D), any length.
        gallery_embedding: (G, D).
        query_person_id: (Q,) integers; -1 is junk, 0 a distractor.
        gallery_person_id: (G,) integers.
        query_camera_id: (Q,) integers, or None when cameras are unknown.
        gallery_camera_id: (G,) integers, or None together with `query_camera_id`.

    Raises:
        ValueError: If shapes do not fit or an embedding is not finite or has no direction.
    """
    query = check_embedding("query_embedding", query_embedding)
    gallery = check_embedding("gallery_embedding", gallery_embedding, like=query)
    if (query_camera_id is None) != (gallery_camera_id is None):
        raise ValueError("camera_id: got cameras on one side; expected camera ids on both sides; give both or neither")
    first = _Images("query", query, query_person_id, query_camera_id)
    second = _Images("gallery", gallery, gallery_person_id, gallery_camera_id)
    return _count(first, second, within=False)


def similarities_within(
    embedding: ArrayLike, *, person_id: ArrayLike, camera_id: ArrayLike | None = None
) -> PairSimilarities:
    """Returns the similarities of all pairs of two images of one set, each pair once, counted block by block.

    Args:
        embedding: (N, D), any length.
        person_id: (N,) integers; -1 is junk, 0 a distractor.
        camera_id: (N,) integers, or None when cameras are unknown.

    Raises:
        ValueError: If shapes do not fit or an embedding is not finite or has no direction.
    """
    images = _Images("", check_embedding("embedding", embedding), person_id, camera_id)
    return _count(images, images, within=True)


class _Images:
    """Unit embeddings of all images but junk, with their ids."""

    def __init__(self, side: str, embedding: Float32Array, person_id: ArrayLike, camera_id: ArrayLike | None) -> None:
        prefix = f"{side}_" if side else ""
        person = check_ids(f"{prefix}person_id", person_id, len(embedding))
        keep = person != JUNK
        self.person = person[keep]
        self.camera = None
        if camera_id is not None:
            self.camera = check_ids(f"{prefix}camera_id", camera_id, len(embedding))[keep]
        self.unit = unit_rows(f"{prefix}embedding", embedding[keep])

    def __len__(self) -> int:
        return len(self.person)


def _count(first: _Images, second: _Images, *, within: bool) -> PairSimilarities:
    genuine, impostor = np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64)
    for rows, columns in _blocks(len(first), len(second), within=within):
        similarity = first.unit[rows] @ second.unit[columns].T
        similarity += 1
        similarity *= BINS / 2
        # one bin more, for what is counted nowhere
        code = np.clip(similarity, 0, BINS - 1, out=similarity).astype(np.intp)
        if within:
            code[:, : len(code)][np.tril_indices(len(code))] = BINS
        row, column = np.nonzero(first.person[rows, None] == second.person[columns])
        known = first.person[rows][row] != DISTRACTOR
        if first.camera is not None and second.camera is not None:
            known &= first.camera[rows][row] != second.camera[columns][column]
        genuine += np.bincount(code[row[known], column[known]], minlength=BINS + 1)[:BINS]
        code[row, column] = BINS
        impostor += np.bincount(code.ravel(), minlength=BINS + 1)[:BINS]
    return PairSimilarities(genuine, impostor)


def _blocks(rows: int, columns: int, *, within: bool) -> Iterator[tuple[slice, slice]]:
    """Yields blocks that cover the whole matrix, or (within) at least what lies above its diagonal."""
    step = max(1, BLOCK_ELEMENTS // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows)), slice(start if within else 0, columns)
