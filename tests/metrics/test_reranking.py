"""Re-ranking against recorded distances and metamorphic truths; query expansion against loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mot_reid.metrics.reranking as reranking
from mot_reid.metrics.reranking import expand_queries, rerank

GOLDEN = Path(__file__).parents[1] / "golden" / "retrieval.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def clusters(seed=0, queries=20, galleries=130, size=8):
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(12, size))
    return [centre[rng.integers(0, 12, n)] + 0.4 * rng.normal(size=(n, size)) for n in (queries, galleries)]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_rerank_equals_the_original_code(golden, metric):
    """Recorded from the original k-reciprocal code (torchreid) on unit embeddings, so both metrics agree.

    Fails when: k1, k2 or the weight differ by little; neighbours need not be reciprocal; no neighbourhood is expanded;
    the expansion asks for half instead of two thirds; the distance is not squared twice or not divided by the largest;
    the averaging over k2 is left out; the Jaccard distance divides by 2 instead of 2 - overlap.
    """
    distance = rerank(golden["query_embedding"], golden["gallery_embedding"], metric=metric)
    assert distance.dtype == np.float32
    assert_allclose(distance, golden["rerank_k1_20_k2_6_lambda_0_3"], atol=2e-6)


def test_rerank_does_not_depend_on_the_block_size(monkeypatch):
    query, gallery = clusters()
    whole = rerank(query, gallery)
    monkeypatch.setattr(reranking, "BLOCK_ELEMENTS", 1000)
    monkeypatch.setattr(reranking, "ROWS_PER_TASK", 3)
    assert_allclose(rerank(query, gallery), whole, atol=1e-6)


def test_rerank_of_a_permuted_gallery_is_permuted():
    query, gallery = clusters(seed=1)
    order = np.random.default_rng(2).permutation(len(gallery))
    assert_allclose(rerank(query, gallery[order]), rerank(query, gallery)[:, order], atol=1e-6)


def test_rerank_with_all_weight_on_the_distance_is_the_scaled_distance():
    query, gallery = clusters(seed=3)
    points = np.concatenate([query, gallery])
    distance = (((query[:, None] - points[None]) ** 2).sum(axis=2)) ** 2
    expected = distance[:, len(query) :] / distance.max(axis=1, keepdims=True)
    assert_allclose(rerank(query, gallery, distance_weight=1, metric="euclidean"), expected, atol=1e-5)


def test_rerank_of_fewer_images_than_k1_is_finite_and_keeps_the_obvious_order():
    distance = rerank([[1.0, 0.1]], [[0.0, 1.0], [1.0, 0.0], [1.0, 0.12]])
    assert_array_equal(np.argsort(distance[0]), [2, 1, 0])


def test_rerank_of_identical_images_is_finite():
    assert np.isfinite(rerank(np.ones((2, 4)), np.ones((30, 4)))).all()


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_expand_queries_equals_loops(alpha):
    query, gallery = clusters(seed=4)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery)]
    expected = []
    for q in unit[0]:
        similarity = unit[1] @ q
        total = q.copy()
        for g in np.argsort(-similarity)[:5]:
            total += max(similarity[g], 0) ** alpha * unit[1][g]
        expected.append(total / np.linalg.norm(total))
    assert_allclose(expand_queries(query, gallery, alpha=alpha), expected, atol=1e-5)


def test_expand_queries_gives_an_opposite_image_no_weight():
    assert_allclose(expand_queries([[1.0, 0.0]], [[-1.0, 0.1]]), [[1.0, 0.0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k1": 3, "k2": 6}, "k1, k2: got 3, 6"),
        ({"k2": 0}, "k1, k2: got 20, 0"),
        ({"distance_weight": 1.5}, "distance_weight: got 1.5; expected 0 to 1"),
        ({"metric": "dot"}, "metric: got 'dot'"),
    ],
)
def test_rerank_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        rerank(np.ones((1, 2)), np.ones((3, 2)), **options)


def test_rerank_refuses_embeddings_of_two_models():
    with pytest.raises(ValueError, match="gallery_embedding: got 3 columns; expected the query's 2"):
        rerank(np.ones((1, 2)), np.ones((3, 3)))


def test_expand_queries_refuses_no_neighbours():
    with pytest.raises(ValueError, match="neighbours, alpha: got 0"):
        expand_queries(np.ones((1, 2)), np.ones((3, 2)), neighbours=0)
