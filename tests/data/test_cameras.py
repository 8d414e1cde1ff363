"""Cameras that are left out of training, counted on a table made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.data.cameras import check_cameras, seen_by
from mot_reid.data.identities import IdentitySplits, IdentityTable
from mot_reid.data.splits import ask, choose


def people(*, cameras: bool = True) -> IdentityTable:
    """Six persons, two crops by each of cameras 1, 2 and 3; their paths say person, camera and number."""
    rows = [(person, camera, index) for person in range(1, 7) for camera in (1, 2, 3) for index in range(2)]
    person, camera, _ = np.array(rows).T
    paths = np.array(["{}_{}_{}".format(*row) for row in rows])
    return IdentityTable(paths, person, camera if cameras else None)


def test_only_the_cameras_named_ask_and_every_other_crop_answers() -> None:
    table = people()
    every, answers = ask(table)
    query, gallery = ask(table, cameras=[2])
    assert len(every) == 18 and sorted(query.path) == sorted(path for path in every.path if path.split("_")[1] == "2")
    assert list(gallery.path) == list(answers.path)


def test_evaluation_asks_what_training_validated() -> None:
    splits = IdentitySplits(people(), people()[:0], people()[:0])
    query, _ = choose(splits, "validation", validation=0.5, cameras=[3])
    assert query.camera_id is not None and query.camera_id.tolist() == [3] * 3


def test_crops_of_unknown_cameras_are_of_none() -> None:
    assert seen_by(people(), [1, 3]).sum() == 24 and not seen_by(people(cameras=False), [1]).any()


@pytest.mark.parametrize(
    ("cameras", "tables", "validation", "refused"),
    [
        ([1], 1, 0.0, r"got \[1\] with data\.validation=0; expected persons to ask for; set data\.validation, such as"),
        ([1], 2, 0.1, r"got \[1\] for 2 data sets, whose cameras have the same numbers; expected one data set"),
        ([1, 7], 1, 0.1, r"got \[1,7\]; expected some of \[1,2,3\], the cameras of the data set"),
        ([1, 2, 3], 1, 0.1, r"got \[1,2,3\], which are all cameras of the data set; expected some to be left"),
    ],
)
def test_cameras_that_cannot_be_left_out_are_refused(
    cameras: list[int], tables: int, validation: float, refused: str
) -> None:
    with pytest.raises(ValueError, match=refused):
        check_cameras(cameras, [people()] * tables, validation=validation)


def test_unknown_cameras_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match=r"the data set does not say which camera took an image"):
        check_cameras([1], [people(cameras=False)], validation=0.1)


def test_camera_that_sees_no_held_out_person_twice_is_refused() -> None:
    table = people()
    with pytest.raises(ValueError, match=r"validation_cameras: got \[9\], where no held-out person is seen twice"):
        ask(table, cameras=[9])
