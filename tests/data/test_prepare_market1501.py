"""Market-1501 from archive to checked folder."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data import market1501, own_people
from mot_reid.data.prepare_market1501 import prepare

NAMES = {
    "bounding_box_train": [f"{p:04d}_c{c}s1_{p:06d}_0{c}.jpg" for p in (2, 7, 11, 30, 1500) for c in (1, 2)],
    "query": ["0001_c1s1_001051_00.jpg", "0005_c6s4_001877_00.jpg"],
    "bounding_box_test": [
        "-1_c1s1_000401_03.jpg",
        "0000_c6s1_000401_01.jpg",
        "0001_c2s1_000301_00.jpg",
        "0005_c1s6_011741_02.jpg",
    ],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "Market-1501-v15.09.15"
    rng = np.random.default_rng(0)
    for folder, names in NAMES.items():
        (root / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(rng.integers(0, 256, (128, 64, 3), dtype=np.uint8)).save(root / folder / name)
    return root


@pytest.fixture
def archive(source: Path, tmp_path: Path) -> Path:
    path = tmp_path / "market.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for file in sorted(source.rglob("*.jpg")):
            opened.write(file, file.relative_to(tmp_path))
        opened.writestr("Market-1501-v15.09.15/readme.txt", "hello")
        opened.writestr("Market-1501-v15.09.15/query/Thumbs.db", "x")
        opened.writestr("__MACOSX/Market-1501-v15.09.15/query/._0001_c1s1_001051_00.jpg", "x")
    return path


def _prepare(source: Path, output: Path, **settings: float) -> tuple[dict, bool]:
    return prepare(source, output, official_counts=False, progress=False, **settings)


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def _state(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_prepare_writes_the_same_from_archive_folder_and_parent(source: Path, archive: Path, tmp_path: Path) -> None:
    for name, start in (("a", archive), ("b", source), ("c", source.parent)):
        _prepare(start, tmp_path / "out" / name)
    states = [_state(tmp_path / "out" / name) for name in "abc"]
    for state in states:
        metadata = json.loads(state.pop("metadata.json"))
        assert metadata["checksum"] == json.loads((tmp_path / "out/a/metadata.json").read_text())["checksum"]
    assert states[0] == states[1] == states[2]


def test_prepare_output_is_read_as_market1501(archive: Path, tmp_path: Path) -> None:
    _prepare(archive, tmp_path / "out")
    splits = market1501.read(tmp_path / "out", official_counts=False)
    assert [len(table) for table in splits] == [10, 2, 3]


def test_prepare_lists_are_read_as_csv(archive: Path, tmp_path: Path) -> None:
    _prepare(archive, tmp_path / "out")
    for listed, found in zip(
        own_people.read_csv(tmp_path / "out"), market1501.read(tmp_path / "out", official_counts=False)
    ):
        assert listed.path.tolist() == found.path.tolist()
        assert listed.person_id.tolist() == found.person_id.tolist()


def test_prepare_labels_sorted_identities_and_leaves_distractors_without(archive: Path, tmp_path: Path) -> None:
    _prepare(archive, tmp_path / "out")
    train = _rows(tmp_path / "out" / "train.csv")
    assert train[0] == ["path", "person_id", "camera_id", "label"]
    assert train[1] == ["bounding_box_train/0002_c1s1_000002_01.jpg", "2", "1", "0"]
    assert train[-1] == ["bounding_box_train/1500_c2s1_001500_02.jpg", "1500", "2", "4"]
    gallery = _rows(tmp_path / "out" / "gallery.csv")
    assert [row[1:] for row in gallery[1:]] == [["0", "6", ""], ["1", "2", "0"], ["5", "1", "1"]]


def test_prepare_parts_persons_for_validation(archive: Path, tmp_path: Path) -> None:
    metadata, _ = _prepare(archive, tmp_path / "out", validation=0.4, seed=1)
    train, val = (_rows(tmp_path / "out" / f"{name}.csv")[1:] for name in ("train", "val"))
    assert (len(train), len(val)) == (6, 4)
    persons = [{row[1] for row in rows} for rows in (train, val)]
    assert not persons[0] & persons[1] and persons[0] | persons[1] == {"2", "7", "11", "30", "1500"}
    assert sorted({row[3] for row in val}) == ["0", "1"]
    assert metadata["lists"]["val"]["identities"] == 2
    assert metadata["settings"] == {"validation": 0.4, "seed": 1}


def test_prepare_metadata_counts_and_statistics(archive: Path, tmp_path: Path) -> None:
    metadata, new = _prepare(archive, tmp_path / "out")
    assert new and metadata == json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert list(metadata["counts"].values()) == [10, 5, 2, 2, 4, 1, 1, 3]
    assert metadata["lists"]["gallery"]["images_per_camera"] == {"1": 1, "2": 1, "6": 1}
    pixels = np.concatenate(
        [np.asarray(Image.open(path)).reshape(-1, 3) for path in (tmp_path / "out/bounding_box_train").iterdir()]
    )
    assert metadata["channel_mean"] == pytest.approx((pixels / 255).mean(axis=0), abs=1e-6)
    assert metadata["channel_std"] == pytest.approx((pixels / 255).std(axis=0), abs=1e-6)


def test_prepare_again_verifies_and_changes_nothing(archive: Path, tmp_path: Path) -> None:
    first, _ = _prepare(archive, tmp_path / "out")
    before = _state(tmp_path / "out")
    again, new = _prepare(archive, tmp_path / "out")
    assert not new and again == first and _state(tmp_path / "out") == before


@pytest.mark.parametrize("change", ["lost", "added", "altered", "list"])
def test_prepare_again_notices_a_change(archive: Path, tmp_path: Path, change: str) -> None:
    _prepare(archive, tmp_path / "out")
    image = tmp_path / "out" / "query" / NAMES["query"][0]
    if change == "lost":
        image.unlink()
    elif change == "added":
        shutil.copy(image, image.with_name("0001_c3s1_000001_00.jpg"))
    elif change == "altered":
        shutil.copy(image.with_name(NAMES["query"][1]), image)
    else:
        with (tmp_path / "out" / "train.csv").open("a") as stream:
            stream.write("x\n")
    with pytest.raises(ValueError, match="with files changed, added or lost since it was prepared"):
        _prepare(archive, tmp_path / "out")


def test_prepare_names_every_bad_file_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    cut = source / "query" / NAMES["query"][0]
    cut.write_bytes(cut.read_bytes()[:500])
    (source / "bounding_box_test" / NAMES["bounding_box_test"][2]).write_bytes(b"")
    Image.new("RGB", (4, 4)).save(source / "bounding_box_train" / "holiday.jpg")
    before = set(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"got 3 bad file\(s\)") as caught:
        _prepare(source, tmp_path / "out")
    for name in (NAMES["query"][0], NAMES["bounding_box_test"][2], "holiday.jpg"):
        assert name in str(caught.value)
    assert NAMES["query"][1] not in str(caught.value)
    assert set(tmp_path.iterdir()) == before


def test_prepare_names_the_damaged_entries_of_an_archive(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "stored.zip"
    images = [source / "query" / name for name in NAMES["query"]]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as opened:
        for image in images:
            opened.write(image, f"Market-1501-v15.09.15/query/{image.name}")
    content = path.read_bytes()
    inside = content.index(images[0].read_bytes()) + 1000
    path.write_bytes(content[:inside] + bytes([content[inside] ^ 255]) + content[inside + 1 :])
    with pytest.raises(ValueError, match=r"got 1 bad file\(s\).*\n.*0001_c1s1_001051_00.jpg: Bad CRC"):
        _prepare(path, tmp_path / "out")


def test_prepare_requires_the_official_counts(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"got 10 train images \(expected 12,936\)"):
        prepare(archive, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_prepare_refuses_an_output_that_holds_something_else(archive: Path, source: Path) -> None:
    with pytest.raises(ValueError, match="which has other content; expected a new folder"):
        _prepare(archive, source)
    assert (source / "query").is_dir()


def test_prepare_refuses_an_output_with_another_split(archive: Path, tmp_path: Path) -> None:
    _prepare(archive, tmp_path / "out")
    with pytest.raises(ValueError, match=r"prepared with \{'validation': 0.0, 'seed': 0\}; expected .*0.4"):
        _prepare(archive, tmp_path / "out", validation=0.4)


def test_prepare_refuses_an_archive_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("thesis.txt", "hello")
    with pytest.raises(ValueError, match=r"a.zip' without bounding_box_train, query, bounding_box_test"):
        _prepare(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.data
def test_prepare_of_the_real_archive_has_the_official_counts(real_data: Path, tmp_path: Path) -> None:
    metadata, _ = prepare(real_data / "Market-1501-v15.09.15.zip", tmp_path / "out", validation=0.2, progress=False)
    assert metadata["counts"] == market1501.OFFICIAL_COUNTS
    assert metadata["lists"]["train"]["images"] + metadata["lists"]["val"]["images"] == 12_936
    assert metadata["lists"]["val"]["identities"] == 150
