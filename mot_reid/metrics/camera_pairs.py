"""From which camera to which camera is a person found again? mAP of every pair of cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mot_reid.arrays import IntArray
from mot_reid.metrics.retrieval import AveragePrecision, Metric, check_embedding, check_ids, evaluate_retrieval


@dataclass(frozen=True, slots=True, eq=False)
class CameraPairs:
    """Scores of queries of one camera searched among the images of another.

    Attributes:
        query_camera: (A,) camera ids, rising.
        gallery_camera: (B,) camera ids, rising.
        mean_ap: (A, B) mAP as fractions; NaN where no query has a match, such as within one camera.
        queries: (A, B) number of queries with a match.
    """

    query_camera: IntArray
    gallery_camera: IntArray
    mean_ap: NDArray[np.float64]
    queries: IntArray


def evaluate_camera_pairs(
    query_embedding: ArrayLike,
    gallery_embedding: ArrayLike,
    *,
    query_person_id: ArrayLike,
    gallery_person_id: ArrayLike,
    query_camera_id: ArrayLike,
    gallery_camera_id: ArrayLike,
    metric: Metric = "cosine",
    average_precision: AveragePrecision = "plain",
) -> CameraPairs:
    """Returns mAP with queries of one camera and the gallery of one camera, for every two cameras.

    The rules are those of `evaluate_retrieval`, so there is no score within one camera. The gallery is smaller than the
    whole one: compare the pairs with each other, not with the mAP over all cameras.

    Args:
        query_embedding: (Q, D).
        gallery_embedding: (G, D).
        query_person_id: (Q,) integers.
        gallery_person_id: (G,) integers; -1 is junk, 0 a distractor.
        query_camera_id: (Q,) integers.
        gallery_camera_id: (G,) integers.
        metric: "cosine" or "euclidean".
        average_precision: "plain" or "trapezoid".

    Raises:
        ValueError: If shapes do not fit, a value is not finite or an option is unknown.
    """
    query = check_embedding("query_embedding", query_embedding)
    gallery = check_embedding("gallery_embedding", gallery_embedding, like=query)
    person = check_ids("query_person_id", query_person_id, len(query))
    gallery_person = check_ids("gallery_person_id", gallery_person_id, len(gallery))
    camera = check_ids("query_camera_id", query_camera_id, len(query))
    gallery_camera = check_ids("gallery_camera_id", gallery_camera_id, len(gallery))
    seen, seen_in_gallery = np.unique(camera), np.unique(gallery_camera)
    mean_ap = np.full((len(seen), len(seen_in_gallery)), np.nan)
    queries = np.zeros(mean_ap.shape, dtype=np.int64)
    for a, b in np.ndindex(mean_ap.shape):
        there = gallery_camera == seen_in_gallery[b]
        known = gallery_person[there & (gallery_person >= 0)]
        asked = (camera == seen[a]) & np.isin(person, known)
        if seen[a] == seen_in_gallery[b] or not asked.any():
            continue
        result = evaluate_retrieval(
            query[asked],
            gallery[there],
            query_person_id=person[asked],
            gallery_person_id=gallery_person[there],
            metric=metric,
            average_precision=average_precision,
            max_rank=1,
        )
        mean_ap[a, b], queries[a, b] = result.mean_ap, asked.sum()
    return CameraPairs(seen, seen_in_gallery, mean_ap, queries)
