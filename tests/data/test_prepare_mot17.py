"""MOT17 from archive to checked folder."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data import prepare_mot17
from mot_reid.data.mot_layouts import LAYOUTS
from mot_reid.data.motchallenge import (
    Sequence,
    read_detections,
    read_ground_truth,
    read_sequence,
    read_sequences,
    write_sequence,
)
from mot_reid.data.prepare_mot17 import prepare

LENGTH = {"02": 6, "04": 5, "05": 4, "09": 4, "10": 4, "11": 5, "13": 4}
GROUND_TRUTH = """1,1,10,10,20,40,1,1,1
2,1,-5,10,20,40,1,1,0.2
2,2,50,10,10,20,1,7,1
3,3,40,5,8,30,0,1,1
4,3,44,5,8,30.5,1,1,0.75
"""


def _fill(folder: Path, name: str, length: int) -> None:
    sequence = Sequence(folder / name, name, "img1", 30, length, 64, 48, ".jpg")
    (sequence.folder / "img1").mkdir(parents=True)
    write_sequence(sequence)
    for number in range(1, length + 1):
        Image.new("RGB", (64, 48), (number * 40, 0, 0)).save(sequence.frame_path(number))
    for path, text in (
        (sequence.ground_truth_path, GROUND_TRUTH),
        (sequence.detections_path, "3,-1,41,5,8,30,0.9\n1,-1,10.5,10,20,40,0.8\n"),
    ):
        path.parent.mkdir()
        path.write_text(text)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree of MOT17's shape: seven sequences, each for two detectors, and a test sequence."""
    for number, length in LENGTH.items():
        _fill(tmp_path / "MOT17" / "train", f"MOT17-{number}-FRCNN", length)
        _fill(tmp_path / "MOT17" / "train", f"MOT17-{number}-SDP", 4)
    _fill(tmp_path / "MOT17" / "test", "MOT17-01-FRCNN", 4)
    return tmp_path / "MOT17"


@pytest.fixture(autouse=True)
def small_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets of a few frames; what is not about sizes is as it is."""
    small = replace(LAYOUTS["MOT17"], frames={"train": 23, "val": 9})
    monkeypatch.setitem(LAYOUTS, "MOT17", small)
    monkeypatch.setitem(LAYOUTS, "MOT20", replace(LAYOUTS["MOT20"], frames={"train": 12, "val": 4}))
    for name in ("DanceTrack", "SportsMOT"):
        monkeypatch.setitem(LAYOUTS, name, replace(LAYOUTS[name], counts={"train": 2, "val": 1}))


def _state(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_find_sequences_takes_one_copy_of_each(source: Path) -> None:
    expected = [f"MOT17-{number}-FRCNN" for number in LENGTH]
    find = LAYOUTS["MOT17"].find
    for root in (source, source.parent, source / "train"):
        assert [sequence.name for sequence in find(root)] == expected
    assert [sequence.name for sequence in find(source / "train" / "MOT17-02-SDP")] == ["MOT17-02-SDP"]


def test_prepare_splits_by_sequence(source: Path, tmp_path: Path) -> None:
    metadata, new = prepare(source, tmp_path / "out", progress=False)
    assert new
    assert metadata["counts"] == {"train": {"frames": 23, "boxes": 15}, "val": {"frames": 9, "boxes": 6}}
    names = {
        split: sorted(path.name for path in (tmp_path / "out/images" / split).iterdir()) for split in ("train", "val")
    }
    assert names["val"] == ["MOT17-11-FRCNN", "MOT17-13-FRCNN"] and len(names["train"]) == 5


def test_prepare_writes_the_same_from_archive_and_folder(source: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "MOT17.zip", "w") as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(tmp_path))
    first, _ = prepare(source, tmp_path / "a", progress=False)
    second, _ = prepare(tmp_path / "MOT17.zip", tmp_path / "b", progress=False)
    assert first["checksum"] == second["checksum"]
    assert set(_state(tmp_path / "a")) == set(_state(tmp_path / "b"))


def test_prepare_sequences_are_read_with_their_frames(source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "out", progress=False)
    sequence = read_sequence(tmp_path / "out" / "sequences" / "train" / "MOT17-02-FRCNN")
    original = source / "train" / "MOT17-02-FRCNN"
    assert sequence.length == 6
    assert all(sequence.frame_path(number).is_file() for number in range(1, 7))
    assert sequence.ground_truth_path.read_text() == (original / "gt" / "gt.txt").read_text()
    found, published = (read_detections(path / "det" / "det.txt") for path in (sequence.folder, original))
    assert np.allclose(found.xyxy, published.xyxy) and found.score.tolist() == published.score.tolist()


def test_prepare_halves_as_the_literature_does(source: Path, tmp_path: Path) -> None:
    """Of n frames the first n // 2 + 1 train, and the others are numbered from 1 again."""
    metadata, _ = prepare(source, tmp_path / "out", split="half", progress=False)
    frames = {(one["name"][6:8], one["split"]): (one["first_frame"], one["frames"]) for one in metadata["sequences"]}
    assert frames["02", "train"] == (1, 4) and frames["02", "val"] == (5, 2)
    assert frames["04", "train"] == (1, 3) and frames["04", "val"] == (4, 2)
    second = read_sequence(tmp_path / "out" / "sequences" / "val" / "MOT17-04-FRCNN")
    assert second.frame_path(1).read_bytes() == (source / "train/MOT17-04-FRCNN/img1/000004.jpg").read_bytes()
    truth = read_ground_truth(second.ground_truth_path)
    assert truth.frame.tolist() == [1] and truth.xyxy.tolist() == [[44, 5, 52, 35.5]]
    assert len(read_detections(second.detections_path)) == 0


def test_half_split_of_the_published_lengths_has_the_published_size() -> None:
    lengths = {"02": 600, "04": 1050, "05": 837, "09": 525, "10": 654, "11": 900, "13": 750}
    sequences = [
        Sequence(Path(), f"MOT17-{number}-FRCNN", "img1", 30, length, 64, 48, ".jpg")
        for number, length in lengths.items()
    ]
    pieces = prepare_mot17._pieces({"train": sequences}, LAYOUTS["MOT17"], "half", True, Path())
    assert sum(piece.length for piece in pieces if piece.split == "val") == 2_652
    assert sum(piece.length for piece in pieces) == 5_316


def test_prepare_coco_has_the_boxes_as_published(source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "out", progress=False)
    coco = json.loads((tmp_path / "out" / "val.json").read_text())
    assert [image["file_name"] for image in coco["images"]][:2] == [
        "MOT17-11-FRCNN/000001.jpg",
        "MOT17-11-FRCNN/000002.jpg",
    ]
    assert [video["file_name"] for video in coco["videos"]] == ["MOT17-11-FRCNN", "MOT17-13-FRCNN"]
    of_first = [one for one in coco["annotations"] if one["image_id"] <= 5]
    assert [one["bbox"] for one in of_first] == [[10, 10, 20, 40], [-5, 10, 20, 40], [44, 5, 8, 30.5]]
    assert [one["track_id"] for one in of_first] == [1, 1, 3]
    assert [one["id"] for one in coco["annotations"]] == [1, 2, 3, 4, 5, 6]
    for image in coco["images"]:
        assert (tmp_path / "out" / "images" / "val" / image["file_name"]).is_file()


def test_prepare_labels_lie_in_the_picture(source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "out", progress=False)
    labels = tmp_path / "out" / "labels" / "train" / "MOT17-02-FRCNN"
    assert (labels / "000001.txt").read_text() == "0 0.312500 0.604167 0.312500 0.791667\n"
    assert (labels / "000002.txt").read_text() == "0 0.117188 0.604167 0.234375 0.791667\n"
    assert (labels / "000003.txt").read_text() == ""


def test_prepare_filters_labels_by_visibility_and_class_but_not_the_ground_truth(source: Path, tmp_path: Path) -> None:
    metadata, _ = prepare(source, tmp_path / "out", visibility=0.5, classes=(1, 7), progress=False)
    assert metadata["counts"]["val"]["boxes"] == 2 * 3
    coco = json.loads((tmp_path / "out" / "val.json").read_text())
    assert [one["track_id"] for one in coco["annotations"]][:3] == [1, 2, 3]
    assert len(read_ground_truth(tmp_path / "out/sequences/val/MOT17-11-FRCNN/gt/gt.txt")) == 5


def test_prepare_writes_a_data_file_for_ultralytics(source: Path, tmp_path: Path) -> None:
    import yaml

    prepare(source, tmp_path / "out", progress=False)
    content = yaml.safe_load((tmp_path / "out" / "mot17.yaml").read_text())
    assert content == {"train": "images/train", "val": "images/val", "names": {0: "person"}}


def test_prepare_again_verifies_and_notices_a_change(source: Path, tmp_path: Path) -> None:
    first, _ = prepare(source, tmp_path / "out", progress=False)
    (tmp_path / "out" / "labels" / "train.cache").write_bytes(b"left by Ultralytics")
    again, new = prepare(source, tmp_path / "out", progress=False)
    assert not new and again == first
    (tmp_path / "out" / "train.json").write_text("{}")
    with pytest.raises(ValueError, match="with files changed, added or lost since it was prepared"):
        prepare(source, tmp_path / "out", progress=False)


def test_prepare_names_every_bad_file_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    train = source / "train"
    (train / "MOT17-02-FRCNN" / "img1" / "000003.jpg").unlink()
    (train / "MOT17-05-FRCNN" / "img1" / "000001.jpg").write_bytes(b"x")
    Image.new("RGB", (10, 10)).save(train / "MOT17-09-FRCNN" / "img1" / "000002.jpg")
    (train / "MOT17-10-FRCNN" / "gt" / "gt.txt").write_text("1,1,nan,2,3,4,1,1,1\n")
    (train / "MOT17-11-FRCNN" / "det" / "det.txt").write_text("9,-1,1,2,3,4,1\n")
    with pytest.raises(ValueError, match=r"got \d bad file\(s\)") as caught:
        prepare(source, tmp_path / "out", progress=False)
    for words in (
        "MOT17-02-FRCNN/img1/000003.jpg: image: got",
        "MOT17-05-FRCNN/img1/000001.jpg: image: got",
        "MOT17-09-FRCNN/img1/000002.jpg: got 10x10; expected 64x48",
        "left: got nan; expected a finite number",
        "MOT17-11-FRCNN/det/det.txt: got frame 9; expected at most 5",
    ):
        assert words in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["MOT17"]


def test_prepare_names_the_missing_sequences(source: Path, tmp_path: Path) -> None:
    shutil.rmtree(source / "train" / "MOT17-05-FRCNN")
    with pytest.raises(ValueError, match=r"got no MOT17-05-FRCNN; expected the 7 training sequences"):
        prepare(source, tmp_path / "out", progress=False)


def test_prepare_requires_the_official_number_of_frames(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LAYOUTS, "MOT17", replace(LAYOUTS["MOT17"], frames={"train": 3_666, "val": 1_650}))
    with pytest.raises(ValueError, match=r"got 23 frames to train and 9 to validate on; expected 3,666 and 1,650"):
        prepare(source, tmp_path / "out", progress=False)


def test_prepare_of_other_data_validates_on_the_last_sequence(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _fill(tmp_path / "own", name, 4)
    metadata, _ = prepare(tmp_path / "own", tmp_path / "out", official_counts=False, progress=False)
    assert [(one["name"], one["split"]) for one in metadata["sequences"]] == [
        ("a", "train"),
        ("b", "train"),
        ("c", "val"),
    ]


def test_prepare_refuses_one_sequence_unless_it_is_halved(tmp_path: Path) -> None:
    _fill(tmp_path / "own", "a", 4)
    with pytest.raises(ValueError, match="expected sequences to train and to validate on; add some, or use split=half"):
        prepare(tmp_path / "own", tmp_path / "out", official_counts=False, progress=False)
    metadata, _ = prepare(tmp_path / "own", tmp_path / "out", official_counts=False, split="half", progress=False)
    assert metadata["counts"]["train"]["frames"] == 3


def test_prepare_refuses_a_folder_without_sequences(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"MOT17: got '.*empty' without a sequence"):
        prepare(tmp_path / "empty", tmp_path / "out", progress=False)


def _publish(root: Path, benchmark: str) -> Path:
    """A tree as the data set is published: eight digits in DanceTrack, spaces in SportsMOT, no public detections."""
    if benchmark == "DanceTrack":
        top, names = root / "dancetrack", {"train": ("dancetrack0001", "dancetrack0002"), "val": ("dancetrack0004",)}
    else:
        top, names = root / "dataset", {"train": ("v_a_c001", "v_b_c002"), "val": ("v_c_c001",)}
    for part, group in names.items():
        for name in group:
            _fill(top / part, name, 4)
            shutil.rmtree(top / part / name / "det")
            truth = top / part / name / "gt" / "gt.txt"
            if benchmark == "SportsMOT":
                truth.write_text("1, 0, 10, 10, 20, 40, 1, 1, 1\n2, 7, 12, 10, 20, 40, 1, 1, 1\n")
            else:
                truth.write_text("1,0,10,10,20,40,1,1,1\n2,7,12,10,20,40,1,1,1\n")
                for frame in (top / part / name / "img1").iterdir():
                    frame.rename(frame.with_name(f"{int(frame.stem):08d}.jpg"))
    (root / "splits_txt").mkdir()
    (root / "splits_txt" / "train.txt").write_text("\n".join(names["train"]))
    return top


@pytest.mark.parametrize("benchmark", ["DanceTrack", "SportsMOT"])
def test_prepare_takes_the_published_parts(tmp_path: Path, benchmark: str) -> None:
    top = _publish(tmp_path / "own", benchmark)
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for path in sorted(top.parent.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(tmp_path))
    for source, output in ((top.parent, "out"), (top, "again"), (tmp_path / "own.zip", "unpacked")):
        metadata, _ = prepare(source, tmp_path / output, benchmark=benchmark, progress=False)  # type: ignore[arg-type]
        assert metadata["format"] == f"mot_reid.{benchmark.lower()}"
        assert metadata["counts"] == {"train": {"frames": 8, "boxes": 4}, "val": {"frames": 4, "boxes": 2}}
    validating = tmp_path / "out" / "sequences" / "val"
    (sequence,) = read_sequences(validating).values()
    truth = read_ground_truth(sequence.ground_truth_path)
    assert truth.track_id.tolist() == [0, 7] and truth.class_id.tolist() == [1, 1]
    assert sequence.frame_path(4).is_file() and not sequence.detections_path.exists()
    assert (tmp_path / "out" / f"{benchmark.lower()}.yaml").is_file()


def test_prepare_names_the_part_that_is_not_whole(tmp_path: Path) -> None:
    top = _publish(tmp_path / "own", "DanceTrack")
    shutil.rmtree(top / "train" / "dancetrack0002")
    with pytest.raises(ValueError, match=r"DanceTrack in '.*': got 1 sequences in train; expected 2; unpack every"):
        prepare(top, tmp_path / "out", benchmark="DanceTrack", progress=False)
    shutil.rmtree(top / "val")
    with pytest.raises(FileNotFoundError, match=r"DanceTrack: got '.*' without a sequence; expected .* val/dancetrack"):
        prepare(top, tmp_path / "out", benchmark="DanceTrack", progress=False)


@pytest.mark.parametrize("second", ["train1", "val"])
def test_prepare_refuses_a_sequence_that_lies_in_two_folders(tmp_path: Path, second: str) -> None:
    """In train and in val it would validate on what it learned; in train and train1 one would overwrite the other."""
    top = _publish(tmp_path / "own", "DanceTrack")
    shutil.copytree(top / "train" / "dancetrack0001", top / second / "dancetrack0001")
    with pytest.raises(ValueError, match=r"got dancetrack0001 in two folders; .* remove one"):
        prepare(top, tmp_path / "out", benchmark="DanceTrack", official_counts=False, progress=False)
    assert not (tmp_path / "out").exists()


def test_prepare_does_not_halve_what_has_sequences_to_validate_on(tmp_path: Path) -> None:
    top = _publish(tmp_path / "own", "SportsMOT")
    with pytest.raises(ValueError, match="split: got half; expected sequences, since SportsMOT has sequences"):
        prepare(top, tmp_path / "out", benchmark="SportsMOT", split="half", progress=False)


def test_prepare_mot20_needs_its_four_sequences_and_their_detections(tmp_path: Path) -> None:
    for number in ("01", "02", "03", "05"):
        _fill(tmp_path / "MOT20" / "train", f"MOT20-{number}", 4)
    metadata, _ = prepare(tmp_path, tmp_path / "out", benchmark="MOT20", progress=False)
    assert [one["name"] for one in metadata["sequences"] if one["split"] == "val"] == ["MOT20-05"]
    (tmp_path / "MOT20" / "train" / "MOT20-03" / "det" / "det.txt").unlink()
    with pytest.raises(ValueError, match=r"MOT20-03/det/det.txt: .* no such file"):
        prepare(tmp_path, tmp_path / "other", benchmark="MOT20", progress=False)
    shutil.rmtree(tmp_path / "MOT20" / "train" / "MOT20-02")
    with pytest.raises(ValueError, match="got no MOT20-02; expected the 4 training sequences"):
        prepare(tmp_path, tmp_path / "other", benchmark="MOT20", progress=False)


@pytest.mark.data
def test_prepare_of_the_four_real_frames(real_data: Path, tmp_path: Path) -> None:
    """The real sequence cut to the frames at hand; its texts are whole."""
    original = read_sequence(real_data / "MOT17" / "train" / "MOT17-02-FRCNN")
    folder = tmp_path / "own" / original.name
    shutil.copytree(original.folder, folder)
    for file in folder.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    (folder / "seqinfo.ini").write_text((folder / "seqinfo.ini").read_text().replace("seqLength=600", "seqLength=4"))
    for text in (folder / "gt" / "gt.txt", folder / "det" / "det.txt"):
        lines = [line for line in text.read_text().splitlines() if int(line.split(",")[0]) <= 4]
        text.write_text("\n".join(lines) + "\n")
    metadata, _ = prepare(tmp_path / "own", tmp_path / "out", official_counts=False, split="half", progress=False)
    expected = sum(line.split(",")[6:8] == ["1", "1"] for line in (folder / "gt" / "gt.txt").read_text().splitlines())
    assert metadata["counts"]["train"]["frames"] == 3 and metadata["counts"]["val"]["frames"] == 1
    assert metadata["counts"]["train"]["boxes"] + metadata["counts"]["val"]["boxes"] == expected > 50
