"""All scores of one model: each is that of the function it stands for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mot_reid.metrics.bootstrap import bootstrap
from mot_reid.metrics.reranking import expand_queries, rerank
from mot_reid.metrics.retrieval import evaluate_distances, evaluate_retrieval
from mot_reid.metrics.scores import score_rankings, verification_scores
from mot_reid.metrics.verification import PairSimilarities, similarities_between


def problem(gallery_low: int = 0):
    rng = np.random.default_rng(0)
    center = 1.5 * rng.normal(size=(12, 8))
    person, gallery_person = rng.integers(1, 12, 40), rng.integers(gallery_low, 12, 200)
    ids = {
        "query_person_id": person,
        "gallery_person_id": gallery_person,
        "query_camera_id": rng.integers(1, 4, 40),
        "gallery_camera_id": rng.integers(1, 4, 200),
    }
    return center[person] + rng.normal(size=(40, 8)), center[gallery_person] + rng.normal(size=(200, 8)), ids


@pytest.mark.parametrize("average_precision", ["plain", "trapezoid"])
def test_scores_equal_those_of_the_single_functions(average_precision) -> None:
    query, gallery, ids = problem()
    scores = score_rankings(
        query, gallery, **ids, neighbours=3, reciprocal=10, samples=50, average_precision=average_precision
    )
    expected = {
        "plain": evaluate_retrieval(query, gallery, **ids, average_precision=average_precision),
        "expanded": evaluate_retrieval(
            expand_queries(query, gallery, neighbours=3), gallery, **ids, average_precision=average_precision
        ),
        "reranked": evaluate_distances(rerank(query, gallery, k1=10, k2=6), **ids, average_precision=average_precision),
    }
    assert list(scores) == list(expected)
    for name, result in expected.items():
        assert scores[name].result.mean_ap == result.mean_ap
        assert scores[name].intervals == bootstrap(result, ids["query_person_id"], samples=50)
        written = scores[name].to_dict()
        assert written["rank5"] == result.rank(5) and written["mean_inp"] == result.mean_inp
        assert json.loads(json.dumps(written)) == written


def test_scores_are_plain_alone_unless_asked() -> None:
    query, gallery, ids = problem()
    scores = score_rankings(query, gallery, **ids)
    assert list(scores) == ["plain"]
    assert list(scores["plain"].to_dict()) == ["rank1", "rank5", "rank10", "mean_ap", "mean_inp"]


def test_junk_changes_no_score() -> None:
    query, gallery, ids = problem(gallery_low=-1)
    keep = ids["gallery_person_id"] != -1
    assert not keep.all()
    clean = {name: value[keep] if "gallery" in name else value for name, value in ids.items()}
    with_junk = score_rankings(query, gallery, **ids, neighbours=3, reciprocal=10)
    without = score_rankings(query, gallery[keep], **clean, neighbours=3, reciprocal=10)
    for name, found in with_junk.items():
        assert found.to_dict() == without[name].to_dict()


def test_verification_scores_are_the_rates_at_the_threshold() -> None:
    query, gallery, ids = problem()
    pairs = similarities_between(query, gallery, **ids)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery)]
    similarity = unit[0] @ unit[1].T
    same = ids["query_person_id"][:, None] == ids["gallery_person_id"]
    genuine = same & (ids["query_person_id"][:, None] != 0)
    genuine &= ids["query_camera_id"][:, None] != ids["gallery_camera_id"]
    promised = {"threshold": 0.5, "false_match_rate": 0.01, "true_match_rate": 0.7}
    found = verification_scores(pairs, promised)
    assert found["false_match_rate"] == pytest.approx((similarity[~same] >= 0.5).mean(), abs=1e-12)
    assert found["true_match_rate"] == pytest.approx((similarity[genuine] >= 0.5).mean(), abs=1e-12)
    assert (found["promised_false_match_rate"], found["promised_true_match_rate"]) == (0.01, 0.7)
    assert verification_scores(pairs) == {"equal_error_rate": pairs.roc().equal_error_rate}


def test_verification_scores_are_none_without_pairs_of_both_kinds() -> None:
    none, some = np.zeros(64, dtype=np.int64), np.ones(64, dtype=np.int64)
    assert verification_scores(PairSimilarities(none, some)) == {}
    assert verification_scores(PairSimilarities(some, none)) == {}
