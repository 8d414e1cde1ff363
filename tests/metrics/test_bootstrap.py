"""Bootstrap intervals against a plain resampling loop and truths that need no numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mot_reid.metrics.bootstrap import bootstrap
from mot_reid.metrics.retrieval import evaluate_distances


def problem(seed=0, people=20, each=5):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(1, people + 1), each)
    gallery = rng.integers(0, people, 300)
    skill = rng.uniform(0, 3, people + 1)[person]
    distance = rng.normal(size=(len(person), 300)) - skill[:, None] * (person[:, None] == gallery)
    return evaluate_distances(distance, query_person_id=person, gallery_person_id=gallery), person


def test_bootstrap_equals_resampling_identities_in_a_loop():
    result, person = problem()
    rng = np.random.default_rng(1)
    people = np.unique(person[result.valid])
    rank1, mean_ap = [], []
    for _ in range(4000):
        rows = np.concatenate([np.flatnonzero((person == p) & result.valid) for p in rng.choice(people, len(people))])
        rank1.append((result.first_rank[rows] == 1).mean())
        mean_ap.append(result.ap[rows].mean())
    intervals = bootstrap(result, person, samples=4000)
    assert_allclose(intervals["rank1"], np.quantile(rank1, [0.025, 0.975]), atol=0.012)
    assert_allclose(intervals["mean_ap"], np.quantile(mean_ap, [0.025, 0.975]), atol=0.012)


def test_bootstrap_holds_the_score_and_narrows_with_less_confidence():
    result, person = problem(seed=2)
    wide, narrow = (bootstrap(result, person, confidence=c)["mean_ap"] for c in (0.95, 0.5))
    assert wide.low < narrow.low < result.mean_ap < narrow.high < wide.high


def test_bootstrap_of_identical_identities_has_no_width():
    result = evaluate_distances([[0.0, 1.0], [1.0, 0.0]], query_person_id=[1, 2], gallery_person_id=[1, 2], max_rank=5)
    intervals = bootstrap(result, [1, 2])
    assert set(intervals) == {"rank1", "rank5", "mean_ap", "mean_inp"}
    assert all(interval == (1.0, 1.0) for interval in intervals.values())


def test_bootstrap_repeats_with_the_same_seed_and_differs_with_another():
    result, person = problem()
    assert bootstrap(result, person, seed=5) == bootstrap(result, person, seed=5)
    assert bootstrap(result, person, seed=5) != bootstrap(result, person, seed=6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query_person_id": [1]}, r"query_person_id: got shape \(1,\); expected \(100,\)"),
        ({"samples": 0}, "samples: got 0"),
        ({"confidence": 95}, "confidence: got 95; expected between 0 and 1"),
    ],
)
def test_bootstrap_refuses(options, message):
    result, person = problem()
    with pytest.raises(ValueError, match=message):
        bootstrap(result, **({"query_person_id": person} | options))
