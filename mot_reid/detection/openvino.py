"""A YOLO network in OpenVINO's format, run by OpenVINO itself: no torch, and several frames at a time.

Ultralytics runs such a folder one frame after the other. Here every thread that asks has a request of its own, so the
processor's cores work on different frames instead of waiting for each other within one, and resizing and suppression
of one frame run while the network works on another. The boxes are the same where the input is (`rectangular=False`).
"""

from __future__ import annotations

import os
import re
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.arrays import Float32Array, Image
from mot_reid.detection.heads import yolo
from mot_reid.detection.letterbox import letterbox, unletterbox
from mot_reid.detection.rectangle import fitting, reshaped, strides_of
from mot_reid.detection.suppression import suppress
from mot_reid.extras import missing
from mot_reid.structures import Detections

_SHAPES = 4  # networks that are kept ready, one for each shape of image


class OpenVinoYolo:
    """A detector `image -> Detections` of one exported folder; safe to call from several threads.

    Args:
        folder: holds one `.xml` with its `.bin`, as `yolo export format=openvino` writes it.
        min_score: least score of a box.
        nms_iou: IoU above which the worse of two boxes goes.
        classes: the classes that are kept; None keeps all.
        rectangular: whether the input is cut to the shape of the image.
        max_detections: boxes per image at most.

    Attributes:
        workers: images that are worth detecting at the same time.

    Raises:
        ImportError: OpenVINO is not installed.
        ValueError: the folder holds no detector of the kind that this class reads, or one that keeps its shape;
            Ultralytics may run it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        min_score: float,
        nms_iou: float,
        classes: tuple[int, ...] | None,
        rectangular: bool = False,
        max_detections: int = 300,
    ) -> None:
        self._min_score, self._nms_iou, self._max_detections = min_score, nms_iou, max_detections
        self._classes = None if classes is None else np.array(classes, dtype=np.int64)
        self._model, self._size = _read(folder)
        self._strides = strides_of(self._model, self._size) if rectangular else []
        if rectangular and not self._strides:
            raise ValueError(
                f"detector rectangular: got True for '{folder}', whose output layer is not supported; expected one "
                "with YOLO's anchors and strides; leave it out"
            )
        self._network = lru_cache(_SHAPES)(self._compiled)
        self._compiling = threading.Lock()
        self._own = threading.local()
        # OpenVINO's binding sets itself up on first use, and two threads that are first at once wait for each other
        # for good: one holds the interpreter, the other the setup. So the first use is here, alone.
        self(np.zeros((*self._size, 3), dtype=np.uint8))
        self.workers = int(self._network(self._size).get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))

    def __call__(self, image: Image) -> Detections:
        """Returns the boxes of one (H, W, 3) uint8 BGR image, best first."""
        height, width = image.shape[:2]
        size = self._size
        if self._strides:
            size = fitting(width, height, size=self._size, stride=max(self._strides))
        output = self._infer(image, size)
        rows = yolo(output, self._min_score)
        if self._classes is not None:
            rows = rows[np.isin(rows[:, 5], self._classes)]
        xyxy, score, class_id = rows[:, :4].astype(np.float64), rows[:, 4], rows[:, 5].astype(np.int64)
        kept = suppress(xyxy, score, class_id, limit=self._nms_iou, most=self._max_detections)
        return Detections(unletterbox(xyxy[kept], size, width, height), score[kept], class_id[kept])

    def _infer(self, image: Image, size: tuple[int, int]) -> Float32Array:
        """Returns the (C, A) output for one image, valid until the thread's next one."""
        with self._compiling:
            network = self._network(size)
        own = self._own
        if getattr(own, "network", None) is not network:
            own.network, own.request = network, network.create_infer_request()
        letterbox(image, size, out=own.request.get_input_tensor().data[0])
        own.request.infer()
        return own.request.get_output_tensor().data[0]  # type: ignore[no-any-return]

    def _compiled(self, size: tuple[int, int]) -> Any:
        """Returns the network for images of `size`."""
        if size == self._size:
            return _compile(self._model)
        return _compile(reshaped(self._model, size=self._size, new=size, strides=self._strides))


def _read(folder: Path) -> tuple[Any, tuple[int, int]]:
    """Returns the network and the height and width of its input."""
    model = read_model(folder)
    shape = model.inputs[0].get_partial_shape()
    if len(model.outputs) != 1 or shape.is_dynamic or list(shape)[1] != 3:
        raise ValueError(
            f"detector: '{folder}' is not a plain detector with a fixed image size; run it with Ultralytics"
        )
    return model, (int(list(shape)[2].get_length()), int(list(shape)[3].get_length()))


def read_model(path: Path) -> Any:
    """Returns OpenVINO's model of a detector.

    Args:
        path: an `.xml` file with its `.bin`, or a folder with one.

    Raises:
        ImportError: OpenVINO is not installed.
        ValueError: there is no network, or several, or one made for something else than detection.
    """
    try:
        import openvino
    except ImportError:
        raise missing("openvino", f"detector: '{path}'") from None
    files = sorted(path.glob("*.xml")) if path.is_dir() else [path]
    if len(files) != 1:
        raise ValueError(f"detector: got '{path}' with {len(files)} .xml files; expected one exported network")
    described = files[0].with_name("metadata.yaml")
    task = re.search(r"^task: (\w+)", described.read_text("utf-8"), re.MULTILINE) if described.is_file() else None
    if task and task[1] != "detect":
        raise ValueError(f"detector: got '{path}', made for task '{task[1]}'; expected a detector; export a plain one")
    try:
        return openvino.Core().read_model(files[0])
    except RuntimeError as error:
        # Before the reason come the places in OpenVINO's own source.
        reason = next((line for line in str(error).splitlines() if not line.startswith(("Exception", "Check"))), "")
        raise ValueError(f"detector: '{files[0]}' cannot be read as an OpenVINO network: {reason.strip()}") from None


def _compile(model: Any) -> Any:
    """Returns the network for BGR bytes, with a stream for each core."""
    import openvino
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model.clone())  # which would be given its new input, and once only
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).reverse_channels().scale(255.0)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return openvino.Core().compile_model(steps.build(), "CPU", {"NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores})
