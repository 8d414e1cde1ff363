"""Tables of crops and their splits by person."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.data.identities import IdentityTable, labels, query_gallery, split_identities


def _table(rows: list[tuple[int, int | None]]) -> IdentityTable:
    """Crops named 0.jpg, 1.jpg, .. of (person, camera)."""
    cameras = [camera for _, camera in rows]
    return IdentityTable(
        path=np.array([f"{i}.jpg" for i in range(len(rows))]),
        person_id=np.array([person for person, _ in rows]),
        camera_id=None if None in cameras else np.array(cameras),
    )


def _world(persons: int = 20, cameras: int = 3, crops: int = 4) -> IdentityTable:
    return _table([(10 * p, c) for p in range(1, persons + 1) for c in range(1, cameras + 1) for _ in range(crops)])


def test_labels_follow_the_sorted_identities() -> None:
    assert labels(np.array([7, 2, 1499, 7, 2])).tolist() == [1, 0, 2, 1, 0]


def test_labels_of_nothing_are_nothing() -> None:
    assert labels(np.array([], dtype=np.int64)).shape == (0,)


@pytest.mark.parametrize("person_id", [0, -1])
def test_labels_refuse_junk_and_distractors(person_id: int) -> None:
    with pytest.raises(ValueError, match=f"labels: got person_id {person_id}; expected ids from 1"):
        labels(np.array([3, person_id]))


def test_identity_table_refuses_an_unknown_kind_of_person() -> None:
    with pytest.raises(ValueError, match=r"IdentityTable.person_id: got -2 in row 1; expected ids from 1"):
        IdentityTable(path=np.array(["a", "b"]), person_id=np.array([1, -2]))


def test_identity_table_selects_rows_without_cameras() -> None:
    table = _table([(1, None), (2, None), (3, None)])[[2, 0]]
    assert table.path.tolist() == ["2.jpg", "0.jpg"] and table.camera_id is None


def test_split_identities_parts_persons_not_images() -> None:
    train, held_out = split_identities(_world(), 0.25, 0)
    assert not set(train.person_id) & set(held_out.person_id)
    assert set(train.person_id) | set(held_out.person_id) == set(range(10, 201, 10))
    assert len(set(held_out.person_id)) == 5
    assert len(train) + len(held_out) == len(_world())


def test_split_identities_repeats_with_its_seed_and_changes_with_another() -> None:
    first, again, other = (split_identities(_world(), 0.25, seed)[1].path.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_split_identities_does_not_depend_on_the_order_of_rows() -> None:
    table = _world()
    reversed_rows = table[np.arange(len(table))[::-1]]
    assert set(split_identities(table, 0.3, 5)[1].path) == set(split_identities(reversed_rows, 0.3, 5)[1].path)


def test_split_identities_of_zero_keeps_everybody() -> None:
    train, held_out = split_identities(_world(), 0.0, 0)
    assert len(train) == len(_world()) and len(held_out) == 0


@pytest.mark.parametrize("fraction", [1e-6, 0.999999])
def test_split_identities_leaves_somebody_on_each_side(fraction: float) -> None:
    train, held_out = split_identities(_world(persons=3), fraction, 0)
    assert len(train) and len(held_out)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_split_identities_refuses_a_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(ValueError, match="split_identities: got fraction"):
        split_identities(_world(), fraction, 0)


def test_split_identities_refuses_a_single_person() -> None:
    with pytest.raises(ValueError, match=r"got 1 person\(s\); expected at least 2"):
        split_identities(_world(persons=1), 0.5, 0)


def test_query_gallery_asks_once_per_person_and_camera() -> None:
    table = _world(persons=6, cameras=3, crops=4)
    query, gallery = query_gallery(table, 0)
    assert query.camera_id is not None
    asked = sorted(zip(query.person_id.tolist(), query.camera_id.tolist()))
    assert asked == [(10 * p, c) for p in range(1, 7) for c in (1, 2, 3)]
    assert sorted([*query.path, *gallery.path]) == sorted(table.path)


def test_query_gallery_leaves_every_query_an_answer_in_another_camera() -> None:
    rng = np.random.default_rng(0)
    table = _table([(int(p), int(c)) for p, c in zip(rng.integers(1, 30, 150), rng.integers(1, 5, 150))])
    query, gallery = query_gallery(table, 0)
    assert query.camera_id is not None and gallery.camera_id is not None
    for person, camera in zip(query.person_id, query.camera_id):
        assert ((gallery.person_id == person) & (gallery.camera_id != camera)).any()


def test_query_gallery_does_not_ask_for_a_person_of_one_camera() -> None:
    query, gallery = query_gallery(_table([(1, 1), (1, 1), (1, 2), (1, 2), (2, 1), (2, 1)]), 0)
    assert set(query.person_id) == {1}
    assert (gallery.person_id == 2).sum() == 2


def test_query_gallery_without_cameras_asks_once_per_person() -> None:
    query, gallery = query_gallery(_table([(1, None)] * 3 + [(2, None)] * 2 + [(3, None)]), 0)
    assert query.person_id.tolist() == [1, 2]
    assert sorted(gallery.person_id) == [1, 1, 2, 3]


def test_query_gallery_draws_different_crops_for_another_seed() -> None:
    table = _world()
    first, again, other = (query_gallery(table, seed)[0].path.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_query_gallery_refuses_a_table_without_answers() -> None:
    with pytest.raises(ValueError, match=r"expected a person with crops from two cameras.*leave the cameras out"):
        query_gallery(_table([(1, 1), (1, 1), (2, 2), (2, 2)]), 0)
    with pytest.raises(ValueError, match=r"got 2 crops of 2 persons, none with an answer; expected a person with two"):
        query_gallery(_table([(1, None), (2, None)]), 0)
