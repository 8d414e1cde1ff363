"""Samplers: what a batch holds, how even an epoch is, and that ranks share the batches of one process."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mot_reid.training.sampler import PKSampler, ShuffleSampler

LABELS = np.repeat([40, 7, 12, 3, 99, 5, 61], [9, 4, 6, 2, 13, 1, 5])


def people_of(batch: list[int], *, images: int, labels: np.ndarray = LABELS) -> list[int]:
    """The identity of each group of `images` in a row; fails if a group mixes identities."""
    groups = labels[np.array(batch).reshape(-1, images)]
    assert (groups == groups[:, :1]).all()
    return groups[:, 0].tolist()


@st.composite
def settings_of_pk(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, int]]:
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=9))
    labels = np.random.default_rng(draw(st.integers(0, 99))).permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))
    chosen = {
        "identities": draw(st.integers(1, len(sizes))),
        "images": draw(st.integers(1, 6)),
        "batches": draw(st.integers(1, 9)),
        "seed": draw(st.integers(0, 9)),
    }
    return labels, chosen


@settings(max_examples=60, deadline=None, derandomize=True)
@given(settings_of_pk())
def test_batch_holds_exactly_p_identities_times_k_images(case: tuple[np.ndarray, dict[str, int]]) -> None:
    labels, chosen = case
    batches = list(PKSampler(labels, **chosen))
    assert len(batches) == chosen["batches"]
    for batch in batches:
        people = people_of(batch, images=chosen["images"], labels=labels)
        assert len(set(people)) == len(people) == chosen["identities"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(settings_of_pk())
def test_epoch_visits_identities_and_images_evenly(case: tuple[np.ndarray, dict[str, int]]) -> None:
    """Visits of identities, and uses of the images of one identity, differ by at most one."""
    labels, chosen = case
    batches = list(PKSampler(labels, **chosen))
    visits = Counter(person for batch in batches for person in people_of(batch, images=chosen["images"], labels=labels))
    counts = [visits[person] for person in np.unique(labels)]
    assert max(counts) - min(counts) <= 1
    for person in np.unique(labels):
        uses = Counter(image for batch in batches for image in batch if labels[image] == person)
        counts = [uses[image] for image in np.flatnonzero(labels == person)]
        assert max(counts) - min(counts) <= 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(settings_of_pk())
def test_images_repeat_within_a_batch_only_as_far_as_needed(case: tuple[np.ndarray, dict[str, int]]) -> None:
    labels, chosen = case
    for batch in PKSampler(labels, **chosen):
        for group in np.array(batch).reshape(-1, chosen["images"]):
            available = int((labels == labels[group[0]]).sum())
            assert len(set(group.tolist())) == min(available, chosen["images"])
            assert max(Counter(group.tolist()).values()) == -(-chosen["images"] // available)


def test_identities_in_a_batch_are_shuffled() -> None:
    """Not visited in the order of their labels, nor in the same company in each round."""
    labels = np.repeat(np.arange(40), 2)
    first, second = (
        [frozenset(people_of(batch, images=2, labels=labels)) for batch in batches]
        for batches in np.split(np.array(list(PKSampler(labels, identities=4, images=2, batches=20))), 2)
    )
    assert set(first) != set(second)
    assert set(first) != {frozenset(range(i, i + 4)) for i in range(0, 40, 4)}


def test_pairs_of_images_are_shuffled() -> None:
    """Over epochs, an image meets every other image of its identity."""
    sampler = PKSampler(np.zeros(6, dtype=int), identities=1, images=2)
    partners = set()
    for epoch in range(60):
        sampler.set_epoch(epoch)
        partners |= {frozenset(batch) for batch in sampler}
    assert len(partners) == 15


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_ranks_together_are_the_single_process_batch_in_order(world_size: int) -> None:
    """Fails for ranks that draw for themselves, interleave identities, or split one between them."""
    arguments = {"identities": 6, "images": 3, "batches": 11, "seed": 5}
    whole = PKSampler(LABELS, **arguments)
    parts = [PKSampler(LABELS, **arguments, rank=rank, world_size=world_size) for rank in range(world_size)]
    for sampler in (whole, *parts):
        sampler.set_epoch(3)
    for batch, *shares in zip(whole, *parts, strict=True):
        assert batch == [image for share in shares for image in share]
        assert all(len(share) == 18 // world_size for share in shares)


def test_shuffle_ranks_together_are_the_single_process_batch_in_order() -> None:
    whole = list(ShuffleSampler(50, batch_size=12, seed=1))
    parts = [list(ShuffleSampler(50, batch_size=12, seed=1, rank=rank, world_size=3)) for rank in range(3)]
    assert [[image for share in shares for image in share] for shares in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize(
    "build",
    [
        lambda seed: PKSampler(LABELS, identities=3, images=4, seed=seed),
        lambda seed: ShuffleSampler(40, batch_size=8, seed=seed),
    ],
    ids=["pk", "shuffle"],
)
class TestBothSamplers:
    def test_batches_depend_on_seed_and_epoch_alone(self, build) -> None:  # type: ignore[no-untyped-def]
        sampler = build(4)
        sampler.set_epoch(2)
        expected = list(sampler)
        assert list(sampler) == expected
        fresh = build(4)
        list(fresh)
        fresh.set_epoch(2)
        assert list(fresh) == expected

    @pytest.mark.parametrize(("seed", "epoch"), [(4, 1), (5, 2), (2, 4)])
    def test_other_seed_or_epoch_gives_other_batches(self, build, seed: int, epoch: int) -> None:  # type: ignore[no-untyped-def]
        """(2, 4) against (4, 2): seed and epoch are not merely added."""
        sampler, other = build(4), build(seed)
        sampler.set_epoch(2)
        other.set_epoch(epoch)
        assert list(sampler) != list(other)

    def test_skip_yields_the_rest_of_the_epoch(self, build) -> None:  # type: ignore[no-untyped-def]
        sampler = build(0)
        sampler.set_epoch(1)
        expected = list(sampler)[2:]
        sampler.set_epoch(1, skip=2)
        assert list(sampler) == expected
        assert len(sampler) == len(expected)

    def test_pickled_sampler_goes_on_alike(self, build) -> None:  # type: ignore[no-untyped-def]
        sampler = build(0)
        sampler.set_epoch(3)
        assert list(pickle.loads(pickle.dumps(sampler))) == list(sampler)

    def test_global_random_state_is_left_alone(self, build) -> None:  # type: ignore[no-untyped-def]
        np.random.seed(0)
        expected = np.random.random()
        np.random.seed(0)
        list(build(0))
        assert np.random.random() == expected


def test_default_length_is_images_over_batch_size() -> None:
    """Market-1501: 12,936 images, 202 batches of 64."""
    labels = np.arange(12936) % 751
    sampler = PKSampler(labels, identities=16, images=4)
    assert len(sampler) == len(list(sampler)) == 202
    assert len(PKSampler(LABELS, identities=7, images=9)) == 1
    assert len(ShuffleSampler(12936, batch_size=64)) == 202


def test_shuffle_epoch_uses_no_image_twice() -> None:
    drawn = [image for batch in ShuffleSampler(50, batch_size=12) for image in batch]
    assert len(set(drawn)) == len(drawn) == 48
    assert drawn != sorted(drawn)


def test_shuffle_with_more_batches_repeats_in_rounds_without_twins_in_a_batch() -> None:
    batches = list(ShuffleSampler(7, batch_size=4, batches=20))
    uses = Counter(image for batch in batches for image in batch)
    assert set(uses) == set(range(7)) and max(uses.values()) - min(uses.values()) <= 1
    assert all(len(set(batch)) == 4 for batch in batches)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"identities": 8, "images": 2},
            r"data.identities: got 8; expected at most 7, the identities in the training",
        ),
        (
            {"identities": 5, "images": 2, "world_size": 2},
            "data.identities: got 5 for 2 processes; expected a multiple",
        ),
        ({"identities": 0, "images": 2}, "expected labels .N,. and at least 1 identity and 1 image"),
        ({"identities": 2, "images": 0}, "at least 1 identity and 1 image"),
        ({"identities": 2, "images": 2, "batches": 0}, "data.batches_per_epoch: got 0; expected at least 1"),
        ({"identities": 2, "images": 2, "rank": 2, "world_size": 2}, "sampler.rank: got 2 of world_size 2"),
    ],
)
def test_pk_sampler_refuses(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PKSampler(LABELS, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 11}, "batch size: got 11; expected 1 to 10"),
        ({"batch_size": 5, "world_size": 2}, "batch size: got 5 for 2 processes"),
    ],
)
def test_shuffle_sampler_refuses(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShuffleSampler(10, **arguments)


def test_set_epoch_refuses_to_skip_more_than_an_epoch() -> None:
    with pytest.raises(ValueError, match="sampler epoch: got 0, skip 4; expected epoch >= 0 and 0 <= skip <= 3"):
        ShuffleSampler(12, batch_size=4).set_epoch(0, skip=4)


SOURCES = np.repeat([0, 1, 1, 0, 0, 1, 0], [9, 4, 6, 2, 13, 1, 5])
"""Of which data set each image of LABELS is: 40, 3, 99, 61 of the first and 7, 12, 5 of the second."""
FIRST = {40, 3, 99, 61}


def mixed(**settings: object) -> list[list[int]]:
    named = {"identities": 4, "images": 2, "batches": 12, "source": SOURCES, **settings}
    return [people_of(batch, images=2) for batch in PKSampler(LABELS, **named)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "of_the_first"), [(None, {2: 12}), ([1, 1], {2: 12}), ([3, 1], {3: 12}), ([5, 3], {2: 6, 3: 6})]
)
def test_each_source_has_its_share_of_every_batch(share: list[float] | None, of_the_first: dict[int, int]) -> None:
    batches = mixed(share=share)
    assert Counter(len(FIRST & set(batch)) for batch in batches) == of_the_first
    assert all(len(set(batch)) == 4 for batch in batches)


def test_persons_of_a_source_are_visited_evenly_whatever_the_others_get() -> None:
    visits = Counter(person for batch in mixed(share=[3, 1]) for person in batch)
    for persons in (FIRST, {7, 12, 5}):
        counts = [visits[person] for person in persons]
        assert max(counts) - min(counts) <= 1
    assert sum(visits[person] for person in FIRST) == 36


def test_every_rank_sees_its_part_of_each_source() -> None:
    parts = [mixed(rank=rank, world_size=2) for rank in range(2)]
    for first, second, whole in zip(*parts, mixed(), strict=True):
        assert whole == first + second
        assert len(FIRST & set(first)) == len(FIRST & set(second)) == 1


def test_batches_of_one_source_are_what_they_were_before_there_were_several() -> None:
    named = {"identities": 3, "images": 2, "batches": 9, "seed": 4}
    plain = list(PKSampler(LABELS, **named))
    assert list(PKSampler(LABELS, **named, source=np.zeros_like(LABELS), share=[7])) == plain
    assert plain[0] == [34, 34, 12, 11, 19, 20]  # recorded from the sampler of commit d3e28f4


def test_interrupted_epoch_of_several_sources_goes_on_where_it_was() -> None:
    sampler = PKSampler(LABELS, identities=4, images=2, batches=9, source=SOURCES, share=[5, 3], seed=2)
    sampler.set_epoch(3)
    whole = list(sampler)
    sampler.set_epoch(3, skip=4)
    assert list(sampler) == whole[4:]


def test_source_with_fewer_persons_than_its_share_is_named() -> None:
    with pytest.raises(ValueError, match=r"batches with 4 identities of data set 2; expected at most its 3; lower its"):
        mixed(share=[1, 3], identities=5)
