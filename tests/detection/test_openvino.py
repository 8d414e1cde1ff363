"""The letterbox of OpenVINO's path, how it reads a network's output, and what it refuses."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid.detection import openvino
from mot_reid.detection.letterbox import letterbox
from mot_reid.detection.openvino import OpenVinoYolo


class Tensor:
    def __init__(self, data: np.ndarray) -> None:
        self.data = data


class Request:
    """A network that says where the brightest pixel of its input is: a box of 8 x 8 around it, of class 1 or 0."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._input = np.zeros((1, *network.size, 3), dtype=np.uint8)

    def get_input_tensor(self) -> Tensor:
        return Tensor(self._input)

    def infer(self) -> None:
        self._network.threads.add(threading.get_ident())
        grey = self._input[0].astype(int).sum(axis=2)
        y, x = np.unravel_index(grey.argmax(), grey.shape)
        strong = [x + 0.5, y + 0.5, 8, 8, 0.9, 0.2]
        weak = [x + 0.5, y + 0.5, 8, 7, 0.8, 0.2]
        other = [5, 5, 4, 4, 0.3, 0.6]
        faint = [5, 5, 4, 4, 0.05, 0.01]
        self._output = np.array([strong, weak, other, faint], dtype=np.float32).T[None]

    def get_output_tensor(self) -> Tensor:
        return Tensor(self._output)


class Network:
    def __init__(self, size: tuple[int, int] = (64, 64)) -> None:
        self.size = size
        self.threads: set[int] = set()

    def get_property(self, name: str) -> int:
        return 3

    def create_infer_request(self) -> Request:
        return Request(self)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    found = Network()
    monkeypatch.setattr(openvino, "_read", lambda folder: (None, (64, 64)))
    monkeypatch.setattr(openvino, "_compile", lambda model: found)
    return found


def detector(**options: Any) -> OpenVinoYolo:
    return OpenVinoYolo(Path(), **{"min_score": 0.1, "nms_iou": 0.7, "classes": (0,), **options})


def spot(x: int, y: int, *, width: int, height: int) -> np.ndarray:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[y, x] = 255
    return image


@pytest.mark.parametrize(("width", "height"), [(64, 64), (64, 48), (48, 64), (64, 33)])
def test_box_is_around_the_pixel_that_the_network_meant(network: Network, width: int, height: int) -> None:
    x, y = 20, 15
    xyxy = detector()(spot(x, y, width=width, height=height)).xyxy[0]
    assert xyxy == pytest.approx([x - 3.5, y - 3.5, x + 4.5, y + 4.5])


def test_grey_of_an_earlier_image_does_not_stay(network: Network) -> None:
    found = detector()
    found(spot(63, 40, width=64, height=64))
    assert found(spot(20, 15, width=32, height=64)).xyxy[0] == pytest.approx([16.5, 11.5, 24.5, 19.5])


def test_rectangular_input_has_the_shape_of_the_image(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []

    def compile_for(size: Any) -> Network:
        compiled.append(size)
        return Network(size or (64, 64))

    monkeypatch.setattr(openvino, "strides_of", lambda model, size: [8, 16])
    monkeypatch.setattr(openvino, "reshaped", lambda model, *, size, new, strides: new)
    monkeypatch.setattr(openvino, "_compile", compile_for)
    found = detector(rectangular=True)
    for x, y, width, height in ((20, 15, 64, 40), (30, 60, 40, 64), (20, 15, 64, 44), (40, 20, 64, 64)):
        xyxy = found(spot(x, y, width=width, height=height)).xyxy[0]
        assert xyxy == pytest.approx([x - 3.5, y - 3.5, x + 4.5, min(y + 4.5, height)])
    assert compiled == [None, (48, 64), (64, 48)]


def test_rectangular_input_of_a_foreign_head_is_refused(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "strides_of", lambda model, size: [])
    with pytest.raises(ValueError, match=r"rectangular: got True for '.', whose output layer .*; leave it out$"):
        detector(rectangular=True)


def test_box_of_an_enlarged_image_is_in_its_own_pixels(network: Network) -> None:
    xyxy = detector()(spot(10, 7, width=32, height=16)).xyxy[0]
    assert (xyxy[:2] + xyxy[2:]) / 2 == pytest.approx([10.5, 7.5], abs=0.5)
    assert xyxy[2:] - xyxy[:2] == pytest.approx([4, 4])


def test_box_is_cut_at_the_border(network: Network) -> None:
    assert detector()(spot(1, 1, width=64, height=64)).xyxy[0].tolist() == [0, 0, 5.5, 5.5]


def test_worse_boxes_of_the_same_thing_and_other_classes_go(network: Network) -> None:
    found = detector()(spot(30, 30, width=64, height=64))
    assert found.score.tolist() == pytest.approx([0.9])
    assert found.class_id.tolist() == [0]


def test_class_of_a_box_is_its_best_one(network: Network) -> None:
    found = detector(classes=None)(spot(30, 30, width=64, height=64))
    assert found.class_id.tolist() == [0, 1]
    assert found.score.tolist() == pytest.approx([0.9, 0.6])


def test_floor_of_the_score_holds(network: Network) -> None:
    assert len(detector(min_score=0.9)(spot(30, 30, width=64, height=64))) == 0


def test_looser_suppression_keeps_both_boxes(network: Network) -> None:
    assert len(detector(nms_iou=0.9)(spot(30, 30, width=64, height=64))) == 2


def test_network_is_used_once_before_threads_may_be_the_first(network: Network) -> None:
    found = detector()
    assert network.threads == {threading.get_ident()}
    assert found.workers == 3


def test_answers_from_several_threads_are_those_from_one(network: Network) -> None:
    images = [spot(10 + n, 20, width=64, height=64) for n in range(20)]
    found = detector()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(found, images))
    assert all(np.array_equal(answer.xyxy, found(image).xyxy) for answer, image in zip(answers, images))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(360, 480), (480, 360), (100, 641), (640, 640), (3, 999)])
def test_letterbox_is_that_of_ultralytics(shape: tuple[int, int]) -> None:
    augment = pytest.importorskip("ultralytics.data.augment")
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = augment.LetterBox((640, 640), auto=False)(image=image)
    assert np.array_equal(letterbox(image, (640, 640)), expected)
    reused = np.zeros_like(expected)
    assert letterbox(image, (640, 640), out=reused) is reused and np.array_equal(reused, expected)


def test_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match=r"openvino is not installed; pip install \"mot-reid\[openvino\]\""):
        openvino.read_model(tmp_path)


def test_folder_with_rubbish_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "a.xml").write_text("<net/>")
    with pytest.raises(ValueError, match="cannot be read as an OpenVINO network: Unable to read the model") as caught:
        openvino.read_model(tmp_path)
    assert "\n" not in str(caught.value)
