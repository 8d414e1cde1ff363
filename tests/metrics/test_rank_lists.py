"""Rank lists against the ranking rules and against the scores of the whole evaluation."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from mot_reid.metrics.rank_lists import count_matches, rank_lists, worst_and_best
from mot_reid.metrics.retrieval import evaluate_retrieval


def problem(seed: int = 0):
    rng = np.random.default_rng(seed)
    ids = {
        "query_person_id": rng.integers(1, 9, 30),
        "gallery_person_id": rng.integers(-1, 9, 120),
        "query_camera_id": rng.integers(1, 4, 30),
        "gallery_camera_id": rng.integers(1, 4, 120),
    }
    return rng.normal(size=(30, 4)).astype(np.float32), rng.normal(size=(120, 4)).astype(np.float32), ids


def without_cameras(ids):
    return {name: value for name, value in ids.items() if "person" in name}


def angles(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_rank_list_by_hand() -> None:
    """Nearest first: the query's own camera, junk, somebody else, the person, a distractor, the person."""
    (found,) = rank_lists(
        angles(0),
        angles(50, 30, 10, 20, 60, 40),
        rows=[0],
        query_person_id=[7],
        gallery_person_id=[0, 5, 7, -1, 7, 7],
        query_camera_id=[1],
        gallery_camera_id=[2, 2, 1, 2, 3, 2],
    )
    assert_array_equal(found.gallery, [2, 3, 1, 5, 0, 4])
    assert_array_equal(found.rank, [0, 0, 1, 2, 3, 4])
    assert_array_equal(found.match, [False, False, False, True, False, True])
    assert_array_equal(found.ignored, [True, True, False, False, False, False])
    assert found.status == ["ignored", "ignored", "wrong", "match", "wrong", "match"]
    assert_allclose(found.similarity, np.cos(np.deg2rad([10, 20, 30, 40, 50, 60])), atol=1e-6)


def test_whole_rank_lists_give_the_average_precision_and_first_rank_of_the_evaluation() -> None:
    for cameras in (True, False):
        query, gallery, ids = problem()
        ids = ids if cameras else without_cameras(ids)
        result = evaluate_retrieval(query, gallery, **ids)
        for found in rank_lists(query, gallery, rows=np.arange(30), length=120, **ids):
            ranks = found.rank[found.match]
            assert result.first_rank[found.query] == (ranks[0] if len(ranks) else 0)
            precision = np.mean(np.arange(1, len(ranks) + 1) / ranks) if len(ranks) else np.nan
            assert_allclose(result.ap[found.query], precision, atol=1e-12, equal_nan=True)


def test_rank_lists_are_the_beginning_of_longer_ones_and_keep_the_order_of_the_rows() -> None:
    query, gallery, ids = problem()
    short = rank_lists(query, gallery, rows=[5, 2], length=7, **ids)
    long = rank_lists(query, gallery, rows=[5, 2], length=50, **ids)
    assert [found.query for found in short] == [5, 2]
    for a, b in zip(short, long):
        assert_array_equal(a.gallery, b.gallery[:7])
        assert_array_equal(a.rank, b.rank[:7])


def test_worst_and_best_are_the_extremes_of_different_persons() -> None:
    query, gallery, ids = problem()
    result = evaluate_retrieval(query, gallery, **ids)
    person = ids["query_person_id"]
    worst, best = worst_and_best(result, person, count=4)
    of_person = {one: result.ap[(person == one) & result.valid] for one in np.unique(person[result.valid])}
    assert_allclose(result.ap[worst], sorted(ap.min() for ap in of_person.values())[:4])
    assert_allclose(result.ap[best], sorted((ap.max() for ap in of_person.values()), reverse=True)[:4])
    assert len(set(person[worst])) == len(set(person[best])) == 4


def test_best_prefers_more_matches_among_equals() -> None:
    ids = {"query_person_id": [1, 2, 3], "gallery_person_id": [1, 2, 2, 3]}
    result = evaluate_retrieval(np.eye(3), np.eye(3)[[0, 1, 1, 2]], **ids)
    _, best = worst_and_best(result, ids["query_person_id"], count=3, matches=count_matches(**ids))
    assert_array_equal(best, [1, 0, 2])


def test_count_matches_equals_naive_loops() -> None:
    _, _, ids = problem()
    for chosen in (ids, without_cameras(ids)):
        expected = [
            sum(
                g_person == person and ("query_camera_id" not in chosen or g_camera != camera)
                for g_person, g_camera in zip(ids["gallery_person_id"], ids["gallery_camera_id"])
            )
            for person, camera in zip(ids["query_person_id"], ids["query_camera_id"])
        ]
        assert_array_equal(count_matches(**chosen), expected)
