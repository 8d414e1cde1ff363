"""What a model says of the crops it was trained on."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mot_reid.data.identities import IdentityTable
from mot_reid.training.provenance import check_same_crops, fingerprint


@pytest.fixture
def crops(tmp_path: Path) -> IdentityTable:
    """Four files of different sizes."""
    (tmp_path / "data").mkdir()
    paths = [tmp_path / "data" / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(number))
    return IdentityTable([str(path) for path in paths], [1, 1, 2, 2], camera_id=[1, 2, 1, 2])


def test_fingerprint_is_the_same_in_another_order_and_place(crops: IdentityTable, tmp_path: Path) -> None:
    moved = shutil.copytree(tmp_path / "data", tmp_path / "moved")
    there = crops.replace(path=np.array([str(moved / Path(path).name) for path in crops.path]))
    assert fingerprint(crops) == fingerprint(crops[[2, 0, 3, 1]]) == fingerprint(there)


def test_fingerprint_changes_with_files_persons_and_cameras(crops: IdentityTable) -> None:
    others = [crops[:3], crops.replace(person_id=[1, 2, 1, 2]), crops.replace(camera_id=[1, 2, 1, 1])]
    found = {fingerprint(table) for table in (crops, *others)}
    Path(crops.path[0]).write_bytes(b"another picture")
    assert len(found | {fingerprint(crops)}) == 5


def save(path: Path, **provenance: str) -> str:
    torch.save({"mot_reid": {"provenance": provenance}}, path)
    return str(path)


def test_checkpoint_of_other_crops_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", crops="abc")
    check_same_crops(path, "abc", root="here")
    with pytest.raises(ValueError, match="trained on other crops than those of 'here'; expected the same; set"):
        check_same_crops(path, "abd", root="here")


def test_checkpoint_that_does_not_say_its_crops_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_same_crops(save(tmp_path / "a.ckpt"), "abc", root="here")
    assert "does not say which crops it was trained on" in caplog.text
