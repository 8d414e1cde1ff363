"""A YOLO network as a detector."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.arrays import Image
from mot_reid.detection.openvino import OpenVinoYolo
from mot_reid.extras import install
from mot_reid.structures import Detections, as_detections

PERSON = 0


class YoloDetector:
    """Finds people by a YOLO network: `detector(image) -> Detections`.

    A plain OpenVINO folder is run by OpenVINO directly, several frames at a time; everything else by Ultralytics.

    Args:
        weights: any of Ultralytics' formats: `.pt`, `.onnx`, `.engine`, an OpenVINO folder ..; a name of Ultralytics'
            own such as `yolov8s.pt` is downloaded where it is not on disk. A `.pt` file can run code: take it from
            those you trust.
        min_score: least score of a box. ByteTrack uses boxes from 0.1.
        nms_iou: IoU above which the worse of two boxes goes.
        classes: the classes that are kept, in the numbers of the network; COCO's 0 is person. None keeps all.
        image_size: side of the network's input in pixels; None is the one it was made for.
        rectangular: whether the input is cut to the shape of the image, so that nothing is spent on the grey around it.
            The boxes differ a little. None: where the network takes any shape, as `.pt` does, and else not.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or what else Ultralytics takes.
        max_detections: boxes per image at most.

    Attributes:
        workers: images that are worth detecting at the same time, each in a thread of its own.

    Raises:
        FileNotFoundError: the weights are not there, and cannot be downloaded.
        ImportError: the package that runs them is not installed.
        ValueError: the weights are no detector, or an argument is out of its range.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] = "yolov8s.pt",
        *,
        min_score: float = 0.1,
        nms_iou: float = 0.7,
        classes: Sequence[int] | None = (PERSON,),
        image_size: int | None = None,
        rectangular: bool | None = None,
        device: str = "auto",
        max_detections: int = 300,
    ) -> None:
        check_options(min_score=min_score, nms_iou=nms_iou, image_size=image_size, max_detections=max_detections)
        self.weights = os.fspath(weights)
        wanted = None if classes is None else tuple(int(number) for number in classes)
        path = Path(self.weights)
        self._openvino: OpenVinoYolo | None = None
        if _is_openvino(path) and image_size is None and device in ("auto", "cpu"):
            self._openvino = OpenVinoYolo(
                path, min_score=min_score, nms_iou=nms_iou, classes=wanted,
                rectangular=bool(rectangular), max_detections=max_detections,
            )  # fmt: skip
        else:
            self._model = open_ultralytics(self.weights)
            self._options: dict[str, Any] = {
                "conf": min_score,
                "iou": nms_iou,
                "classes": None if wanted is None else list(wanted),
                "max_det": max_detections,
                "device": None if device == "auto" else device,
                "verbose": False,
            }
            if image_size is not None:
                self._options["imgsz"] = image_size
            if rectangular is not None:
                self._options["rect"] = rectangular
            self._try()
        self.workers = self._openvino.workers if self._openvino else 1

    def __call__(self, image: Image) -> Detections:
        """Returns the boxes of one image, best first.

        Args:
            image: (H, W, 3) uint8 BGR.

        Raises:
            ValueError: the image is of another kind, or the network does not take it.
        """
        return self.many([image])[0]

    def many(self, images: Sequence[Image]) -> list[Detections]:
        """Returns the boxes of each of several images, which go through the network together where it can do that.

        Args:
            images: (H, W, 3) uint8 BGR each.

        Raises:
            ValueError: an image is of another kind, or the network does not take it.
        """
        for image in images:
            check_image(image)
        if self._openvino is not None:
            return [self._openvino(image) for image in images]
        results = self._model.predict([np.ascontiguousarray(image) for image in images], **self._options)
        return [as_detections(result) for result in results]

    def _try(self) -> None:
        """Runs the network once: Ultralytics looks at the weights and at the device only then."""
        try:
            self.many([np.zeros((64, 64, 3), dtype=np.uint8)])
        except Exception as error:  # of the packages of many formats
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"detector: '{self.weights}' cannot be run: {reason}") from None


def check_options(*, min_score: float, nms_iou: float, image_size: int | None, max_detections: int) -> None:
    """Raises ValueError for a value that no detector takes."""
    for name, share in (("min_score", min_score), ("nms_iou", nms_iou)):
        if not 0 <= share <= 1:
            raise ValueError(f"detector {name}: got {share}; expected a number from 0 to 1")
    for name, count in (("image_size", image_size), ("max_detections", max_detections)):
        if count is not None and count < 1:
            raise ValueError(f"detector {name}: got {count}; expected 1 or more")


def check_image(image: Image) -> None:
    """Raises ValueError for what is no BGR image of bytes."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"image: got {image.dtype} of shape {image.shape}; expected uint8 (H, W, 3)")


def _is_openvino(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*.xml"))


def open_ultralytics(weights: str) -> Any:
    """Returns Ultralytics' model; its many ways to fail become one sentence.

    Args:
        weights: a file, an exported folder, a `.yaml`, or a name of Ultralytics' own, which is downloaded.

    Raises:
        FileNotFoundError: the weights are not there, and cannot be downloaded.
        ImportError: Ultralytics is not installed.
        ValueError: the weights cannot be read.
    """
    path = Path(weights)
    if not path.exists() and (path.parent != Path() or not path.suffix):
        raise FileNotFoundError(
            f"detector: got '{weights}', which is not there; expected a YOLO model: a file, an exported folder, or a "
            "name such as yolov8s.pt; check the path"
        )
    try:
        from ultralytics import YOLO
    except ImportError as error:
        raise ImportError(f"detector: needs Ultralytics ({error}); {install('yolo')}") from None
    try:
        return YOLO(weights, task="detect")
    except Exception as error:  # of torch, pickle, urllib or Ultralytics, for a bad file
        if not path.exists():
            raise FileNotFoundError(
                f"detector: got '{weights}', which is not on this machine and could not be downloaded; expected the "
                "path of a YOLO model; fetch it where there is a network and copy it here"
            ) from None
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"detector: '{weights}' cannot be read as a YOLO model: {reason}") from None
