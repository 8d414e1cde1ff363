"""CVAT's Market-1501 zips: a zip of the real tool's shape is read, and what is written comes back."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.cli import convert
from mot_reid.data import splits
from mot_reid.data.cvat_people import is_people_zip


def zipped(path: Path, images: list[str], **texts: str) -> Path:
    """A zip with an image under each name, all of another colour, and texts."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(images):
            with archive.open(name, "w") as file:
                Image.new("RGB", (8, 16), (number * 20, 0, 0)).save(file, "PNG" if name.endswith("png") else "JPEG")
        for name, text in texts.items():
            archive.writestr(f"{name}.txt", text)
    return path


EXPORTED = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000301_01.jpg",
    "bounding_box_test/0000_c1s1_000551_01.jpg",
    "bounding_box_test/-1_c3s2_000101_02.jpg",
    "bounding_box_test/0007_c2s3_070952_01.jpg",
    "query/0007_c1s3_070952_00.jpg",
]
"""The files of an export by CVAT with images, of a project with the subsets train and test."""


def test_export_becomes_lists_that_training_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = zipped(tmp_path / "export.zip", EXPORTED)
    assert convert.main([f"source={source}", f"output={tmp_path / 'people'}"]) == 0
    told = capsys.readouterr().out
    assert told.endswith("people: 2 images in train.csv, 1 images in query.csv, 3 images in gallery.csv\n")
    train, query, gallery = splits.read("csv", tmp_path / "people")
    assert (train.person_id.tolist(), train.camera_id.tolist()) == ([2, 2], [1, 2])
    assert (query.person_id.tolist(), query.camera_id.tolist()) == ([7], [1])
    assert sorted(gallery.person_id.tolist()) == [0, 7]  # junk has left
    assert np.asarray(Image.open(query.path[0])).mean((0, 1)) == pytest.approx([100, 0, 0], abs=3)


@pytest.mark.parametrize("subset", ["default", "test"])
def test_without_queries_everybody_is_trained_on(tmp_path: Path, subset: str) -> None:
    names = [f"bounding_box_{subset}/0001_c1s1_00000{n}_00.jpg" for n in range(3)]
    assert convert.main([f"source={zipped(tmp_path / 'a.zip', names)}", f"output={tmp_path / 'b'}"]) == 0
    assert [len(table) for table in splits.read("csv", tmp_path / "b")] == [3, 0, 0]


def test_crops_come_back_as_they_went(tmp_path: Path) -> None:
    source = zipped(tmp_path / "export.zip", EXPORTED)
    steps = [(source, "a"), (tmp_path / "a", "b.zip"), (tmp_path / "b.zip", "c")]
    for there, back in steps:
        format = ["format=market1501"] if back.endswith("zip") else []
        assert convert.main([f"source={there}", f"output={tmp_path / back}", *format]) == 0
    assert is_people_zip(tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert sorted(archive.namelist()) == sorted(name for name in EXPORTED if "/-1_" not in name)
    for first, second in zip(splits.read("csv", tmp_path / "a"), splits.read("csv", tmp_path / "c")):
        assert first.person_id.tolist() == second.person_id.tolist()
        assert [Path(p).read_bytes() for p in first.path] == [Path(p).read_bytes() for p in second.path]


def test_ones_own_people_are_named_for_cvat(tmp_path: Path) -> None:
    for person, count in (("anna", 2), ("bert", 1)):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 16)).save(tmp_path / "people" / person / f"{number}.png")
    assert convert.main([f"source={tmp_path / 'people'}", f"output={tmp_path / 'a.zip'}", "format=market1501"]) == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [
            "bounding_box_train/0001_c1s1_000001_00.png",
            "bounding_box_train/0001_c1s1_000002_00.png",
            "bounding_box_train/0002_c1s1_000003_00.png",
        ]


@pytest.mark.parametrize(
    ("images", "texts", "said"),
    [
        ([], {"images_train": "bounding_box_train/0001_c1s1_000001_00.jpg"}, "lists without images; expected images;"),
        (
            ["query/0001_c1s1_000001_00.jpg", "bounding_box_train/0001_c2s1_000001_00.jpg"],
            {},
            "no subset besides train",
        ),
        (["bounding_box_train/frame_1.jpg"], {}, "got 'frame_1.jpg'; expected <person>_c<camera>s"),
    ],
)
def test_zip_that_is_not_complete_is_one_line(
    tmp_path: Path, images: list[str], texts: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = zipped(tmp_path / "export.zip", images, **texts)
    assert convert.main([f"source={source}", f"output={tmp_path / 'people'}"]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]  # nothing half-written


def test_folder_with_other_content_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = zipped(tmp_path / "export.zip", EXPORTED)
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "train.csv").write_text("precious")
    assert convert.main([f"source={source}", f"output={tmp_path / 'people'}"]) == 2
    assert "people', which has content or is in use; expected a new folder" in capsys.readouterr().err
    assert [path.read_text() for path in (tmp_path / "people").iterdir()] == ["precious"]


def test_current_folder_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = zipped(tmp_path / "export.zip", EXPORTED)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert convert.main([f"source={source}", "output=."]) == 2
    assert "got '.', which has content or is in use" in capsys.readouterr().err
    assert (tmp_path / "here").is_dir()


@pytest.mark.parametrize("words", [["output=a.csv"], ["output=a", "format=coco"]])
def test_crops_become_nothing_but_a_folder_of_crops(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    zipped(tmp_path / "export.zip", EXPORTED)
    assert convert.main(["source=export.zip", *words]) == 2
    assert "for crops of people; expected a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]


def test_tracks_are_no_people(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mot.zip", "w") as archive:
        archive.writestr("gt/gt.txt", "1,1,0,0,5,5,1,1,1\n")
    assert not is_people_zip(tmp_path / "mot.zip") and not is_people_zip(tmp_path / "none.zip")
