"""The search for similar pairs against the table of all pairs, and what the limit on pairs of a tracklet leaves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mot_reid.linking import similar
from mot_reid.linking.link import link
from mot_reid.linking.similar import similar_pairs
from tests.linking.test_link import CALIBRATION, tracklets


def kept_by_the_table(embedding, least, most_each):
    """From the definition: each row's most similar partners, in the table of all pairs."""
    table = embedding @ embedding.T
    np.fill_diagonal(table, -2)
    pairs = set()
    for row, values in enumerate(table):
        for other in np.argsort(-values)[:most_each]:
            if values[other] >= least:
                pairs.add((min(row, int(other)), max(row, int(other))))
    return pairs, table


@pytest.mark.parametrize("most_each", [3, 10_000])
def test_pairs_equal_those_of_the_table_over_several_tiles(monkeypatch, most_each) -> None:
    """With a small tile the kept pairs are shortened several times on the way."""
    monkeypatch.setattr(similar, "_TILE", 64)
    embedding = tracklets(np.random.default_rng(0).integers(0, 60, 700), noise=0.8).embedding
    found = similar_pairs(embedding, 0.1, most_each=most_each)
    expected, table = kept_by_the_table(embedding, 0.1, most_each)
    assert set(zip(found.a.tolist(), found.b.tolist())) == expected
    assert (found.a < found.b).all() and (np.diff(found.similarity) <= 0).all()
    assert_allclose(found.similarity, table[found.a, found.b], atol=1e-6)


def test_rank_counts_the_pairs_that_were_dropped_too() -> None:
    embedding = tracklets(np.random.default_rng(0).integers(0, 5, 300), noise=0.8).embedding
    found = similar_pairs(embedding, 0.1, most_each=5)
    assert len(found.a) < 1500 and len(similar_pairs(embedding, 0.1).a) > 8000
    every = np.sort((embedding @ embedding.T)[np.triu_indices(300, 1)])
    exact = len(every) - np.searchsorted(every, found.similarity - 1e-6)
    coarse = len(every) - np.searchsorted(every, found.similarity + 0.00101)  # one bin above: never more than there are
    assert (found.rank <= exact).all() and (found.rank >= np.maximum(coarse, 1)).all()


def test_tiles_and_the_limit_join_as_the_table_of_all_pairs_does(monkeypatch) -> None:
    seen = tracklets(np.random.default_rng(3).integers(0, 50, 600), noise=1.0)
    whole = link(seen, CALIBRATION, max_false_links=0.2)
    assert 50 < len(whole.links) < 560
    monkeypatch.setattr(similar, "_TILE", 37)
    tiled = link(seen, CALIBRATION, max_false_links=0.2)
    assert tiled.global_id.tolist() == whole.global_id.tolist() and tiled.threshold == pytest.approx(whole.threshold)


def test_few_pairs_of_each_join_persons_of_many_tracklets() -> None:
    """100 tracklets of each person, of which each knows its five most similar ones only."""
    from mot_reid.linking.agglomerate import Groups
    from mot_reid.linking.tracklets import Constraints

    persons = np.repeat(np.arange(4), 100)
    seen = tracklets(persons, noise=0.8)
    pairs = similar_pairs(seen.embedding, 0.3, most_each=5)
    assert len(pairs.a) < 400 * 5 < len(similar_pairs(seen.embedding, 0.3).a)
    groups = Groups(seen.embedding, Constraints(seen, {}, frozenset()), [])
    groups.join(pairs.a, pairs.b, 0.3)
    assert {frozenset(group) for group in groups.groups()} == {
        frozenset(np.flatnonzero(persons == person).tolist()) for person in range(4)
    }


def test_no_rows_and_one_have_no_pairs() -> None:
    for rows in (0, 1):
        assert len(similar_pairs(np.ones((rows, 4), np.float32), -2).a) == 0
