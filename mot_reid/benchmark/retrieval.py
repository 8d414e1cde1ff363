"""Retrieval: scoring Market-1501's numbers of images, and finding a person among up to a million."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from mot_reid.benchmark.machine import median_seconds
from mot_reid.benchmark.results import Figure
from mot_reid.metrics.retrieval import evaluate_retrieval
from mot_reid.metrics.search import nearest

_QUERIES, _GALLERY, _PERSONS, _CAMERAS, _SIZE = 3_368, 15_913, 750, 6, 512
_GALLERIES = (10_000, 100_000, 1_000_000)
_ASKED, _FOUND, _SMALL = 64, 10, 128
_PRODUCT = "the matrix product alone"


def measure() -> Iterator[Figure]:
    """Yields the figures of scoring and of search."""
    rng = np.random.default_rng(0)
    query, gallery = _unit(rng, _QUERIES, _SIZE), _unit(rng, _GALLERY, _SIZE)
    who = {
        f"{name}_{what}": rng.integers(1, most + 1, count)
        for name, count in (("query", _QUERIES), ("gallery", _GALLERY))
        for what, most in (("person_id", _PERSONS), ("camera_id", _CAMERAS))
    }
    product = median_seconds(lambda: query @ gallery.T, least=3)
    scored = median_seconds(lambda: evaluate_retrieval(query, gallery, **who), least=3)  # type: ignore[arg-type]
    yield Figure("retrieval/market1501", 1e3 * scored, "ms", 1e3 * product, _PRODUCT)
    for size in _GALLERIES:
        yield from _search(rng, size)


def _search(rng: np.random.Generator, size: int) -> Iterator[Figure]:
    """Yields the figures of one size of gallery, by each engine that is there."""
    people, asked = _unit(rng, size, _SMALL), _unit(rng, _ASKED, _SMALL)
    product = _products(asked, people)
    for engine in ("numpy", "faiss") if _has_faiss() else ("numpy",):
        seconds = median_seconds(partial(nearest, asked, people, count=_FOUND, engine=engine), least=3)
        name = f"retrieval/search_{engine}_{size}"
        yield Figure(name, 1e3 * seconds, "ms", 1e3 * product, _PRODUCT)


def _products(asked: np.ndarray, people: np.ndarray) -> float:
    """Seconds of the product, in slices, so that a million does not need room for all similarities."""
    return median_seconds(
        lambda: [asked @ people[start : start + 100_000].T for start in range(0, len(people), 100_000)], least=3
    )


def _unit(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    rows = rng.standard_normal((count, size), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _has_faiss() -> bool:
    try:
        import faiss  # noqa: F401
    except ImportError:
        return False
    return True
