"""How sure is a score? Bootstrap intervals over the units that vary together: identities, or sequences."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.metrics.mot import MotResult
from mot_reid.metrics.retrieval import RetrievalResult


class Interval(NamedTuple):
    """A percentile interval of a score, in the unit of the score."""

    low: float
    high: float


def bootstrap(
    result: RetrievalResult,
    query_person_id: ArrayLike,
    *,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> dict[str, Interval]:
    """Returns intervals of rank1, rank5, rank10, mean_ap and mean_inp, from resampled identities.

    Queries of one person rise and fall together, so whole identities are drawn, with replacement, and the scores are
    averaged over their valid queries. Drawing single queries would give intervals that are too narrow. The gallery
    stays as it is.

    Args:
        result: From `evaluate_retrieval` or `evaluate_distances`.
        query_person_id: (Q,) integers, those the result was computed with.
        samples: How often the identities are drawn.
        confidence: Share of the samples inside the interval.
        seed: Seed, or generator to draw from.

    Returns:
        Percentile intervals under the keys `rank1`, `rank5`, `rank10` (as far as computed), `mean_ap`, `mean_inp`.

    Raises:
        ValueError: If the ids do not belong to the result or an option is out of range.

    Reference:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13 (clustered data, percentiles).
    """
    person = np.asarray(query_person_id)
    if person.shape != result.valid.shape:
        raise ValueError(f"query_person_id: got shape {person.shape}; expected {result.valid.shape}, as in the result")
    columns = {f"rank{k}": (result.first_rank <= k).astype(np.float64) for k in (1, 5, 10) if k <= len(result.cmc)} | {
        "mean_ap": result.ap,
        "mean_inp": result.inp,
    }
    values = np.stack(list(columns.values()), axis=1)[result.valid]
    _, group = np.unique(person[result.valid], return_inverse=True)
    totals = np.stack([np.bincount(group, weights=column) for column in values.T], axis=1)
    drawn = draw_counts(len(totals), samples=samples, seed=seed)
    scores = (drawn @ totals) / (drawn @ np.bincount(group))[:, None]
    return dict(zip(columns, percentile_intervals(scores, confidence=confidence)))


def draw_counts(units: int, *, samples: int, seed: int | np.random.Generator) -> IntArray:
    """Returns (samples, units): how often each unit was drawn when as many as there are were drawn with replacement."""
    if samples < 1:
        raise ValueError(f"samples: got {samples}; expected at least 1")
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=samples)


def percentile_intervals(scores: FloatArray, *, confidence: float) -> list[Interval]:
    """Returns the interval of each column of (samples, scores)."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: got {confidence}; expected between 0 and 1")
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high)]


def bootstrap_mot(
    result: MotResult, *, samples: int = 1000, confidence: float = 0.95, seed: int | np.random.Generator = 0
) -> dict[str, Interval]:
    """Returns intervals of hota, deta, assa, mota and idf1 of the combined score, from resampled sequences.

    Sequences are drawn with replacement and their counts summed as in the combined score. With a handful of sequences
    the interval is rough: it says which differences are surely noise, not which are surely none.

    Args:
        result: From `evaluate_mot`.
        samples: How often the sequences are drawn.
        confidence: Share of the samples inside the interval.
        seed: Seed, or generator to draw from.

    Raises:
        ValueError: If an option is out of range.
    """
    names = ("hota", "deta", "assa", "mota", "idf1")
    sequences = list(result.sequences.values())
    drawn = draw_counts(len(sequences), samples=samples, seed=seed)
    rows = []
    for counts in drawn:
        scores = reduce(add, (sequences[n] for n in np.repeat(np.arange(len(sequences)), counts))).to_dict()
        rows.append([scores[name] for name in names])
    return dict(zip(names, percentile_intervals(np.array(rows), confidence=confidence)))
