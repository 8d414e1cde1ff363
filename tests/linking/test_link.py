"""Linking against hand cases, a naive average linkage, and rules that hold for any tracklets."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from mot_reid.linking.agglomerate import Groups
from mot_reid.linking.chance import Chance, chance, false_shares
from mot_reid.linking.link import link
from mot_reid.linking.similar import similar_pairs
from mot_reid.linking.tracklets import Constraints, Tracklets

SIMILARITY = np.linspace(-0.2, 0.6, 60)
CALIBRATION = {"roc": [(s, norm.sf(s, scale=1 / 8), 1.0) for s in SIMILARITY]}
"""Of random unit vectors in 64 dimensions: a normal distribution of standard deviation 1/8."""


def tracklets(persons, *, noise=0.1, cameras=None, seed=0, dim=64, begin=None) -> Tracklets:
    """Unit vectors around one random direction for each person; each tracklet in a camera of its own if not given."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(max(persons) + 1, dim)) / np.sqrt(dim)
    vector = centre[persons] + noise * rng.normal(size=(len(persons), dim)) / np.sqrt(dim)
    unit = vector / np.linalg.norm(vector, axis=1, keepdims=True)
    start = np.zeros(len(persons)) if begin is None else np.array(begin, float)
    camera = np.arange(len(persons)) if cameras is None else cameras
    return Tracklets(camera, np.arange(len(persons)), start, start + 10, unit)


def test_persons_that_lie_apart_are_joined_and_numbered_in_their_order() -> None:
    linked = link(tracklets([2, 0, 2, 1, 0, 2]), CALIBRATION, max_false_links=0.05)
    assert linked.global_id.tolist() == [1, 2, 1, 3, 2, 1]
    assert len(linked.links) == 3
    for one in linked.links:
        assert one.similarity >= linked.threshold and one.best >= one.similarity - 1e-6
        assert one.expected_false <= 0.05 and one.gap_seconds == -10


@pytest.mark.parametrize("seed", range(20))
def test_the_only_pair_that_is_similar_enough_is_joined_whatever_its_rounding(seed) -> None:
    """The threshold is its own similarity, in single precision."""
    seen = tracklets([0, 1, 0, 2], noise=0.3, seed=seed)
    assert link(seen, CALIBRATION, max_false_links=0.05).global_id.tolist() == [1, 2, 1, 3]


def test_nobody_is_joined_where_all_are_strangers() -> None:
    linked = link(tracklets(list(range(40))), CALIBRATION, max_false_links=0.05)
    assert linked.global_id.tolist() == list(range(1, 41)) and linked.links == ()


def test_one_camera_shows_a_person_once_at_a_time() -> None:
    """Rows 0 and 1 overlap in camera 0; row 2 in camera 1 may be one of them, not both."""
    linked = link(tracklets([0, 0, 0], cameras=[0, 0, 1], begin=[0, 5, 30]), CALIBRATION, max_false_links=0.05)
    assert linked.global_id[0] != linked.global_id[1]
    assert linked.global_id[2] in linked.global_id[:2]
    after = link(tracklets([0, 0, 0], cameras=[0, 0, 1], begin=[0, 15, 30]), CALIBRATION, max_false_links=0.05)
    assert after.global_id.tolist() == [1, 1, 1]


def test_travel_times_forbid_what_nobody_can_walk() -> None:
    seen = tracklets([0, 0], cameras=[0, 1], begin=[0, 12])  # 2 seconds from the end of one to the begin of the other
    for window, joined in {(0, 5): True, (3, 60): False}.items():
        linked = link(seen, CALIBRATION, max_false_links=0.05, travel_seconds={(0, 1): window})
        assert len(set(linked.global_id)) == (1 if joined else 2)


def test_must_and_cannot_are_kept() -> None:
    seen = tracklets([0, 0, 1, 2])
    linked = link(seen, CALIBRATION, max_false_links=0.05, must=[(3, 2)], cannot=[(1, 0)])
    assert linked.global_id.tolist() == [1, 2, 3, 3]
    assert linked.links == ()
    named = "must: got rows 0 and 1, track 0 of camera 0 and track 1 of camera 1, as one person, which cannot be"
    with pytest.raises(ValueError, match=named):
        link(seen, CALIBRATION, max_false_links=0.05, must=[(0, 2), (2, 1)], cannot=[(0, 1)])


def test_classes_are_never_joined() -> None:
    seen = tracklets([0, 0]).replace(class_id=[0, 1])
    assert link(seen, CALIBRATION, max_false_links=0.05).global_id.tolist() == [1, 2]


def test_order_of_the_tracklets_plays_no_part() -> None:
    persons = np.random.default_rng(1).integers(0, 12, 60)
    seen = tracklets(persons, noise=0.9)
    found = link(seen, CALIBRATION, max_false_links=0.2).global_id
    order = np.random.default_rng(2).permutation(60)
    moved = link(seen[order], CALIBRATION, max_false_links=0.2).global_id
    assert len(set(found)) < 60
    assert_allclose(found[order][:, None] == found[order], moved[:, None] == moved)


def test_a_smaller_share_of_false_links_joins_less() -> None:
    seen = tracklets(np.repeat(np.arange(40), 4), noise=1.3)
    joined = [len(link(seen, CALIBRATION, max_false_links=share).links) for share in (1e-4, 0.01, 0.1, 0.5)]
    assert joined == sorted(joined) and joined[0] < joined[-1]


def naive_average_linkage(similarity, allowed, least):
    """From the definition: join the two groups of the highest mean that may be joined, until none is high enough."""
    groups = [[n] for n in range(len(similarity))]
    while True:
        best = None
        for i, a in enumerate(groups):
            for j in range(i):
                b = groups[j]
                mean = similarity[np.ix_(a, b)].mean()
                if allowed[np.ix_(a, b)].all() and mean >= least and (best is None or mean > best[0]):
                    best = (mean, i, j)
        if best is None:
            return {frozenset(group) for group in groups}
        groups[best[2]] += groups.pop(best[1])


@pytest.mark.parametrize("seed", range(8))
def test_groups_equal_naive_average_linkage_with_constraints(seed) -> None:
    rng = np.random.default_rng(seed)
    seen = tracklets(rng.integers(0, 6, 24), noise=1.0, cameras=rng.integers(0, 3, 24), seed=seed, dim=16,
                     begin=rng.integers(0, 60, 24))  # fmt: skip
    constraints = Constraints(seen, {}, frozenset())
    similarity = seen.embedding.astype(float) @ seen.embedding.T.astype(float)
    begin, end, camera = seen.begin_seconds, seen.end_seconds, seen.camera_id
    together = (camera[:, None] == camera) & (begin[:, None] <= end) & (begin <= end[:, None])
    groups = Groups(seen.embedding, constraints, [])
    pairs = similar_pairs(seen.embedding, 0.2)
    merges = groups.join(pairs.a, pairs.b, 0.2)
    assert {frozenset(group) for group in groups.groups()} == naive_average_linkage(similarity, ~together, 0.2)
    assert merges
    for merge in merges:
        assert merge.similarity == pytest.approx(similarity[np.ix_(merge.left, merge.right)].mean(), abs=1e-5)


def test_chance_follows_the_strangers_of_the_footage() -> None:
    """Strangers with a common background are more alike than those of the calibration, by a third."""
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(1500, 64)) / 8
    alike = plain + np.sqrt(0.5) * rng.normal(size=64) / 8
    for vectors in (plain, alike):
        unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        found = chance(CALIBRATION, unit)
        pairs = (unit[:1200] @ unit[:1200].T)[np.triu_indices(1200, 1)]
        for similarity in np.quantile(pairs, [0.25, 0.5]):
            assert found.rate(similarity) == pytest.approx((pairs >= similarity).mean(), rel=0.1)


def test_few_tracklets_keep_the_stored_calibration() -> None:
    found = chance(CALIBRATION, tracklets([0, 0, 0]).embedding)
    stored = np.array(CALIBRATION["roc"])
    likely = stored[:, 1] > 1e-3
    assert_allclose(found.rate(stored[5:, 0])[likely[5:]], stored[5:, 1][likely[5:]], rtol=0.15)
    assert_allclose(found.rate(stored[~likely, 0]), 1e-3 * (stored[~likely, 1] / 1e-3) ** 0.7, rtol=0.15)
    assert found.rate(0.7) < found.rate(0.5)


def test_false_shares_by_hand() -> None:
    """Of 100 pairs 0.1, 1 and 10 strangers are expected at 0.9, 0.5 and 0.1, and are counted twice."""
    strangers = Chance(np.array([0.1, 0.5, 0.9]), np.log([0.1, 0.01, 0.001]))
    assert_allclose(false_shares(np.array([0.9, 0.9, 0.5, 0.1]), np.arange(1, 5), strangers, 100), [0.1, 0.1, 2 / 3, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding": np.ones((2, 4))}, "a vector of length 1"),
        ({"end_seconds": [-1.0, 20.0]}, "not before begin_seconds"),
        ({"camera_id": [-1, 0]}, "numbers from 0"),
    ],
)
def test_wrong_tracklets_are_refused(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        tracklets([0, 1]).replace(**change)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"max_false_links": 0.0}, "max_false_links: got 0.0"),
        (
            {"max_false_links": 0.1, "must": [(0, 7)]},
            "must: got the pair 0, 7; expected two different rows from 0 to 1",
        ),
        ({"max_false_links": 0.1, "cannot": [(1, 1)]}, "cannot: got the pair 1, 1"),
    ],
)
def test_wrong_arguments_are_refused(keywords, message) -> None:
    with pytest.raises(ValueError, match=message):
        link(tracklets([0, 1]), CALIBRATION, **keywords)


def test_an_uncalibrated_model_is_refused() -> None:
    with pytest.raises(ValueError, match="use a calibrated checkpoint"):
        link(tracklets([0, 1]), {}, max_false_links=0.1)


def test_no_tracklets_and_one_are_no_links() -> None:
    for rows in (slice(0), slice(1)):
        assert link(tracklets([0, 1])[rows], CALIBRATION, max_false_links=0.1).links == ()
