"""The online linker against `link` over everything, hand cases, and a cut at any point."""

from __future__ import annotations

import io

import numpy as np
import pytest

from mot_reid.linking import online
from mot_reid.linking.camera_bias import Common, common
from mot_reid.linking.link import link
from mot_reid.linking.online import OnlineLinker
from mot_reid.linking.spread import Spread
from mot_reid.linking.tracklets import Tracklets
from tests.linking.test_link import CALIBRATION, tracklets


def partition(identity) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(identity == one).tolist()) for one in np.unique(identity)}


def crowd(seed: int, *, noise: float = 0.5) -> Tracklets:
    """Sixty tracklets of twelve persons in three cameras, one after the other."""
    rng = np.random.default_rng(seed)
    begin = 15 * np.arange(60)
    return tracklets(rng.integers(0, 12, 60), noise=noise, cameras=rng.integers(0, 3, 60), seed=seed, begin=begin)


@pytest.mark.parametrize("seed", range(4))
def test_tracklets_given_one_by_one_are_joined_as_link_joins_all_of_them(seed) -> None:
    seen = crowd(seed)
    linker = OnlineLinker(CALIBRATION, max_false_links=0.05)
    for one in seen:
        linker.update(one)
    whole = link(seen, CALIBRATION, max_false_links=0.05).global_id
    assert partition(linker.global_id) == partition(whole)
    assert 12 <= len(set(whole)) < 60


@pytest.mark.parametrize("cut", [0, 1, 17, 40, 60])
def test_a_state_cut_anywhere_goes_on_to_the_same_identities_and_events(cut) -> None:
    seen = crowd(5, noise=1.1)
    straight = OnlineLinker(CALIBRATION, max_false_links=0.2, most_tracklets=50)
    first = OnlineLinker(CALIBRATION, max_false_links=0.2, most_tracklets=50)
    expected = [straight.update(one) for one in seen]
    events = [first.update(one) for one in seen[:cut]]
    file = io.BytesIO()
    np.savez(file, **first.state_dict())
    file.seek(0)
    second = OnlineLinker(CALIBRATION, max_false_links=0.2, most_tracklets=50)
    second.load_state_dict(np.load(file, allow_pickle=False))
    events += [second.update(one) for one in seen[cut:]]
    assert events == expected
    assert second.global_id.tolist() == straight.global_id.tolist()
    assert len(straight.tracklets) == 50 and any(expected)


def test_a_tracklet_that_grows_towards_a_known_person_is_a_late_merge() -> None:
    """Track 1 of camera 1 looks like nobody at first, later like track 0 of camera 0."""
    seen = tracklets([0, 1, 2, 3], cameras=[0, 0, 0, 0], begin=[0, 20, 40, 60])
    linker = OnlineLinker(CALIBRATION, max_false_links=0.05)
    assert linker.update(seen) == []
    late = tracklets([4, 0], cameras=[1, 1], begin=[70, 70])
    assert linker.update(late[0].replace(track_id=[1])) == []
    assert linker.find(1, 1) == 5
    events = linker.update(late[1].replace(track_id=[1]))
    assert [(event.kind, event.global_id, event.other) for event in events] == [("merge", 1, 5)]
    assert events[0].link.expected_false <= 0.05 and events[0].link.similarity > 0.9
    assert linker.find(1, 1) == linker.find(0, 0) == 1
    assert linker.find(1, 7) is None
    assert len(linker.tracklets) == 5


def test_two_tracks_of_one_identity_at_a_time_are_split_and_the_later_one_leaves() -> None:
    seen = tracklets([0, 0], cameras=[0, 0], begin=[0, 20])  # 0 to 10 s, 20 to 30 s
    linker = OnlineLinker(CALIBRATION, max_false_links=0.05)
    linker.update(seen)
    assert linker.global_id.tolist() == [1, 1]
    events = linker.update(seen[0].replace(end_seconds=[25.0]))
    assert [(event.kind, event.global_id, event.other) for event in events] == [("split", 1, 2)]
    assert linker.global_id.tolist() == [1, 2]


def test_identities_are_never_given_twice_although_tracklets_are_forgotten() -> None:
    seen = tracklets(list(range(8)), begin=np.arange(8) * 20)
    linker = OnlineLinker(CALIBRATION, max_false_links=0.05, most_tracklets=3)
    given = []
    for one in seen:
        linker.update(one)
        given.append(int(linker.global_id[-1]))
    assert given == list(range(1, 9))
    assert linker.tracklets.track_id.tolist() == [5, 6, 7]


def test_everybody_is_forgotten_as_one_by_one_but_what_is_common_is_found_once(monkeypatch) -> None:
    """To find it compares all pairs: for each of the 2,000 people of a full site it would take minutes."""
    found: list[int] = []
    monkeypatch.setattr(online, "common", lambda seen: found.append(len(seen)) or common(seen))
    together, each = (OnlineLinker(CALIBRATION, max_false_links=0.05) for _ in range(2))
    for linker in (together, each):
        linker.update(crowd(2))
    found.clear()
    together.forget_everybody()
    assert found == [0]
    for identity in sorted(set(each.global_id.tolist())):
        each.forget(identity)
    assert len(found) > 10
    after, expected = together.state_dict(), each.state_dict()
    assert after.keys() == expected.keys() and after["next_id"] > 10
    for name in expected:
        np.testing.assert_array_equal(after[name], expected[name])
    found.clear()
    assert together.forget(1) == 0 and not found


def test_a_forgotten_person_leaves_nothing_and_comes_back_as_somebody_new() -> None:
    seen = tracklets([0, 1, 0], cameras=[0, 0, 1], begin=[0, 20, 40])
    linker = OnlineLinker(CALIBRATION, max_false_links=0.05)
    linker.update(seen)
    assert linker.global_id.tolist() == [1, 2, 1]
    assert linker.forget(1) == 2
    assert linker.global_id.tolist() == [2] and linker.state_dict()["embedding"].shape[0] == 1
    linker.update(seen[0].replace(track_id=[9], begin_seconds=[60.0], end_seconds=[70.0]))
    assert linker.global_id.tolist() == [2, 3]


def test_spread_equals_a_count_of_all_pairs_after_rows_came_changed_and_went() -> None:
    seen = crowd(2)
    linker = OnlineLinker(CALIBRATION, max_false_links=0.05, most_tracklets=40)
    for rows in (slice(0, 30), slice(20, 60), slice(5, 12)):
        linker.update(seen[rows])
    state = linker.state_dict()
    shared = Common(*(state[f"common_{name}"] for name in ("place", "mean", "overall", "deviation")))
    left = shared.without(linker.tracklets)
    pairs = (left @ left.T)[np.triu_indices(len(left), 1)]
    counted = np.histogram(pairs, bins=2000, range=(-1, 1))[0]
    assert np.abs(np.cumsum(counted - state["counts"])).max() <= 2  # a rounding may move a pair by a bin
    assert state["counts"].sum() == len(pairs)


def test_light_of_a_camera_neither_joins_strangers_nor_parts_a_person() -> None:
    """Forty persons, each before two cameras, one after the other; the light of each is as long as what a person is.

    With it 15 pairs were joined, 10 of them of strangers.
    """
    rng = np.random.default_rng(0)
    person, light = rng.normal(size=(40, 64)), rng.normal(size=(2, 64))
    camera, who = np.tile([0, 1], 40), np.repeat(np.arange(40), 2)
    vector = person[who] + light[camera] + 0.2 * rng.normal(size=(80, 64))
    seen = tracklets(who.tolist(), cameras=camera, begin=20 * np.arange(80))
    seen = seen.replace(embedding=(vector / np.linalg.norm(vector, axis=1, keepdims=True)).astype(np.float32))
    linker = OnlineLinker(CALIBRATION, max_false_links=0.05)
    for start in range(0, 80, 8):
        linker.update(seen[start : start + 8])
    same = linker.global_id[:, None] == linker.global_id[None]
    pairs = np.triu_indices(80, 1)
    assert (same[pairs] == (who[pairs[0]] == who[pairs[1]])).all()


def test_means_hold_nothing_of_a_person_who_is_forgotten() -> None:
    seen = tracklets([0, 1, 1], cameras=[0, 0, 1], begin=[0, 20, 40])
    both, one = (OnlineLinker(CALIBRATION, max_false_links=0.05) for _ in range(2))
    both.update(seen)
    assert both.forget(int(both.global_id[0])) == 1
    one.update(seen[1:])
    for name, values in one.state_dict().items():
        if name.startswith("common_") or name == "counts":
            np.testing.assert_array_equal(both.state_dict()[name], values)


def test_shares_of_the_spread_are_those_of_the_definition() -> None:
    """Twice the expected strangers by the pairs, from each similarity upwards, never rising from bin to bin."""
    spread = Spread()
    spread.count(crowd(3).embedding, np.arange(60))
    strangers = spread.strangers(OnlineLinker(CALIBRATION, max_false_links=0.1)._known)
    shares = spread.false_shares(strangers)
    edge = np.linspace(-1, 1, 2001)
    for place in (600, 1000, 1400, 1800):
        raw = []
        for lower in range(place + 1):
            above = spread.counts[lower:].sum()
            raw.append(min(2 * 1770 * float(strangers.rate(edge[lower])) / above, 1) if above else 1)
        assert shares[place] == pytest.approx(min(raw))
    assert Spread.threshold(shares, 0.05) == pytest.approx(edge[np.flatnonzero(shares <= 0.05)[0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"global_id": None}, "got none of 'global_id'"),
        ({"format_version": np.array(1)}, "got format 1; expected 2"),
        ({"format_version": np.array(1), "newer": None, "common_mean": None}, "format 1; .* to a new linker"),
        ({"format_version": None}, "got none of 'format_version'"),
        ({"common_mean": np.zeros((1, 7))}, "got means of shapes"),
        ({"common_place": None}, "got none of 'common_place'"),
        ({"global_id": np.array([1, 9])}, "got wrong identities"),
        ({"counts": np.zeros(7)}, r"counts of shape \(7,\)"),
        ({"embedding": np.ones((2, 64))}, "a vector of length 1"),
    ],
)
def test_a_wrong_state_is_refused_and_changes_nothing(change, message) -> None:
    linker = OnlineLinker(CALIBRATION, max_false_links=0.05)
    linker.update(tracklets([0, 1]))
    state = {name: value for name, value in {**linker.state_dict(), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        linker.load_state_dict(state)
    assert linker.global_id.tolist() == [1, 2]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="max_false_links: got 1"):
        OnlineLinker(CALIBRATION, max_false_links=1)
    with pytest.raises(ValueError, match="most_tracklets: got 0"):
        OnlineLinker(CALIBRATION, max_false_links=0.1, most_tracklets=0)
    linker = OnlineLinker(CALIBRATION, max_false_links=0.1)
    with pytest.raises(ValueError, match="track 0 of camera 0 twice"):
        linker.update(tracklets([0, 1])[np.array([0, 0])])
    linker.update(tracklets([0, 1]))
    with pytest.raises(ValueError, match="embeddings of size 16; expected 64"):
        linker.update(tracklets([0, 1], dim=16))
