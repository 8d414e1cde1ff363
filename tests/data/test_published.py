"""Published data sets: trees named as their owners name them, and every way to point at the wrong place."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mot_reid.data import msmt17, published, splits
from mot_reid.data.origins import CUHK03, DUKEMTMC, VERI776, find_origins

MARKET = ("bounding_box_train", "query", "bounding_box_test")
VEHICLES = ("image_train", "image_query", "image_test")
DUKE = (["0001_c2_f0046182.jpg", "0001_c6_f0041234.jpg"], ["0005_c2_f0046985.jpg"], ["0005_c5_f0051341.jpg"])
CUHK = (["0001_c1_1.png", "0001_c2_6.png"], ["0003_c1_21.png"], ["0003_c2_26.png", "0002_c1_11.png"])
VERI = (["0001_c001_00016450_0.jpg"], ["0002_c002_00030600_0.jpg"], ["0002_c003_00084280_0.jpg"])


def tree(root: Path, folders: tuple[str, ...], names: tuple[list[str], ...]) -> Path:
    for folder, inside in zip(folders, names):
        for name in inside:
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 16)).save(root / folder / name)
    return root


def made(kind: str, base: Path) -> Path:
    return {
        "dukemtmc": lambda: tree(base / "DukeMTMC-reID", MARKET, DUKE),
        "cuhk03": lambda: tree(base / "cuhk03-np" / "labeled", MARKET, CUHK),
        "veri776": lambda: tree(base / "VeRi", VEHICLES, VERI),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "persons", "cameras"),
    [
        ("dukemtmc", ([1, 1], [5], [5]), ([2, 6], [2], [5])),
        ("cuhk03", ([1, 1], [3], [2, 3]), ([1, 2], [1], [1, 2])),
        ("veri776", ([1], [2], [2]), ([1], [2], [3])),
    ],
)
def test_published_set_is_recognised_and_read_by_the_names_of_its_files(kind, persons, cameras, tmp_path) -> None:
    root = made(kind, tmp_path)
    assert splits.recognise(root) == kind
    found = splits.read(kind, root)
    assert tuple(table.person_id.tolist() for table in found) == persons
    assert tuple(table.camera_id.tolist() for table in found if table.camera_id is not None) == cameras
    assert all(Path(path).is_file() for table in found for path in table.path)


@pytest.mark.parametrize(("kind", "origin"), [("dukemtmc", DUKEMTMC), ("cuhk03", CUHK03), ("veri776", VERI776)])
def test_published_set_is_for_research_whatever_its_folder_is_called(kind, origin, tmp_path: Path) -> None:
    root = made(kind, tmp_path).rename(tmp_path / "renamed")
    paths = splits.read(kind, root).train.path.tolist()
    assert find_origins(paths, kind=kind) == [origin]
    assert origin.licence.startswith("research use only: trained on")


def test_published_counts_name_every_number_that_differs_from_the_nearest_version(tmp_path: Path) -> None:
    root = made("cuhk03", tmp_path)
    with pytest.raises(ValueError, match=r"got 2 train images \(expected 7,365\); 1 train identities \(expected 767\)"):
        splits.read("cuhk03", root, official_counts=True)
    labeled = published.PUBLISHED["cuhk03"].counts[1]
    assert labeled == (7_368, 767, 1_400, 700, 5_328)


def test_folder_above_names_the_folders_to_choose_from(tmp_path: Path) -> None:
    tree(tmp_path / "cuhk03-np" / "labeled", MARKET, CUHK)
    tree(tmp_path / "cuhk03-np" / "detected", MARKET, CUHK)
    meant = r"set data.root=.*cuhk03-np/detected or data.root=.*cuhk03-np/labeled"
    with pytest.raises(FileNotFoundError, match=f"CUHK03-NP: got .*expected a folder with bounding_box_train.*{meant}"):
        splits.read("cuhk03", tmp_path / "cuhk03-np")
    with pytest.raises(ValueError, match=f"data.root: got .*{meant}"):
        splits.recognise(tmp_path / "cuhk03-np")


@pytest.mark.parametrize("kind", ["dukemtmc", "veri776"])
def test_folder_inside_names_the_one_above(kind: str, tmp_path: Path) -> None:
    root = made(kind, tmp_path)
    inside = root / published.PUBLISHED[kind].folders["query"]
    with pytest.raises(FileNotFoundError, match=rf"set data.root={root}$"):
        splits.read(kind, inside)
    with pytest.raises(ValueError, match=rf"set data.root={root}$"):
        splits.recognise(inside)


def test_images_inside_a_mat_file_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "cuhk03_release").mkdir()
    (tmp_path / "cuhk03_release" / "cuhk-03.mat").touch()
    with pytest.raises(FileNotFoundError, match=r"still inside cuhk-03\.mat: write them out by the new protocol"):
        splits.read("cuhk03", tmp_path)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_empty_part_is_refused(part: int, tmp_path: Path) -> None:
    root = made("veri776", tmp_path)
    for file in (root / VEHICLES[part]).iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=rf"VeRi-776: got no image in '.*{VEHICLES[part]}'; expected files such as 00"):
        splits.read("veri776", root)


def test_strange_name_is_refused_in_the_words_of_the_data_set(tmp_path: Path) -> None:
    root = made("veri776", tmp_path)
    (root / "image_query" / "car.jpg").touch()
    with pytest.raises(ValueError, match=r"VeRi-776 file name: got 'car\.jpg'; .* such as 0002_c002_00030600_0\.jpg"):
        splits.read("veri776", root)


TRAIN = "0000/0000_000_01_0303morning_0015_0.jpg 0\n0001/0001_000_05_0303noon_0016_1.jpg 1\n"
VALIDATION = "0000/0000_009_14_0303afternoon_0017_0.jpg 0\n"
QUERY = "0000/0000_001_04_0302noon_0020_1.jpg 0\n"
GALLERY = "0000/0000_002_11_0302noon_0021_0.jpg 0\n0007/0007_000_02_0302noon_0022_0.jpg 7\n"


def msmt(root: Path, version: int = 1) -> Path:
    train, test = ("train", "test") if version == 1 else ("mask_train_v2", "mask_test_v2")
    for name, folder, text in (
        ("train", train, TRAIN),
        ("val", train, VALIDATION),
        ("query", test, QUERY),
        ("gallery", test, GALLERY),
    ):
        tree(root, (folder,), ([line.split()[0] for line in text.splitlines()],))
        (root / f"list_{name}.txt").write_text(text)
    return root


@pytest.mark.parametrize("version", [1, 2])
def test_msmt17_keeps_persons_of_training_and_test_apart(version: int, tmp_path: Path) -> None:
    """Both are numbered from 0 in the lists, and are not the same."""
    root = msmt(tmp_path / "a", version)
    assert splits.recognise(root) == "msmt17"
    train, query, gallery = splits.read("msmt17", root)
    assert (train.person_id.tolist(), query.person_id.tolist(), gallery.person_id.tolist()) == ([1, 2, 1], [3], [3, 10])
    assert train.camera_id is not None and train.camera_id.tolist() == [1, 5, 14]
    assert gallery.camera_id is not None and gallery.camera_id.tolist() == [11, 2]
    (origin,) = find_origins(train.path.tolist(), kind="msmt17")
    assert origin.name == "msmt17" and "research use only" in origin.licence


def test_msmt17_checks_its_published_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"MSMT17 in .*: got 3 train images \(expected 32,621\).*1 query images"):
        msmt17.read(msmt(tmp_path))


@pytest.mark.parametrize("name", ["list_val.txt", "list_query.txt"])
def test_msmt17_names_a_missing_list(name: str, tmp_path: Path) -> None:
    (msmt(tmp_path) / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"MSMT17: got '.*' without {name}; expected the lists next to"):
        msmt17.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got no line in '.*list_query.txt'"),
        ("0000/0000_001_04_0302noon_0020_1.jpg\n", "line 1: got '0000/0000_001_04_0302noon_0020_1.jpg'; expected"),
        ("0000/holiday.jpg 0\n", "line 1: got '0000/holiday.jpg 0'; expected a path and a person"),
        ("0000/0000_555_04_0302noon_0020_1.jpg 0\n", "got no image for 1 of 1 lines of .*, the first '.*0000_555_04"),
    ],
)
def test_msmt17_refuses_a_bad_list(text: str, message: str, tmp_path: Path) -> None:
    (msmt(tmp_path) / "list_query.txt").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        msmt17.read(tmp_path, official_counts=False)


def test_msmt17_at_the_wrong_level_names_the_right_one(tmp_path: Path) -> None:
    root = msmt(tmp_path / "MSMT17_V1")
    for wrong in (tmp_path, root / "train"):
        with pytest.raises(FileNotFoundError, match=rf"MSMT17: got '{wrong}'; .* set data.root={root}$"):
            msmt17.read(wrong)
        with pytest.raises(ValueError, match=rf"data.root: got '{wrong}'; .* set data.root={root}$"):
            splits.recognise(wrong)
