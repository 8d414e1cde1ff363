"""All scores of one model on one data set: as embedded, with expanded queries, re-ranked, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.metrics.bootstrap import Interval, bootstrap
from mot_reid.metrics.reranking import expand_queries, rerank
from mot_reid.metrics.retrieval import (
    JUNK,
    AveragePrecision,
    Metric,
    RetrievalResult,
    evaluate_distances,
    evaluate_retrieval,
)
from mot_reid.metrics.verification import PairSimilarities

RANKS = (1, 5, 10)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One way of ranking and how good it is.

    Attributes:
        result: CMC, AP and the rest, query by query.
        intervals: 95% bootstrap intervals over identities, by the keys of `to_dict`; empty where not asked for.
    """

    result: RetrievalResult
    intervals: Mapping[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Returns rank1, rank5, rank10, mean_ap, mean_inp and, where asked for, intervals, all as fractions."""
        result = self.result
        scores: dict[str, Any] = {f"rank{k}": result.rank(k) for k in RANKS}
        scores |= {"mean_ap": result.mean_ap, "mean_inp": result.mean_inp}
        if self.intervals:
            scores["intervals"] = {name: list(interval) for name, interval in self.intervals.items()}
        return scores


def score_rankings(
    query_embedding: ArrayLike,
    gallery_embedding: ArrayLike,
    *,
    query_person_id: ArrayLike,
    gallery_person_id: ArrayLike,
    query_camera_id: ArrayLike | None = None,
    gallery_camera_id: ArrayLike | None = None,
    neighbours: int = 0,
    reciprocal: int = 0,
    samples: int = 0,
    metric: Metric = "cosine",
    average_precision: AveragePrecision = "plain",
) -> dict[str, Scores]:
    """Returns the scores by the way of ranking: "plain", and "expanded" and "reranked" where asked for.

    Args:
        query_embedding: (Q, D).
        gallery_embedding: (G, D).
        query_person_id: (Q,) integers.
        gallery_person_id: (G,) integers; -1 is junk, which neither expands nor re-ranks anything.
        query_camera_id: (Q,) integers, or None when cameras are unknown.
        gallery_camera_id: (G,) integers, or None together with `query_camera_id`.
        neighbours: Gallery images that join each query in "expanded"; 0 leaves that out.
        reciprocal: Neighbourhood k1 of "reranked" (20 in the paper); 0 leaves that out.
        samples: Of the bootstrap; 0 for no intervals.
        metric: "cosine" or "euclidean"; expanded queries are compared by cosine.
        average_precision: "plain" or "trapezoid".

    Raises:
        ValueError: As `evaluate_retrieval`.
    """
    keep = np.flatnonzero(np.asarray(gallery_person_id) != JUNK)
    gallery = np.asarray(gallery_embedding)[keep]
    ids: dict[str, Any] = {
        "query_person_id": query_person_id,
        "gallery_person_id": np.asarray(gallery_person_id)[keep],
        "query_camera_id": query_camera_id,
        "gallery_camera_id": None if gallery_camera_id is None else np.asarray(gallery_camera_id)[keep],
        "average_precision": average_precision,
    }
    judged = {"plain": evaluate_retrieval(query_embedding, gallery, metric=metric, **ids)}
    if neighbours:
        expanded = expand_queries(query_embedding, gallery, neighbours=neighbours)
        judged["expanded"] = evaluate_retrieval(expanded, gallery, **ids)
    if reciprocal:
        k2 = min(6, reciprocal)
        distance = rerank(query_embedding, gallery, k1=reciprocal, k2=k2, metric=metric)
        judged["reranked"] = evaluate_distances(distance, **ids)
    intervals = partial(bootstrap, query_person_id=query_person_id, samples=samples)
    return {name: Scores(result, intervals(result) if samples else {}) for name, result in judged.items()}


def verification_scores(pairs: PairSimilarities, calibration: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Returns the equal error rate, what a calibrated threshold promised, and what it does here: fractions.

    Args:
        pairs: Similarities of persons the threshold was not chosen on.
        calibration: `Calibration.to_dict`, as in the checkpoint.

    Returns:
        equal_error_rate and, with a calibration, threshold, promised_false_match_rate, promised_true_match_rate,
        false_match_rate and true_match_rate; nothing where there are no pairs of one person, or none of two.
    """
    if not pairs.genuine.any() or not pairs.impostor.any():
        return {}
    roc = pairs.roc()
    found = {"equal_error_rate": roc.equal_error_rate}
    if calibration is None:
        return found
    at = min(int(np.searchsorted(roc.threshold, calibration["threshold"])), len(roc.threshold) - 1)
    return found | {
        "threshold": float(calibration["threshold"]),
        "promised_false_match_rate": float(calibration["false_match_rate"]),
        "promised_true_match_rate": float(calibration["true_match_rate"]),
        "false_match_rate": float(roc.false_match_rate[at]),
        "true_match_rate": float(roc.true_match_rate[at]),
    }
