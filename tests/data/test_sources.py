"""Several data sets as one: who is who, which camera is which, and what each is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data import sources
from mot_reid.data.identities import IdentityTable
from mot_reid.data.sources import join, read_sources
from mot_reid.metrics.retrieval import evaluate_retrieval


def table(persons: list[int], cameras: list[int] | None = None, name: str = "a") -> IdentityTable:
    paths = np.array([f"{name}/{i}.jpg" for i in range(len(persons))])
    return IdentityTable(paths, np.array(persons), None if cameras is None else np.array(cameras))


def test_persons_and_cameras_of_two_sources_with_the_same_numbers_stay_apart() -> None:
    first, second = table([1, 1, 7], [1, 2, 2]), table([7, 1], [2, 6], "b")
    ((joined, source),) = join([(first,), (second,)])
    assert joined.person_id.tolist() == [1, 1, 2, 4, 3]
    assert joined.camera_id is not None and joined.camera_id.tolist() == [1, 2, 2, 3, 4]
    assert source.tolist() == [0, 0, 0, 1, 1]
    assert joined.path.tolist() == [*first.path, *second.path]


def test_one_source_keeps_its_numbers() -> None:
    only = table([5, 9], [3, 3])
    ((joined, source),) = join([(only,)])
    assert joined is only and source.tolist() == [0, 0]


def test_query_and_gallery_of_a_source_name_a_person_alike_and_distractors_stay_distractors() -> None:
    query, gallery = join(
        [(table([4], [1]), table([0, 4, -1], [2, 2, 2])), (table([4], [1], "b"), table([9, 4, 0], [1, 2, 1], "b"))]
    )
    assert query.table.person_id.tolist() == [1, 2]
    assert gallery.table.person_id.tolist() == [0, 1, -1, 3, 2, 0]


def test_source_without_cameras_is_asked_as_without_cameras_beside_one_that_has_some() -> None:
    """Every crop of a person in the gallery answers, as where no camera is known."""
    parts = [(table([1], [1]), table([1, 2], [2, 2])), (table([1], None, "b"), table([1, 2], None, "b"))]
    query, gallery = join(parts)
    assert query.table.camera_id is not None and gallery.table.camera_id is not None
    result = evaluate_retrieval(
        np.eye(2, 4),
        np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]),
        query_person_id=query.table.person_id,
        gallery_person_id=gallery.table.person_id,
        query_camera_id=query.table.camera_id,
        gallery_camera_id=gallery.table.camera_id,
    )
    assert result.valid.tolist() == [True, True] and result.rank(1) == 1.0


def test_no_source_knows_cameras() -> None:
    ((joined, _),) = join([(table([1]),), (table([1], None, "b"),)])
    assert joined.camera_id is None and joined.person_id.tolist() == [1, 2]


def test_huge_numbers_of_persons_do_not_overflow() -> None:
    ((joined, _),) = join([(table([2**63 - 1, 3]),), (table([2**63 - 1]),)])
    assert joined.person_id.tolist() == [2, 1, 3]


def folders(root: Path, *persons: str) -> str:
    for person in persons:
        (root / person).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (4, 8)).save(root / person / f"{i}.png")
    return str(root)


def market(root: Path) -> str:
    for folder, names in (
        ("bounding_box_train", ("0001_c1_f0000001.jpg", "0001_c2_f0000001.jpg")),
        ("query", ("0002_c1_f0000001.jpg",)),
        ("bounding_box_test", ("0002_c2_f0000001.jpg",)),
    ):
        (root / folder).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (4, 8)).save(root / folder / name)
    return str(root)


def test_each_source_is_taken_by_its_layout_and_says_where_it_is_from(tmp_path: Path) -> None:
    found = read_sources([market(tmp_path / "duke"), folders(tmp_path / "own", "anna", "ben")], kind="auto")
    assert [source.kind for source in found] == ["dukemtmc", "folders"]
    assert [source.origins[0].name for source in found] == ["dukemtmc", "own data (folders)"]


@pytest.mark.parametrize(
    ("roots", "kind", "message"),
    [
        ([], "auto", "data.root: got none; expected one folder or more"),
        (["{a}", "{a}"], "auto", "each only once"),
        (["{a}", "{b}"], "synthetic", "would show the same people in all"),
        (["{a}", "{b}"], "market1501", "Market-1501: got '.*a'; .*data=auto takes each by its layout"),
    ],
)
def test_sources_that_cannot_be_joined_are_refused(roots, kind, message, tmp_path: Path) -> None:
    named = {"a": folders(tmp_path / "a", "1", "2"), "b": folders(tmp_path / "b", "1", "2")}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        sources.read_sources([root.format(**named) for root in roots], kind=kind)
