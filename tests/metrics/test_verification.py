"""Pair similarities and ROC against naive loops and hand examples."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mot_reid.metrics.verification as verification
from mot_reid.metrics.verification import PairSimilarities, similarities_between, similarities_within


def images(seed=0, count=60):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 4)), rng.integers(-1, 8, count), rng.integers(1, 4, count)


def naive(pairs, first, second):
    """Similarities of genuine and of impostor pairs, from the rules in words."""
    genuine, impostor = [], []
    for i, j in pairs:
        (a, person_a, camera_a), (b, person_b, camera_b) = (
            [column[n] for column in s] for s, n in ((first, i), (second, j))
        )
        similarity = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        if -1 in (person_a, person_b):
            continue
        if person_a != person_b:
            impostor.append(similarity)
        elif person_a != 0 and camera_a != camera_b:
            genuine.append(similarity)
    return np.sort(genuine), np.sort(impostor)


def assert_counts_equal(result, genuine, impostor):
    for counts, values in ((result.genuine, genuine), (result.impostor, impostor)):
        assert counts.sum() == len(values)
        # undo the counting: the left edge of every pair's bin, at most one bin away from its similarity
        assert_allclose(np.repeat(result.edges[:-1], counts), values, atol=2.1 / len(counts))


def test_similarities_within_equal_loops_over_pairs():
    embedding, person, camera = images()
    result = similarities_within(embedding, person_id=person, camera_id=camera)
    assert_counts_equal(
        result, *naive(combinations(range(60), 2), (embedding, person, camera), (embedding, person, camera))
    )


def test_similarities_between_equal_loops_over_pairs():
    query, gallery = images(1, 20), images(2, 70)
    result = similarities_between(
        query[0],
        gallery[0],
        query_person_id=query[1],
        gallery_person_id=gallery[1],
        query_camera_id=query[2],
        gallery_camera_id=gallery[2],
    )
    assert_counts_equal(result, *naive(product(range(20), range(70)), query, gallery))


def test_similarities_within_counts_every_pair_of_one_person_without_cameras():
    result = similarities_within(np.eye(4), person_id=[1, 1, 1, 2])
    assert (result.genuine.sum(), result.impostor.sum()) == (3, 3)


def test_similarities_do_not_depend_on_the_block_size(monkeypatch):
    embedding, person, camera = images(3)
    whole = similarities_within(embedding, person_id=person, camera_id=camera)
    monkeypatch.setattr(verification, "BLOCK_ELEMENTS", 400)
    blocks = similarities_within(embedding, person_id=person, camera_id=camera)
    # another block shape may round a similarity into the next bin
    assert_array_equal(whole.rebin(1).genuine, blocks.rebin(1).genuine)
    assert_array_equal(whole.rebin(1).impostor, blocks.rebin(1).impostor)
    assert np.abs(np.cumsum(whole.impostor - blocks.impostor)).sum() <= 4


def by_hand():
    """Four bins: impostors at -0.75, -0.25, -0.25, 0.25; genuine at 0.25 and 0.75."""
    return PairSimilarities(np.array([0, 0, 1, 1]), np.array([1, 2, 1, 0]))


def test_roc_is_by_hand():
    roc = by_hand().roc()
    assert_array_equal(roc.threshold, [-1, -0.5, 0, 0.5, 1])
    assert_array_equal(roc.false_match_rate, [1, 0.75, 0.25, 0, 0])
    assert_array_equal(roc.true_match_rate, [1, 1, 1, 0.5, 0])
    assert (roc.genuine, roc.impostor) == (2, 4)


@pytest.mark.parametrize(("rate", "threshold"), [(1, -1), (0.75, -0.5), (0.7, 0), (0.25, 0), (0.2, 0.5), (0, 0.5)])
def test_roc_at_gives_the_lowest_threshold_within_the_rate(rate, threshold):
    roc = by_hand().roc()
    assert roc.threshold[roc.at(rate)] == threshold


def test_equal_error_rate_is_by_hand():
    # at threshold 0: a quarter of the impostors match, no genuine pair is missed; at 0.5: none, and half
    assert by_hand().roc().equal_error_rate == pytest.approx(0.125)


def test_rebin_adds_up_neighbours():
    coarse = by_hand().rebin(2)
    assert_array_equal([coarse.genuine, coarse.impostor], [[0, 2], [3, 1]])
    assert_array_equal(coarse.edges, [-1, 0, 1])


def test_rebin_refuses_what_does_not_divide():
    with pytest.raises(ValueError, match="bins: got 3; expected a divisor of 4"):
        by_hand().rebin(3)


def test_roc_refuses_a_set_of_one_person():
    with pytest.raises(ValueError, match="pairs: got no impostor pair"):
        similarities_within(np.eye(3), person_id=[1, 1, 1]).roc()


def test_roc_refuses_people_seen_by_one_camera_each():
    with pytest.raises(ValueError, match="pairs: got no genuine pair"):
        similarities_within(np.eye(4), person_id=[1, 1, 2, 2], camera_id=[1, 1, 2, 2]).roc()


def test_similarities_between_refuses_cameras_on_one_side():
    with pytest.raises(ValueError, match="cameras on one side"):
        similarities_between(
            np.eye(2), np.eye(2), query_person_id=[1, 2], gallery_person_id=[1, 2], query_camera_id=[1, 1]
        )
