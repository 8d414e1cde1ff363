"""YOLO as a detector: what it passes on, what it refuses, and the real network on real frames."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mot_reid.detection import yolo
from mot_reid.detection.yolo import YoloDetector

IMAGE = np.zeros((8, 8, 3), dtype=np.uint8)


class FakeModel:
    """Ultralytics' model: one box for each image."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def predict(self, images: list[np.ndarray], **options: Any) -> list[Any]:
        self.calls.append({"count": len(images), **options})
        boxes = SimpleNamespace(xyxy=np.array([[1.0, 2, 3, 4]]), conf=np.array([0.5]), cls=np.array([0.0]))
        return [SimpleNamespace(boxes=boxes) for _ in images]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    found = FakeModel()
    monkeypatch.setattr(yolo, "open_ultralytics", lambda weights: found)
    return found


def test_settings_reach_the_network_under_its_names(model: FakeModel) -> None:
    detector = YoloDetector(
        "a.pt", min_score=0.2, nms_iou=0.6, classes=[0, 2], image_size=320, rectangular=False, device="cpu"
    )
    assert detector(IMAGE).xyxy.tolist() == [[1, 2, 3, 4]]
    assert model.calls[1:] == [
        {"count": 1, "conf": 0.2, "iou": 0.6, "classes": [0, 2], "max_det": 300, "device": "cpu", "verbose": False,
         "imgsz": 320, "rect": False}
    ]  # fmt: skip


def test_defaults_find_people_and_leave_the_size_to_the_network(model: FakeModel) -> None:
    YoloDetector("a.pt")(IMAGE)
    assert (
        model.calls[0]["classes"] == [0]
        and model.calls[0]["device"] is None
        and not {"imgsz", "rect"} & set(model.calls[0])
    )


def test_many_images_go_through_together(model: FakeModel) -> None:
    assert len(YoloDetector("a.pt").many([IMAGE] * 3)) == 3
    assert [call["count"] for call in model.calls[1:]] == [3]


def test_network_that_does_not_run_is_refused_when_it_is_opened(
    model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(images: object, **options: object) -> None:
        raise TypeError("not a supported format\nsecond line")

    monkeypatch.setattr(model, "predict", fail)
    with pytest.raises(ValueError, match=r"'a\.pt' cannot be run: not a supported format$"):
        YoloDetector("a.pt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 1.5}, "detector min_score: got 1.5; expected a number from 0 to 1"),
        ({"nms_iou": -0.1}, "detector nms_iou: got -0.1; expected a number from 0 to 1"),
        ({"image_size": 0}, "detector image_size: got 0; expected 1 or more"),
        ({"max_detections": 0}, "detector max_detections: got 0; expected 1 or more"),
    ],
)
def test_values_out_of_range_are_refused(model: FakeModel, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        YoloDetector("a.pt", **options)


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)])
def test_what_is_no_image_is_refused(model: FakeModel, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"image: got .* of shape .*; expected uint8 \(H, W, 3\)"):
        YoloDetector("a.pt")(image)


@pytest.mark.parametrize("weights", ["nowhere/yolov8s.pt", "/nowhere/a_openvino_model", "yolov8"])
def test_path_that_is_not_there_is_refused_without_a_download(weights: str) -> None:
    with pytest.raises(FileNotFoundError, match="which is not there; expected a YOLO model"):
        YoloDetector(weights)


def _ultralytics(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setitem(sys.modules, "ultralytics", SimpleNamespace(YOLO=fail))


def test_name_that_cannot_be_downloaded_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _ultralytics(monkeypatch, ConnectionError("<urlopen error>\n[Errno -3] Temporary failure"))
    with pytest.raises(
        FileNotFoundError, match=r"'yolov8s\.pt', which is not on this machine and could not be"
    ) as caught:
        YoloDetector("yolov8s.pt")
    assert "\n" not in str(caught.value)


def test_file_that_is_no_model_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pt").write_bytes(b"x")
    _ultralytics(monkeypatch, RuntimeError("invalid magic number\nsecond line"))
    with pytest.raises(ValueError, match=r"a\.pt' cannot be read as a YOLO model: invalid magic number$"):
        YoloDetector(tmp_path / "a.pt")


def test_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    (tmp_path / "a.pt").write_bytes(b"x")
    with pytest.raises(ImportError, match=r"pip install \"mot-reid\[yolo\]\""):
        YoloDetector(tmp_path / "a.pt")


def _real(real_data: Path) -> tuple[Path, Path]:
    folder, video = real_data.parent / "models" / "yolov8n_int8_openvino_model", real_data / "video" / "pets09-s2l1.avi"
    if not folder.is_dir() or not video.is_file():
        pytest.skip("real data: no YOLOv8n or no video beside it")
    pytest.importorskip("openvino")
    return folder, video


@pytest.mark.data
def test_real_network_finds_the_published_boxes(real_data: Path) -> None:
    """The same network's boxes on the first frames, recorded elsewhere: nearly all, to a pixel or two."""
    folder, video = _real(real_data)
    from mot_reid.boxes import iou
    from mot_reid.data.motchallenge import read_detections
    from mot_reid.data.video import VideoReader

    recorded = read_detections(real_data / "MOT15" / "train" / "PETS09-S2L1" / "det" / "yolov8n.txt")
    detector, good, count = YoloDetector(folder), 0, 0
    with VideoReader(video) as reader:
        for frame, _ in zip(reader, range(20)):
            wanted = recorded[(recorded.frame == frame.number) & (recorded.score > 0.5)]
            found = detector(frame.image)
            overlap = iou(wanted.xyxy, 1.6 * found.xyxy)
            good += int((overlap.max(axis=1) > 0.9).sum())
            count += len(wanted)
    assert count > 60 and good / count > 0.97


@pytest.mark.data
def test_openvino_path_loads_no_torch(real_data: Path) -> None:
    folder, _ = _real(real_data)
    code = (
        f"import sys, numpy as np\nfrom mot_reid import YoloDetector\n"
        f"YoloDetector({str(folder)!r})(np.zeros((64, 64, 3), np.uint8))\n"
        "print([name for name in ('torch', 'ultralytics') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.data
@pytest.mark.slow
def test_openvino_path_gives_the_boxes_of_ultralytics(real_data: Path) -> None:
    """Letterbox, network, suppression and scaling back."""
    folder, video = _real(real_data)
    from ultralytics import YOLO

    from mot_reid.data.video import VideoReader
    from mot_reid.structures import as_detections

    ours, theirs = YoloDetector(folder), YOLO(folder, task="detect")
    with VideoReader(video) as reader:
        for frame, _ in zip(reader, range(20)):
            found = ours(frame.image)
            result = theirs.predict(frame.image, conf=0.1, iou=0.7, classes=[0], verbose=False)[0]
            wanted = as_detections(result)
            assert found.xyxy == pytest.approx(wanted.xyxy, abs=1e-3)
            assert found.score.tolist() == wanted.score.tolist()
