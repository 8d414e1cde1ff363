"""A head made for squares takes rectangles: against the same head built for them, and against Ultralytics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid.detection.rectangle import fitting, reshaped, strides_of

CHANNELS = 6
STRIDES = [8, 16]


def head(height: int, width: int, *, anchors: bool = True) -> Any:
    """Returns a small network with the head of YOLOv8: a convolution at each stride, then anchors and strides."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as op

    image = op.parameter([1, 3, height, width], np.float32)
    levels, centres, widths = [], [], []
    for stride in STRIDES:
        weights = np.random.default_rng(stride).normal(size=(CHANNELS, 3, stride, stride)).astype(np.float32)
        level = op.convolution(image, op.constant(weights), [stride, stride], [0, 0], [0, 0], [1, 1])
        levels.append(op.reshape(level, op.constant(np.array([1, CHANNELS, -1])), False))
        for y in range(height // stride):
            for x in range(width // stride):
                centres.append((x + 0.5, y + 0.5))
                widths.append(stride)
    boxes, scores = op.variadic_split(op.concat(levels, 2), op.constant(1), op.constant(np.array([2, 4]))).outputs()
    place = np.array(centres if anchors else np.zeros_like(centres), dtype=np.float32).T[None]
    placed = op.add(op.constant(place), boxes)
    scaled = op.multiply(placed, op.constant(np.array(widths, dtype=np.float32)[None, None]))
    return openvino.Model([op.concat([scaled, scores], 1)], [image])


def output(model: Any, image: np.ndarray) -> np.ndarray:
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(image)[0])


@pytest.mark.parametrize("new", [(48, 64), (64, 32), (16, 16), (96, 128)])
def test_reshaped_head_is_the_one_built_for_that_size(new: tuple[int, int]) -> None:
    square = head(64, 64)
    image = np.random.default_rng(0).normal(size=(1, 3, *new)).astype(np.float32)
    found = output(reshaped(square, size=(64, 64), new=new, strides=STRIDES), image)
    assert np.array_equal(found, output(head(*new), image))


def test_reshaping_leaves_the_network_as_it_was() -> None:
    square = head(64, 64)
    image = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    before = output(square, image)
    reshaped(square, size=(64, 64), new=(48, 64), strides=STRIDES)
    assert np.array_equal(output(square, image), before)


def test_strides_are_read_from_the_head() -> None:
    assert strides_of(head(64, 64), (64, 64)) == STRIDES
    assert strides_of(head(32, 64), (32, 64)) == STRIDES


def test_head_without_the_known_anchors_has_no_strides() -> None:
    assert strides_of(head(64, 64, anchors=False), (64, 64)) == []


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (480, 360, (480, 640)),
        (640, 640, (640, 640)),
        (360, 480, (640, 480)),
        (1920, 1080, (384, 640)),
        (999, 3, (32, 640)),
    ],
)
def test_fitting_input_is_the_smallest_of_whole_strides(width: int, height: int, expected: tuple[int, int]) -> None:
    assert fitting(width, height, size=(640, 640), stride=32) == expected


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(360, 480), (480, 360), (100, 641), (1080, 1920), (3, 999), (37, 41)])
def test_fitting_input_is_that_of_ultralytics(shape: tuple[int, int]) -> None:
    augment = pytest.importorskip("ultralytics.data.augment")
    boxed = augment.LetterBox((640, 640), auto=True, stride=32)(image=np.zeros((*shape, 3), dtype=np.uint8))
    assert fitting(shape[1], shape[0], size=(640, 640), stride=32) == boxed.shape[:2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolov8n.yaml", "yolo11n.yaml"])
def test_export_of_a_square_becomes_the_export_of_a_rectangle(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("openvino")
    ultralytics = pytest.importorskip("ultralytics")
    monkeypatch.chdir(tmp_path)
    network, models = ultralytics.YOLO(name), []
    for size in ([96, 96], [64, 96]):
        folder = Path(network.export(format="openvino", imgsz=size, verbose=False))
        models.append(openvino.Core().read_model(next(folder.rename(tmp_path / f"{size[0]}").glob("*.xml"))))
    image = np.random.default_rng(0).uniform(size=(1, 3, 64, 96)).astype(np.float32)
    found = reshaped(models[0], size=(96, 96), new=(64, 96), strides=strides_of(models[0], (96, 96)))
    assert np.array_equal(output(found, image), output(models[1], image))
