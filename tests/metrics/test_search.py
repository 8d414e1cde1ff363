"""Search against a full sort of all similarities, and FAISS's exact index beside it."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.metrics import search
from mot_reid.metrics.search import nearest


def unit(count: int, *, seed: int, size: int = 16) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("engine", ["numpy", "faiss"])
@pytest.mark.parametrize("count", [1, 7, 50])
def test_nearest_are_the_first_of_a_full_sort(engine: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "faiss":
        pytest.importorskip("faiss")
    monkeypatch.setattr(search, "_SLICE", 20)  # smaller than what is asked for, and no divisor of the gallery
    query, gallery = unit(5, seed=0), unit(333, seed=1)
    row, similarity = nearest(query, gallery, count=count, engine=engine)
    everything = query.astype(np.float64) @ gallery.T.astype(np.float64)
    expected = np.argsort(-everything, axis=1)[:, :count]
    np.testing.assert_array_equal(row, expected)
    np.testing.assert_allclose(similarity, np.take_along_axis(everything, expected, axis=1), atol=1e-6)
    assert row.dtype == np.int64 and similarity.dtype == np.float32


def test_gallery_smaller_than_the_count_is_returned_whole() -> None:
    row, similarity = nearest(unit(2, seed=0), unit(3, seed=1), count=10)
    assert row.shape == similarity.shape == (2, 3)
    assert [sorted(rows) for rows in row.tolist()] == [[0, 1, 2]] * 2


def test_equally_similar_rows_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_SLICE", 2)
    gallery = np.array([[0, 1], [1, 0], [1, 0], [1, 0]], np.float32)
    assert nearest(gallery[1:2], gallery, count=3)[0].tolist() == [[1, 2, 3]]


def test_bad_input_is_refused() -> None:
    query, gallery = unit(2, seed=0), unit(3, seed=1)
    with pytest.raises(ValueError, match=r"count: got 0; expected 1 or more"):
        nearest(query, gallery, count=0)
    with pytest.raises(ValueError, match=r"engine: got 'annoy'; expected"):
        nearest(query, gallery, engine="annoy")
    with pytest.raises(ValueError, match="gallery"):
        nearest(query, unit(3, seed=1, size=8))
    with pytest.raises(ValueError, match="query"):
        nearest(np.full((1, 16), np.nan), gallery)
