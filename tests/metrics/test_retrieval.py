"""Retrieval scores against hand examples, naive loops over the definition and recorded numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import mot_reid.metrics.retrieval as retrieval
from mot_reid.metrics.retrieval import evaluate_distances, evaluate_retrieval

GOLDEN = Path(__file__).parents[1] / "golden" / "retrieval.npz"


def naive(similarity, query_person, gallery_person, query_camera=None, gallery_camera=None, *, trapezoid=False):
    """Ranks, AP, INP and first rank of every query, in loops straight from the definition."""
    ap, inp, first = [], [], []
    for q, row in enumerate(similarity):
        ranked = sorted(range(len(row)), key=lambda g: (-row[g], g))
        position, hits, precisions, last = 0, 0, [], 0
        firsts = 0
        for g in ranked:
            same = gallery_person[g] == query_person[q]
            if gallery_person[g] == -1:
                continue
            if same and query_camera is not None and gallery_camera[g] == query_camera[q]:
                continue
            position += 1
            if same:
                before = 1.0 if position == 1 else hits / (position - 1)
                hits, last = hits + 1, position
                firsts = firsts or position
                precisions.append((before + hits / position) / 2 if trapezoid else hits / position)
        ap.append(np.mean(precisions) if precisions else np.nan)
        inp.append(hits / last if hits else np.nan)
        first.append(firsts)
    return np.array(ap), np.array(inp), np.array(first)


@st.composite
def problems(draw):
    """A random problem of small integers, so that ties, junk, distractors and lonely queries are common."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    queries, galleries = draw(st.integers(1, 8)), draw(st.integers(1, 30))
    distance = rng.integers(0, draw(st.integers(1, 40)), size=(queries, galleries)).astype(np.float32)
    ids = {
        "query_person_id": rng.integers(1, 5, queries),
        "gallery_person_id": rng.integers(-1, 5, galleries),
    }
    if draw(st.booleans()):
        ids["query_camera_id"], ids["gallery_camera_id"] = rng.integers(1, 4, queries), rng.integers(1, 4, galleries)
    return distance, ids


def matches_of(ids):
    same = ids["query_person_id"][:, None] == ids["gallery_person_id"]
    if "query_camera_id" in ids:
        same = same & (ids["query_camera_id"][:, None] != ids["gallery_camera_id"])
    return same


@pytest.mark.parametrize("average_precision", ["plain", "trapezoid"])
@given(problem=problems())
@settings(max_examples=150, deadline=None)
def test_evaluate_distances_equals_naive_loops(problem, average_precision):
    distance, ids = problem
    ap, inp, first = naive(-distance, *ids.values(), trapezoid=average_precision == "trapezoid")
    if not (first > 0).any():
        with pytest.raises(ValueError, match="without a match"):
            evaluate_distances(distance, average_precision=average_precision, **ids)
        return
    result = evaluate_distances(distance, average_precision=average_precision, max_rank=30, **ids)
    valid = first > 0
    assert_array_equal(result.valid, valid)
    assert_array_equal(result.first_rank, first)
    assert_allclose(result.ap, ap, rtol=1e-12)
    assert_allclose(result.inp, inp, rtol=1e-12)
    assert_allclose(result.cmc, [(first[valid] <= r).mean() for r in range(1, 31)], rtol=1e-12)
    assert_allclose([result.mean_ap, result.mean_inp], [ap[valid].mean(), inp[valid].mean()], rtol=1e-12)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def golden_ids(golden):
    return {
        f"{side}_{what}_id": golden[f"{side}_{what}"] for side in ("query", "gallery") for what in ("person", "camera")
    }


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_evaluate_retrieval_equals_torchreid_and_fast_reid(golden, metric):
    """Recorded from torchreid and fast-reid on unit embeddings (so both metrics rank alike).

    Fails when: same-camera images stay; distractors are dropped; AP is the trapezoid; the order is reversed;
    INP divides by the first rank; the CMC starts at rank 0.
    """
    result = evaluate_retrieval(
        golden["query_embedding"], golden["gallery_embedding"], metric=metric, **golden_ids(golden)
    )
    assert_allclose(result.cmc, golden["cmc"], atol=1e-6)
    assert_allclose(result.ap, golden["ap"], atol=1e-6)
    assert_allclose(result.inp, golden["inp"], atol=1e-6)
    assert_allclose(result.mean_ap, golden["mean_ap"], atol=1e-6)


def test_evaluate_distances_equals_torchreid_on_reranked_distances(golden):
    """Fails when the order is reversed, or when the rules differ from those of `evaluate_retrieval`."""
    result = evaluate_distances(golden["rerank_k1_20_k2_6_lambda_0_3"], **golden_ids(golden))
    assert_allclose(result.cmc, golden["rerank_cmc"], atol=1e-6)
    assert_allclose(result.mean_ap, golden["rerank_mean_ap"], atol=1e-6)


def by_hand(average_precision):
    """Hits at ranks 1, 2, 4 and 7 of eight: layumi's example."""
    gallery_person = [5, 5, 1, 5, 2, 3, 5, 4]
    return evaluate_distances(
        [list(range(8))], query_person_id=[5], gallery_person_id=gallery_person, average_precision=average_precision
    )


def test_plain_average_precision_of_hits_at_1_2_4_7_is_by_hand():
    assert by_hand("plain").mean_ap == pytest.approx((1 + 1 + 3 / 4 + 4 / 7) / 4)


def test_trapezoid_average_precision_of_hits_at_1_2_4_7_is_by_hand():
    assert by_hand("trapezoid").mean_ap == pytest.approx((1 + 1 + (2 / 3 + 3 / 4) / 2 + (3 / 6 + 4 / 7) / 2) / 4)


def test_inverse_negative_penalty_of_hits_at_1_2_4_7_is_by_hand():
    assert by_hand("plain").mean_inp == pytest.approx(4 / 7)


def test_ties_keep_the_order_of_the_gallery():
    result = evaluate_distances(np.zeros((1, 4)), query_person_id=[1], gallery_person_id=[2, 1, 3, 1])
    assert result.ap[0] == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_junk_changes_nothing_and_a_distractor_hurts():
    def rank_1(first_in_gallery):
        return evaluate_distances(
            [[0.0, 1.0, 2.0]], query_person_id=[7], gallery_person_id=[first_in_gallery, 7, 7]
        ).rank(1)

    assert (rank_1(-1), rank_1(0)) == (1.0, 0.0)


def test_same_person_by_the_same_camera_is_left_out_only_for_that_query():
    result = evaluate_distances(
        [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]],
        query_person_id=[7, 7],
        gallery_person_id=[7, 8, 7],
        query_camera_id=[1, 2],
        gallery_camera_id=[1, 1, 2],
    )
    assert_array_equal(result.first_rank, [2, 1])


def test_query_without_a_match_is_counted_out():
    result = evaluate_distances([[0.0, 1.0], [0.0, 1.0]], query_person_id=[1, 9], gallery_person_id=[1, 2])
    assert_array_equal(result.valid, [True, False])
    assert np.isnan(result.ap[1])
    assert (result.mean_ap, result.rank(1)) == (1.0, 1.0)


def random_set(seed=0, queries=40, galleries=300, size=16):
    rng = np.random.default_rng(seed)
    # small integers: products are exact in float32, so no rounding can move a rank
    embedding = [rng.integers(-3, 4, (n, size)).astype(np.float32) for n in (queries, galleries)]
    ids = {
        "query_person_id": rng.integers(1, 12, queries),
        "gallery_person_id": rng.integers(-1, 12, galleries),
        "query_camera_id": rng.integers(1, 4, queries),
        "gallery_camera_id": rng.integers(1, 4, galleries),
    }
    return embedding, ids


def test_result_does_not_depend_on_the_block_size(monkeypatch):
    embedding, ids = random_set()
    whole = evaluate_retrieval(*embedding, metric="euclidean", **ids)
    monkeypatch.setattr(retrieval, "BLOCK_ELEMENTS", 900)
    monkeypatch.setattr(retrieval, "ROWS_PER_TASK", 2)
    assert_array_equal(evaluate_retrieval(*embedding, metric="euclidean", **ids).ap, whole.ap)


def test_euclidean_ranks_equal_those_of_the_distances_ties_included():
    (query, gallery), ids = random_set(seed=3)
    distance = ((query[:, None] - gallery[None]) ** 2).sum(axis=2)
    result = evaluate_retrieval(query, gallery, metric="euclidean", **ids)
    assert_array_equal(result.ap, evaluate_distances(distance, **ids).ap)


def test_cosine_ranks_equal_those_of_the_angles_whatever_the_lengths():
    _, ids = random_set(seed=3)
    rng = np.random.default_rng(4)
    query, gallery = rng.normal(size=(40, 8)), rng.normal(size=(300, 8)) * rng.uniform(0.1, 9, (300, 1))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery)]
    distance = np.arccos(unit[0] @ unit[1].T)
    assert_allclose(evaluate_retrieval(query, gallery, **ids).ap, evaluate_distances(distance, **ids).ap, atol=1e-12)


def test_a_set_against_itself_leaves_out_only_the_query_when_every_image_is_its_own_camera():
    embedding, person, each = np.eye(4)[[0, 0, 1, 1]] + [[0, 0, 0, 1]], [1, 1, 2, 2], np.arange(4)
    result = evaluate_retrieval(
        embedding,
        embedding,
        query_person_id=person,
        gallery_person_id=person,
        query_camera_id=each,
        gallery_camera_id=each,
    )
    assert_array_equal(result.first_rank, [1, 1, 1, 1])
    assert_array_equal(result.inp, [1, 1, 1, 1])


def test_inputs_are_not_written_to():
    (query, gallery), ids = random_set()
    distance = np.arange(40 * 300, dtype=np.float32).reshape(40, 300)
    for array in (query, gallery, distance, *ids.values()):
        array.setflags(write=False)
    before = distance.copy()
    evaluate_retrieval(query, gallery, metric="euclidean", **ids)
    evaluate_distances(distance, **ids)
    assert_array_equal(distance, before)


def test_result_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        by_hand("plain").ap[0] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"query_embedding": np.full((2, 3), np.nan)},
            "query_embedding: got NaN or infinity in 2 rows, first in row 0",
        ),
        ({"query_embedding": np.zeros((2, 3))}, "query_embedding: got a vector of length 0 in row 0"),
        ({"query_embedding": np.ones(3)}, r"query_embedding: got shape \(3,\)"),
        ({"gallery_embedding": np.ones((0, 3))}, r"gallery_embedding: got shape \(0, 3\)"),
        ({"gallery_embedding": np.ones((3, 4))}, "gallery_embedding: got 4 columns; expected the query's 3"),
        ({"gallery_person_id": [1, 2]}, r"gallery_person_id: got shape \(2,\); expected \(3,\)"),
        ({"query_person_id": [1.0, 2.0]}, "query_person_id: got float64; expected integers"),
        ({"query_camera_id": None}, "query_camera_id: got None; expected camera ids on both sides"),
        ({"query_person_id": [8, 9]}, "got 2 queries without a match"),
        ({"metric": "manhattan"}, "metric: got 'manhattan'; expected one of cosine, euclidean"),
        ({"average_precision": "area"}, "average_precision: got 'area'"),
        ({"max_rank": 0}, "max_rank: got 0"),
    ],
)
def test_evaluate_retrieval_refuses(change, message):
    arguments = {
        "query_embedding": np.ones((2, 3)),
        "gallery_embedding": np.ones((3, 3)),
        "query_person_id": [1, 2],
        "gallery_person_id": [1, 2, 3],
        "query_camera_id": [1, 1],
        "gallery_camera_id": [2, 2, 2],
    } | change
    with pytest.raises(ValueError, match=message):
        evaluate_retrieval(arguments.pop("query_embedding"), arguments.pop("gallery_embedding"), **arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_evaluate_distances_refuses_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="distance: got NaN or infinity"):
        evaluate_distances([[bad, 1.0]], query_person_id=[1], gallery_person_id=[1, 2])


def test_rank_refuses_a_rank_that_was_not_computed():
    with pytest.raises(ValueError, match="rank: got 51; expected 1 to 50"):
        by_hand("plain").rank(51)


def test_repr_of_a_result_is_one_line_with_the_main_numbers():
    """By hand: the first query finds its person second of two; the second query has no match."""
    result = evaluate_distances([[0.1, 0.2], [0.3, 0.4]], query_person_id=[1, 3], gallery_person_id=[2, 1])
    assert repr(result) == (
        "RetrievalResult(Rank-1 0.00%, Rank-5 100.00%, mAP 50.00%, mINP 50.00%, 2 queries (1 of them without a match))"
    )
