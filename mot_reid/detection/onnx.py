"""Detectors as ONNX or OpenVINO files, with preparation and reading of our own: no torch, no AGPL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import Float32Array, FloatArray, Image
from mot_reid.boxes import clip
from mot_reid.detection.heads import HEADS, Head, Kind, Size, kinds
from mot_reid.detection.letterbox import letterbox, unletterbox
from mot_reid.detection.networks import Input, Network, open_network
from mot_reid.detection.suppression import suppress
from mot_reid.detection.yolo import PERSON, check_image, check_options
from mot_reid.structures import Detections


class OnnxDetector:
    """Finds people by a network in ONNX or OpenVINO format: `detector(image) -> Detections`.

    Args:
        path: an `.onnx` file, run by ONNX Runtime; or an `.xml` file or a folder with one, run by OpenVINO.
        kind: whose network it is: `yolox` (decoded or not), `yolo` (Ultralytics' exports, with or without
            suppression inside), `rtdetr` (the authors' exports, D-FINE and DEIM among them; Hugging Face's;
            Ultralytics'), `rfdetr`. None: found from the shapes of its outputs.
        min_score: least score of a box. ByteTrack uses boxes from 0.1.
        nms_iou: IoU above which the worse of two boxes goes; 1 leaves all, as the authors of transformers do.
        classes: the classes that are kept; COCO's 0 is person, in each kind. None keeps all.
        image_size: side of the input in pixels, for a network that takes any; None is the one it was made for.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        max_detections: boxes per image at most.

    Attributes:
        kind: whose network it is.
        workers: images that are worth detecting at the same time, each in a thread of its own.

    Raises:
        FileNotFoundError: no such file.
        ImportError: the package that runs it is not installed.
        ValueError: the file is no detector of that kind, or an argument is out of its range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        kind: str | None = None,
        min_score: float = 0.1,
        nms_iou: float = 0.7,
        classes: Sequence[int] | None = (PERSON,),
        image_size: int | None = None,
        device: str = "auto",
        max_detections: int = 300,
    ) -> None:
        check_options(min_score=min_score, nms_iou=nms_iou, image_size=image_size, max_detections=max_detections)
        if kind is not None and kind not in HEADS:
            raise ValueError(f"detector kind: got '{kind}'; expected one of {', '.join(get_args(Kind))}")
        self._path = Path(path)
        self._min_score, self._nms_iou, self._max_detections = min_score, nms_iou, max_detections
        self._classes = None if classes is None else np.array(classes, dtype=np.int64)
        self._network = open_network(self._path, device)
        self._image, self._size = _input_of(self._network, self._path, image_size)
        outputs = self._outputs(np.zeros((*self._size, 3), dtype=np.uint8), HEADS["yolo"])  # any preparation will do
        self.kind: Kind = _kind(self._path, {name: array.shape for name, array in outputs.items()}, self._size, kind)
        self._head = HEADS[self.kind]
        self.workers = self._network.workers

    def __call__(self, image: Image) -> Detections:
        """Returns the boxes of one image, best first.

        Args:
            image: (H, W, 3) uint8 BGR.

        Raises:
            ValueError: the image is of another kind.
        """
        check_image(image)
        height, width = image.shape[:2]
        rows = self._head.read(self._outputs(image, self._head), self._min_score, self._size)
        if self._classes is not None:
            rows = rows[np.isin(rows[:, 5], self._classes)]
        xyxy, score, class_id = rows[:, :4].astype(np.float64), rows[:, 4], rows[:, 5].astype(np.int64)
        kept = suppress(xyxy, score, class_id, limit=self._nms_iou, most=self._max_detections)
        return Detections(_back(xyxy[kept], self._size, width, height, self._head), score[kept], class_id[kept])

    def many(self, images: Sequence[Image]) -> list[Detections]:
        """Returns the boxes of each of several images.

        Args:
            images: (H, W, 3) uint8 BGR each.

        Raises:
            ValueError: an image is of another kind.
        """
        return [self(image) for image in images]

    def _outputs(self, image: Image, head: Head) -> dict[str, NDArray[Any]]:
        """Returns the network's answers to one image by name."""
        feed = {self._image.name: prepare(image, self._size, head).astype(self._image.dtype)}
        for other in self._network.inputs:
            if other.name != self._image.name:  # RT-DETR's wish to know the size that its boxes are to have
                feed[other.name] = np.array([self._size[::-1]], dtype=other.dtype)
        return self._network.run(feed)


def is_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a detector's file is run by `OnnxDetector` where nothing else is said of it."""
    return Path(path).suffix == ".onnx"


def prepare(image: Image, size: Size, head: Head) -> Float32Array:
    """Returns the (1, 3, H, W) float32 input of a network.

    Args:
        image: (H, W, 3) uint8 BGR.
        size: height and width of the input.
        head: of the network.
    """
    if head.fit == "stretch":
        import cv2

        fitted = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    else:
        fitted = letterbox(image, size, corner=head.fit == "corner")
    colours = fitted[..., ::-1] if head.rgb else fitted
    found = colours.transpose(2, 0, 1)[None].astype(np.float32, order="C")
    if head.divisor != 1:
        found /= head.divisor
    if any(head.mean):
        found -= np.array(head.mean, dtype=np.float32)[:, None, None]
        found /= np.array(head.deviation, dtype=np.float32)[:, None, None]
    return found


def _back(xyxy: FloatArray, size: Size, width: int, height: int, head: Head) -> FloatArray:
    """Returns boxes in pixels of the image instead of the input."""
    if head.fit != "stretch":
        return unletterbox(xyxy, size, width, height, corner=head.fit == "corner")
    return clip(xyxy * (np.array([width, height] * 2) / (size[::-1] * 2)), width, height)


def _kind(path: Path, outputs: dict[str, tuple[int, ...]], size: Size, wanted: str | None) -> Kind:
    """Returns the kind of a network; what is wanted must be possible."""
    possible = kinds(outputs, size)
    if wanted in possible:
        return possible[possible.index(wanted)]
    if wanted is None and possible:
        return possible[0]
    shapes = ", ".join(f"{name} {shape}" for name, shape in outputs.items())
    expected = HEADS[wanted].outputs if wanted in HEADS else "those of a detector: " + ", ".join(get_args(Kind))
    remedy = f"take kind={possible[0]}" if possible else "export a plain detector with one of these outputs"
    raise ValueError(
        f"detector kind: got {wanted} for '{path}' with outputs {shapes} for an input of {size[0]} x {size[1]}; "
        f"expected {expected}; {remedy}"
    )


def _input_of(network: Network, path: Path, image_size: int | None) -> tuple[Input, Size]:
    """Returns the input for the image, and its height and width."""
    images = [one for one in network.inputs if len(one.shape) == 4 and one.shape[1] in (3, None)]
    if len(images) != 1 or images[0].shape[0] not in (1, None):
        shapes = ", ".join(f"{one.name} {one.shape}" for one in network.inputs)
        raise ValueError(f"detector: got '{path}' with inputs {shapes}; expected (1, 3, H, W), one image at a time")
    height, width = images[0].shape[2:]
    if height is None or width is None:
        if image_size is None:
            raise ValueError(
                f"detector image_size: got None for '{path}', which takes any size; expected a number such as 640"
            )
        return images[0], (image_size, image_size)
    if image_size not in (None, height) or image_size not in (None, width):
        raise ValueError(
            f"detector image_size: got {image_size} for '{path}', which is made for {height} x {width}; leave it out"
        )
    return images[0], (height, width)
