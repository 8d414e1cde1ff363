"""Detectors as files: small networks made by hand, and the real YOLOX-nano on a frame that was checked by eye."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid.boxes import iou
from mot_reid.detection.heads import HEADS
from mot_reid.detection.onnx import OnnxDetector, prepare
from mot_reid.detection.suppression import suppress
from tests.detection.test_heads import naive_yolox

IMAGE = np.zeros((32, 64, 3), dtype=np.uint8)


def network(
    path: Path, outputs: Mapping[str, np.ndarray], *, shape: tuple[Any, ...] = (1, 3, 64, 64), sizes: bool = False
) -> Path:
    """Writes a network that answers every image with the same arrays; `sizes`: boxes are times a second input."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    types = {"f": TensorProto.FLOAT, "l": TensorProto.INT64}
    images = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
    wanted = [helper.make_tensor_value_info(n, types[a.dtype.char], a.shape) for n, a in outputs.items()]
    nodes = [
        helper.make_node("Constant", [], [n], value=numpy_helper.from_array(a))
        for n, a in outputs.items()
        if not (sizes and n == "boxes")
    ]
    if sizes:
        images.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, (1, 2)))
        nodes += [
            helper.make_node("Constant", [], ["fractions"], value=numpy_helper.from_array(outputs["boxes"])),
            helper.make_node("Cast", ["orig_target_sizes"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Concat", ["floats", "floats"], ["corners"], axis=1),
            helper.make_node("Mul", ["fractions", "corners"], ["boxes"]),
        ]
    graph = helper.make_graph(nodes, "answer", images, wanted)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def floats(*rows: Any) -> np.ndarray:
    return np.array([rows], dtype=np.float32)


def test_yolo_box_is_brought_back_from_the_middle_of_the_letterbox(tmp_path: Path) -> None:
    """A 64 x 32 image fills the middle of 64 x 64: 16 rows of grey above it."""
    output = np.zeros((1, 6, 84), dtype=np.float32)
    output[0, :, 7] = [20, 30, 10, 8, 0.9, 0.1]
    found = OnnxDetector(network(tmp_path / "a.onnx", {"output0": output}), kind="yolo")(IMAGE)
    assert found.xyxy.tolist() == [[15, 10, 25, 18]]
    assert found.score.tolist() == pytest.approx([0.9])


def test_yolox_box_is_brought_back_from_the_corner(tmp_path: Path) -> None:
    """The 128 x 64 image is halved; cell 9 is the second of the second row."""
    output = np.zeros((1, 84, 6), dtype=np.float32)
    output[0, 9] = [0.5, 0.5, 0, np.log(2), 0.9, 1]
    found = OnnxDetector(network(tmp_path / "a.onnx", {"output": output}))(np.zeros((64, 128, 3), np.uint8))
    assert found.xyxy.tolist() == [[16, 8, 32, 40]]


def test_transformers_boxes_are_fractions_of_the_stretched_image(tmp_path: Path) -> None:
    logits = np.full((1, 2, 91), -9, dtype=np.float32)
    logits[0, 0, 1] = logits[0, 1, 2] = 3
    outputs = {"dets": floats([0.5, 0.5, 0.5, 0.25], [0.5, 0.5, 0.1, 0.1]), "labels": logits}
    found = OnnxDetector(network(tmp_path / "a.onnx", outputs), kind="rfdetr")(IMAGE)
    assert found.xyxy == pytest.approx(np.array([[16, 12, 48, 20]]))
    assert found.score.tolist() == pytest.approx([1 / (1 + np.exp(-3))])


def test_rtdetr_that_asks_for_the_size_is_told_it(tmp_path: Path) -> None:
    """Boxes of the graph are fractions times (width, height), as those of the authors' exports."""
    outputs = {
        "labels": np.array([[0, 1]]),
        "boxes": floats([0.25, 0.5, 0.5, 0.75], [0, 0, 1, 1]),
        "scores": floats(0.7, 0.9),
    }
    found = OnnxDetector(network(tmp_path / "a.onnx", outputs, shape=(1, 3, 32, 96), sizes=True))
    assert found.kind == "rtdetr"
    assert found(IMAGE).xyxy == pytest.approx(np.array([[16, 16, 32, 24]]))


def test_worse_boxes_of_the_same_thing_go(tmp_path: Path) -> None:
    rows = floats([0, 0, 30, 30, 0.5, 0], [0, 0, 30, 31, 0.9, 0], [0, 0, 30, 30, 0.8, 7], [40, 40, 60, 60, 0.3, 0])
    path = network(tmp_path / "a.onnx", {"output0": rows})
    square = np.zeros((64, 64, 3), np.uint8)
    assert OnnxDetector(path, nms_iou=0.7)(square).score.tolist() == pytest.approx([0.9, 0.3])
    assert OnnxDetector(path, nms_iou=1.0)(square).score.tolist() == pytest.approx([0.9, 0.5, 0.3])
    assert OnnxDetector(path, classes=None)(square).class_id.tolist() == [0, 7, 0]
    assert OnnxDetector(path, min_score=0.4, max_detections=1)(square).score.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("kind", "top", "bottom"),
    [
        ("yolox", [[10, 20, 30]], [114] * 3),
        ("yolo", [114 / 255] * 3, [114 / 255] * 3),
        ("rtdetr", [[30 / 255, 20 / 255, 10 / 255]], [30 / 255, 20 / 255, 10 / 255]),
        (
            "rfdetr",
            [(30 / 255 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (10 / 255 - 0.406) / 0.225],
            [(30 / 255 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (10 / 255 - 0.406) / 0.225],
        ),
    ],
)
def test_image_is_prepared_as_the_kind_wants_it(kind: Any, top: Any, bottom: Any) -> None:
    """Blue 10, green 20, red 30, twice as wide as tall, into a square."""
    image = np.empty((16, 32, 3), np.uint8)
    image[:] = (10, 20, 30)
    found = prepare(image, (32, 32), HEADS[kind])
    assert found.shape == (1, 3, 32, 32) and found.dtype == np.float32 and found.flags.c_contiguous
    assert found[0, :, 0, 5] == pytest.approx(np.ravel(top), rel=1e-5)
    assert found[0, :, -1, 5] == pytest.approx(np.ravel(bottom), rel=1e-5)
    if kind == "yolo":
        assert found[0, :, 16, 5] == pytest.approx([30 / 255, 20 / 255, 10 / 255])


def test_wrong_kind_names_shapes_and_the_likely_one(tmp_path: Path) -> None:
    path = network(tmp_path / "a.onnx", {"output": np.zeros((1, 84, 25), np.float32)})
    with pytest.raises(ValueError) as caught:
        OnnxDetector(path, kind="yolo")
    assert str(caught.value) == (
        f"detector kind: got yolo for '{path}' with outputs output (1, 84, 25) for an input of 64 x 64; expected "
        "(1, 4 + classes, cells) or (1, N, 6); take kind=yolox"
    )


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    path = network(tmp_path / "a.onnx", {"features": np.zeros((1, 512), np.float32)})
    with pytest.raises(ValueError, match=r"outputs features \(1, 512\) .* expected those of a detector: yolox, yolo"):
        OnnxDetector(path)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 3, 64, 64), {"kind": "ssd"}, "detector kind: got 'ssd'; expected one of yolox, yolo, rtdetr, rfdetr"),
        ((1, 3, 64, 64), {"image_size": 32}, "got 32 for .* which is made for 64 x 64; leave it out"),
        ((1, 3, "h", "w"), {}, "got None for .* which takes any size; expected a number such as 640"),
        ((2, 3, 64, 64), {}, r"inputs images \(2, 3, 64, 64\); expected \(1, 3, H, W\), one image at a time"),
        ((1, 3, 64, 64), {"device": "mps"}, "device: got 'mps'; expected auto, cpu, cuda"),
        ((1, 3, 64, 64), {"min_score": 2}, "detector min_score: got 2"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, shape: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    path = network(tmp_path / "a.onnx", {"output0": floats([0, 0, 1, 1, 0.5, 0])}, shape=shape)
    with pytest.raises(ValueError, match=message):
        OnnxDetector(path, **options)


def test_network_of_any_size_takes_the_one_that_is_given(tmp_path: Path) -> None:
    path = network(tmp_path / "a.onnx", {"output0": floats([0, 16, 64, 48, 0.5, 0])}, shape=("n", 3, "h", "w"))
    assert OnnxDetector(path, image_size=64)(IMAGE).xyxy.tolist() == [[0, 0, 64, 32]]


def test_files_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(FileNotFoundError, match=r"which is not there; expected an \.onnx file"):
        OnnxDetector(tmp_path / "no.onnx")
    (tmp_path / "a.onnx").write_bytes(b"x")
    with pytest.raises(ValueError, match="cannot be run as an ONNX network: ") as caught:
        OnnxDetector(tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)


def test_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.onnx").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"onnxruntime is not installed; pip install \"mot-reid\[onnx\]\""):
        OnnxDetector(tmp_path / "a.onnx")


def _real(real_data: Path) -> tuple[Path, np.ndarray]:
    from mot_reid.data.video import VideoReader

    path, video = real_data.parent / "models" / "yolox_nano_coco.onnx", real_data / "video" / "tud-campus.mp4"
    if not path.is_file() or not video.is_file():
        pytest.skip("real data: no YOLOX-nano or no video beside it")
    with VideoReader(video) as reader:
        return path, next(iter(reader)).image.copy()


@pytest.mark.data
def test_real_yolox_finds_the_people_of_a_frame_checked_by_eye(real_data: Path) -> None:
    """The first frame of TUD-Campus: six people in the street, read off a grid laid over the picture."""
    path, image = _real(real_data)
    by_eye = [
        [57, 149, 150, 439],  # with a rucksack
        [394, 177, 541, 411],  # in brown
        [266, 200, 384, 384],  # in black
        [201, 205, 256, 344],  # in orange
        [134, 206, 206, 367],  # in white
        [172, 203, 218, 350],  # behind the one in white
    ]
    found = OnnxDetector(path, kind="yolox", min_score=0.6)(image)
    overlap = iou(by_eye, found.xyxy)
    assert len(found) == 6
    assert (overlap.max(axis=1) > 0.6).sum() == 6 and len(set(overlap.argmax(axis=1).tolist())) == 6


@pytest.mark.data
def test_real_yolox_agrees_with_a_decode_cell_by_cell(real_data: Path) -> None:
    import cv2
    import onnxruntime

    path, image = _real(real_data)
    scale = 416 / 640
    boxed = np.full((416, 416, 3), 114, np.uint8)
    boxed[:312] = cv2.resize(image, (416, 312))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"images": boxed.transpose(2, 0, 1)[None].astype(np.float32)})
    rows = np.array([row for row in naive_yolox(output[0], (416, 416), 0.1) if row[5] == 0])
    kept = suppress(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), limit=0.7)
    found = OnnxDetector(path)(image)
    assert len(found) > 8
    assert found.score == pytest.approx(rows[kept, 4], abs=1e-4)
    assert found.xyxy == pytest.approx(np.clip(rows[kept, :4] / scale, 0, [640, 480, 640, 480]), abs=0.05)


@pytest.mark.data
def test_real_network_runs_the_same_in_openvino(real_data: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path, image = _real(real_data)
    openvino.save_model(openvino.convert_model(path), tmp_path / "a.xml", compress_to_fp16=False)
    first, second = OnnxDetector(path, min_score=0.2)(image), OnnxDetector(tmp_path, min_score=0.2)(image)
    assert second.xyxy == pytest.approx(first.xyxy, abs=0.1)
    assert second.score == pytest.approx(first.score, abs=1e-3)


@pytest.mark.data
def test_onnx_path_loads_no_torch(real_data: Path) -> None:
    path, _ = _real(real_data)
    code = (
        f"import sys, numpy as np\nfrom mot_reid import OnnxDetector\n"
        f"OnnxDetector({str(path)!r})(np.zeros((64, 64, 3), np.uint8))\n"
        "print([name for name in ('torch', 'ultralytics') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_exports_of_ultralytics_give_the_boxes_of_ultralytics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained YOLO, exported and run by both."""
    ultralytics = pytest.importorskip("ultralytics")
    monkeypatch.chdir(tmp_path)
    import torch

    torch.manual_seed(0)
    file = ultralytics.YOLO("yolov8n.yaml").export(format="onnx", imgsz=320, verbose=False)
    image = np.random.default_rng(0).integers(0, 256, (100, 160, 3), dtype=np.uint8)
    theirs = ultralytics.YOLO(file, task="detect").predict(image, conf=1e-6, iou=0.7, imgsz=320, verbose=False)[0]
    ours = OnnxDetector(file, min_score=1e-6, classes=None)(image)
    assert len(ours) > 10
    assert ours.score == pytest.approx(theirs.boxes.conf.numpy(), abs=1e-6)
    assert ours.xyxy == pytest.approx(theirs.boxes.xyxy.numpy(), abs=1e-2)
