"""Tracks go to the files of annotation tools and come back; files as the tools write them are read by their rules."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid.data.annotations import read_coco, read_cvat, write_coco, write_cvat
from mot_reid.data.label_studio import read_label_studio, write_label_studio
from mot_reid.data.motchallenge import read_ground_truth
from mot_reid.structures import TrackTable

TRACKS = TrackTable(
    [1, 1, 2, 4, 5],
    [1, 2, 1, 1, 2],
    [[10.25, 20, 50, 120], [200, 30, 260, 190.5], [12, 21, 52, 121], [20, 25, 60, 125], [210, 30, 270, 190]],
    [0.9, 0.8, 0.9, 0.7, 0.6],
)


def assert_same(found: TrackTable, expected: TrackTable, *, atol: float = 1e-9) -> None:
    assert found.frame.tolist() == expected.frame.tolist()
    assert found.track_id.tolist() == expected.track_id.tolist()
    np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=atol)
    assert found.ignore.tolist() == expected.ignore.tolist()


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_cvat_gives_back_what_it_was_given(tmp_path: Path) -> None:
    ignored = TRACKS.replace(ignore=[False, True, False, False, False])
    assert_same(read_cvat(write_cvat(tmp_path / "task.zip", ignored)), ignored)


def test_coco_gives_back_what_it_was_given(tmp_path: Path) -> None:
    ignored = TRACKS.replace(ignore=[False, True, False, False, False])
    assert_same(read_coco(write_coco(tmp_path / "tracks.json", ignored)), ignored)


def test_label_studio_gives_back_what_it_was_given(tmp_path: Path) -> None:
    path = write_label_studio(
        tmp_path / "tasks.json", TRACKS, video="/data/a.mp4", size=(640, 360), frame_rate=25, length=6
    )
    assert_same(read_label_studio(path, size=(640, 360)), TRACKS)


@pytest.mark.data
def test_real_ground_truth_survives_every_tool(real_data: Path, tmp_path: Path) -> None:
    truth = read_ground_truth(real_data / "MOT15/train/TUD-Campus/gt/gt.txt")
    truth = truth[np.lexsort((truth.track_id, truth.frame))].replace(ignore=None)
    assert_same(read_cvat(write_cvat(tmp_path / "a.zip", truth)), truth, atol=1e-6)
    assert_same(read_coco(write_coco(tmp_path / "a.json", truth)), truth)
    path = write_label_studio(tmp_path / "b.json", truth, video="a", size=(640, 480), frame_rate=25, length=71)
    assert_same(read_label_studio(path, size=(640, 480)), truth, atol=1e-6)


# Files of the tools' own shape, read by hand


def test_cvat_export_with_images_labels_and_loose_boxes_is_read(tmp_path: Path) -> None:
    """As CVAT exports it: no newline after the last label, class n is line n, boxes without a track have -1."""
    lines = (
        "1,1,10.0,20.0,30.0,40.0,1,2,1.0",
        "1,2,5,5,5,5,1,1,1.0",
        "2,1,11.0,20.0,30.0,40.0,0,2,0.5",
        "2,-1,0,0,9,9,1,2,1",
    )
    rows = "".join(f"{line}\r\n" for line in lines)
    path = zipped(tmp_path / "a.zip", {"gt/gt.txt": rows, "gt/labels.txt": "car\nperson", "img1/000001.jpg": ""})
    found = read_cvat(path)
    assert_same(found, TrackTable([1, 2], [1, 1], [[10, 20, 40, 60], [11, 20, 41, 60]], ignore=[False, True]))
    assert found.class_id.tolist() == [1, 1]
    assert read_cvat(path, label="car").xyxy.tolist() == [[5, 5, 10, 10]]


def test_cvat_zip_is_what_cvat_takes_for_upload(tmp_path: Path) -> None:
    path = write_cvat(tmp_path / "task.zip", TRACKS, label="walker")
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["gt/gt.txt", "gt/labels.txt"]
        assert archive.read("gt/labels.txt").decode().splitlines() == ["walker"]
        assert archive.read("gt/gt.txt").decode().splitlines()[0] == "1,1,10.25,20,39.75,100,1,1,1"


def coco(images: list[dict[str, Any]], **extra: Any) -> dict[str, Any]:
    annotations = [
        {"id": n, "image_id": image["id"], "category_id": 3, "bbox": [n, 2, 10, 20], "iscrowd": 0, **extra}
        for n, image in enumerate(images)
    ]
    loose = {"id": 9, "image_id": images[0]["id"], "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": 0}
    categories = [{"id": 3, "name": "Pedestrian"}, {"id": 4, "name": "bus"}]
    return {"images": images, "annotations": [*annotations, loose], "categories": categories}


@pytest.mark.parametrize(
    ("images", "frames"),
    [
        ([{"id": 7, "file_name": "a.jpg", "frame_id": 0}, {"id": 8, "file_name": "b.jpg", "frame_id": 4}], [1, 5]),
        ([{"id": 7, "file_name": "v/000003.jpg"}, {"id": 8, "file_name": "v/000012.jpg"}], [3, 12]),
    ],
)
@pytest.mark.parametrize("extra", [{"track_id": 5}, {"attributes": {"track_id": 5, "occluded": False}}])
def test_coco_of_others_is_read(
    images: list[dict[str, Any]], frames: list[int], extra: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(coco(images, **extra)))
    assert_same(read_coco(tmp_path / "a.json"), TrackTable(frames, [5, 5], [[0, 2, 10, 22], [1, 2, 11, 22]]))


def label_studio(*keys: tuple[int, bool, float]) -> list[dict[str, Any]]:
    """An export of one person who moves to the right, as Label Studio writes it."""
    sequence = [
        {"frame": frame, "enabled": seen, "rotation": 0, "x": x, "y": 50, "width": 10, "height": 20, "time": frame / 25}
        for frame, seen, x in keys
    ]
    value = {"framesCount": 9, "duration": 0.36, "sequence": sequence, "labels": ["Man"]}
    region = {"id": "Bq2", "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}
    cancelled = {"id": 1, "was_cancelled": True, "result": []}
    return [{"id": 1, "data": {"video": "a"}, "annotations": [{"id": 2, "result": [region]}, cancelled]}]


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        (((1, True, 0.0), (5, False, 40.0)), {1: 0, 2: 20, 3: 40, 4: 60, 5: 80}),  # pixels of a width of 200
        (((1, False, 10.0), (4, True, 20.0), (5, False, 20.0)), {1: 20, 4: 40, 5: 40}),
        (((7, True, 5.0),), {7: 10, 8: 10, 9: 10}),
    ],
)
def test_label_studio_moves_between_key_frames_and_hides(
    keys: tuple[tuple[int, bool, float], ...], left: dict[int, float], tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(label_studio(*keys)))
    found = read_label_studio(tmp_path / "a.json", size=(200, 100))
    boxes = [[x, 50, x + 20, 70] for x in left.values()]
    assert_same(found, TrackTable(list(left), [1] * len(left), boxes))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": ""}, r"got no gt.txt in it; expected gt/gt.txt and gt/labels.txt; export as 'MOT 1.1'"),
        ({"gt/gt.txt": "1,1,2\n"}, r"gt.txt line 1: got '1,1,2'; expected frame, identity"),
        ({"gt/gt.txt": "1,1,2,2,2,2,1,1\n1,1,3,3,3,3,1,1\n"}, "got person 1 twice in frame 1; expected once"),
        ({"gt/gt.txt": "1,1,2,2,2,2,1,3\n"}, "got no boxes of people with identities"),
        ({"gt/gt.txt": "", "gt/labels.txt": "a\nb"}, "label: got no label for .*; expected one of a, b"),
    ],
)
def test_bad_cvat_zip_is_one_sentence(files: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_cvat(zipped(tmp_path / "a.zip", files))


def test_track_that_cvat_would_drop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="track_id: got 0; expected 1 or more, since CVAT drops"):
        write_cvat(tmp_path / "a.zip", TRACKS.replace(track_id=[0, 2, 0, 0, 2]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "got 0 tasks; expected the export of one video"),
        ('[{"annotations": [{"result": [{"type": "videorectangle"}]}]}]', "expected Label Studio's JSON of a video"),
    ],
)
def test_bad_label_studio_file_is_one_sentence(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_label_studio(tmp_path / "a.json", size=(10, 10))


def test_coco_of_several_videos_is_refused(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": "a", "frame_id": n, "video_id": n} for n in (1, 2)]
    (tmp_path / "a.json").write_text(json.dumps(coco(images, track_id=1)))
    with pytest.raises(ValueError, match="got several videos; expected one"):
        read_coco(tmp_path / "a.json")
