"""The Market-1501 layout and its counts."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from mot_reid.data import market1501

TRAIN = ["0002_c1s1_000451_03.jpg", "0002_c2s1_000451_01.jpg", "0007_c3s3_077419_02.jpg"]
QUERY = ["0001_c1s1_001051_00.jpg", "1501_c6s4_001877_00.jpg"]
GALLERY = ["-1_c1s1_000401_03.jpg", "0000_c6s1_000401_01.jpg", "0001_c2s1_000301_00.jpg", "1501_c1s6_011741_02.jpg"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "Market-1501-v15.09.15"
    for folder, names in (("bounding_box_train", TRAIN), ("query", QUERY), ("bounding_box_test", GALLERY)):
        (root / folder).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (64, 128)).save(root / folder / name)
    return root


@pytest.mark.parametrize(
    ("name", "person_id", "camera_id"),
    [
        ("0002_c1s1_000451_03.jpg", 2, 1),
        ("-1_c6s3_081217_02.jpg", -1, 6),
        ("0000_c4s2_000151_01.jpg", 0, 4),
        ("1501_c6s4_001877_00.jpg", 1501, 6),
        ("12345_c12s1_000000_00.png", 12345, 12),
        ("0005_c2_f0046985.jpg", 5, 2),  # DukeMTMC-reID
    ],
)
def test_parse_name_reads_person_and_camera(name: str, person_id: int, camera_id: int) -> None:
    assert market1501.parse_name(name) == (person_id, camera_id)


@pytest.mark.parametrize("name", ["holiday.jpg", "-2_c1s1_000451_03.jpg", "0002_s1_000451.jpg", "0002_c1.jpg", ""])
def test_parse_name_refuses_another_pattern(name: str) -> None:
    with pytest.raises(ValueError, match=f"Market-1501 file name: got '{name}'; expected <person>_c<camera>s"):
        market1501.parse_name(name)


def test_read_drops_junk_and_keeps_distractors(tree: Path) -> None:
    splits = market1501.read(tree, official_counts=False)
    assert splits.train.person_id.tolist() == [2, 2, 7]
    assert splits.train.camera_id is not None and splits.train.camera_id.tolist() == [1, 2, 3]
    assert splits.query.person_id.tolist() == [1, 1501]
    assert splits.gallery.person_id.tolist() == [0, 1, 1501]
    assert [Path(path).name for path in splits.gallery.path] == GALLERY[1:]


def test_read_accepts_the_parent_folder(tree: Path) -> None:
    inside, parent = (market1501.read(root, official_counts=False) for root in (tree, tree.parent))
    assert inside.query.path.tolist() == parent.query.path.tolist()


def test_read_paths_open(tree: Path) -> None:
    for table in market1501.read(str(tree), official_counts=False):
        assert all(Path(path).is_file() for path in table.path)


def test_read_ignores_files_that_are_no_image(tree: Path) -> None:
    (tree / "query" / "Thumbs.db").write_bytes(b"x")
    assert len(market1501.read(tree, official_counts=False).query) == 2


def test_read_names_every_wrong_count(tree: Path) -> None:
    with pytest.raises(
        ValueError, match=r"got 3 train images \(expected 12,936\); 2 train identities \(expected 751\)"
    ):
        market1501.read(tree)


def test_read_refuses_a_folder_of_another_layout(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected a folder with bounding_box_train, query, bounding_box_test"):
        market1501.read(tmp_path)


def test_read_refuses_a_strange_image_name(tree: Path) -> None:
    Image.new("RGB", (2, 2)).save(tree / "query" / "holiday.jpg")
    with pytest.raises(ValueError, match=r"got 'holiday\.jpg'"):
        market1501.read(tree, official_counts=False)


def test_read_refuses_an_empty_folder(tree: Path) -> None:
    for path in (tree / "query").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"got no image in '.*query'"):
        market1501.read(tree, official_counts=False)


def test_count_of_a_hand_made_tree(tree: Path) -> None:
    tables = [market1501.read_folder(tree / folder) for folder in ("bounding_box_train", "query", "bounding_box_test")]
    assert list(market1501.count(*tables).values()) == [3, 2, 2, 2, 4, 1, 1, 3]


@pytest.mark.data
def test_official_counts_hold_for_the_names_of_the_real_archive(real_data: Path) -> None:
    with ZipFile(real_data / "Market-1501-v15.09.15.zip") as archive:
        names = [name.split("/")[1:] for name in archive.namelist() if name.endswith(".jpg")]
    parsed = {
        folder: np.array([market1501.parse_name(name)[0] for where, name in names if where == folder])
        for folder in market1501.FOLDERS.values()
    }
    tables = [
        market1501.IdentityTable(path=person_id.astype(str), person_id=person_id) for person_id in parsed.values()
    ]
    assert market1501.count(*tables) == market1501.OFFICIAL_COUNTS
