"""mAP of camera pairs against loops over the definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mot_reid.metrics.camera_pairs import evaluate_camera_pairs
from mot_reid.metrics.retrieval import evaluate_retrieval


def problem(seed: int = 0):
    """Three cameras, of which the last has queries that nobody else sees; distractors and junk in the gallery."""
    rng = np.random.default_rng(seed)
    ids = {
        "query_person_id": rng.integers(1, 9, 40),
        "gallery_person_id": rng.integers(-1, 9, 160),
        "query_camera_id": rng.integers(1, 4, 40),
        "gallery_camera_id": rng.integers(1, 6, 160),
    }
    return rng.normal(size=(40, 4)), rng.normal(size=(160, 4)), ids


def naive_mean_ap(query, gallery, ids, a, b):
    """mAP of queries of camera a among the images of camera b, and the number of queries with a match."""
    found = []
    for i, unit in enumerate(query / np.linalg.norm(query, axis=1, keepdims=True)):
        if ids["query_camera_id"][i] != a:
            continue
        rows = [
            g
            for g in range(len(gallery))
            if ids["gallery_camera_id"][g] == b
            and ids["gallery_person_id"][g] != -1
            and not (ids["gallery_person_id"][g] == ids["query_person_id"][i] and a == b)
        ]
        rows.sort(key=lambda g: -(gallery[g] @ unit) / np.linalg.norm(gallery[g]))
        hits, precisions = 0, []
        for place, g in enumerate(rows, start=1):
            if ids["gallery_person_id"][g] == ids["query_person_id"][i]:
                hits += 1
                precisions.append(hits / place)
        if precisions:
            found.append(np.mean(precisions))
    return (np.mean(found) if found else np.nan), len(found)


@pytest.mark.parametrize("seed", range(3))
def test_camera_pairs_equal_naive_loops(seed: int) -> None:
    query, gallery, ids = problem(seed)
    pairs = evaluate_camera_pairs(query, gallery, **ids)
    assert_array_equal(pairs.query_camera, [1, 2, 3])
    assert_array_equal(pairs.gallery_camera, [1, 2, 3, 4, 5])
    for i, a in enumerate(pairs.query_camera):
        for j, b in enumerate(pairs.gallery_camera):
            mean_ap, queries = naive_mean_ap(query, gallery, ids, a, b)
            assert_allclose(pairs.mean_ap[i, j], mean_ap, atol=1e-9, equal_nan=True)
            assert pairs.queries[i, j] == queries


def test_camera_pairs_of_two_cameras_equal_the_whole_evaluation() -> None:
    query, gallery, ids = problem()
    asked, there = ids["query_camera_id"] == 1, ids["gallery_camera_id"] == 2
    chosen = {name: value[asked if "query" in name else there] for name, value in ids.items()}
    whole = evaluate_retrieval(query[asked], gallery[there], **chosen, average_precision="trapezoid")
    pairs = evaluate_camera_pairs(query, gallery, **ids, average_precision="trapezoid")
    assert pairs.mean_ap[0, 1] == pytest.approx(whole.mean_ap, abs=1e-12)


def test_camera_pairs_have_no_score_where_nobody_is_seen_twice() -> None:
    pairs = evaluate_camera_pairs(
        np.eye(2),
        np.eye(2),
        query_person_id=[1, 2],
        gallery_person_id=[1, 3],
        query_camera_id=[1, 2],
        gallery_camera_id=[1, 3],
    )
    assert np.isnan(pairs.mean_ap).all() and not pairs.queries.any()


def test_camera_pairs_refuse_ids_of_another_length() -> None:
    query, gallery, ids = problem()
    with pytest.raises(ValueError, match="gallery_camera_id: got shape"):
        evaluate_camera_pairs(query, gallery, **{**ids, "gallery_camera_id": [1, 2]})
