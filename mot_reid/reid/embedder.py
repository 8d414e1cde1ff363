"""Embedder: boxes in an image to unit-length embeddings, from a checkpoint, an ONNX file or a bundled model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, Image
from mot_reid.extras import install
from mot_reid.reid import bundled, checkpoint
from mot_reid.reid.pictures import Picture, as_pictures, to_rgb
from mot_reid.reid.preprocess import Preprocess

RUNTIMES = ("torch", "onnx", "openvino", "auto", "fastest")


class Embedder:
    """Embeds people: `embedder(image, xyxy) -> (N, D)` float32 rows of unit length.

    The checkpoint is checked when it is opened. Crops are cut, resized and normalised exactly as in validation; see
    `Preprocess.crops` for boxes that are partly outside the image.

    Args:
        path_or_name: A `model.safetensors` or a Lightning `.ckpt`, which torch runs; an exported `.onnx` or `.xml`,
            run by ONNX Runtime or OpenVINO without torch; such a file of others, with a JSON file of the same name
            that says its preprocessing; or the name of a model that travels with the package, such as
            "osnet_x0_25_market1501"; or "hf://user/name[@revision]", a model on the Hugging Face Hub.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", "mps".
        batch_size: Crops that go through the network at once.
        precision: Of the backbone: "float32", "bfloat16", "float16", or "auto", half precision on a CUDA device and
            float32 elsewhere. The embedding is float32 in any case. An ONNX file has its own.
        runtime: What runs a checkpoint: "torch"; "onnx" or "openvino", for which it is exported at the first time and
            kept in `~/.cache/mot_reid` (or the folder that MOT_REID_CACHE names); "auto": on a CPU ONNX Runtime where
            it is installed, else OpenVINO, else torch; or "fastest": all that are installed are tried on a few crops,
            on a CPU. An exported file has its own.

    Attributes:
        device: The name of where it runs.
        runtime: What runs it: "torch", "onnx" or "openvino".
        metadata: The description stored in the file.
        preprocess: Turns pixels into the network's input.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        CheckpointError: If the file is damaged or not a checkpoint of mot_reid.
        ValueError: If an argument is out of its range.
        ImportError: If what runs the file is not installed: torch, ONNX Runtime or OpenVINO.
    """

    def __init__(
        self,
        path_or_name: str | os.PathLike[str],
        *,
        device: str = "auto",
        batch_size: int = 64,
        precision: str = "auto",
        runtime: str = "torch",
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size: got {batch_size}; expected at least 1")
        self.batch_size = batch_size
        if runtime not in RUNTIMES:
            raise ValueError(f"runtime: got {runtime!r}; expected one of {', '.join(RUNTIMES)}")
        self._backend = _opened(checkpoint.find(path_or_name), device, precision, runtime)
        self.device: str = self._backend.device
        self.runtime: str = self._backend.runtime
        self.metadata: dict[str, Any] = self._backend.metadata
        self.preprocess: Preprocess = self._backend.preprocess

    @property
    def embedding_dim(self) -> int:
        """D, the length of an embedding."""
        return int(self.metadata["network"]["embedding_dim"])

    @property
    def threshold(self) -> float | None:
        """The calibrated cosine similarity from which two crops show the same person; None if never calibrated."""
        calibration = self.metadata["calibration"]
        return None if calibration is None else float(calibration["threshold"])

    def __call__(self, image: Image, xyxy: FloatArray, *, color: str = "bgr") -> Float32Array:
        """Embeds the boxes of one image.

        Args:
            image: (H, W, 3) uint8.
            xyxy: (N, 4) boxes in pixels of the image; N may be 0.
            color: Order of the image's channels: "bgr" as OpenCV reads, or "rgb".

        Returns:
            (N, D) float32, each row of unit length.

        Raises:
            ValueError: If the image is empty or no (H, W, 3) uint8, a box is not finite or reversed, or the colour is
                unknown.
        """
        boxes = _boxes(xyxy)
        chunks = (boxes[start : start + self.batch_size] for start in range(0, max(len(boxes), 1), self.batch_size))
        return self._run(self._backend.crops(image, chunk, color=color) for chunk in chunks)

    def many(self, images: Sequence[Image], xyxy: Sequence[FloatArray], *, color: str = "bgr") -> list[Float32Array]:
        """Embeds the boxes of several images together, which is quicker than one image after the other.

        Args:
            images: As in a call, one or more.
            xyxy: (N, 4) boxes of each.
            color: Order of the channels of all of them.

        Returns:
            For each image what a call returns.

        Raises:
            ValueError: As in a call.
        """
        if not len(images) == len(xyxy) > 0:
            raise ValueError(
                f"images: got {len(images)} images and boxes for {len(xyxy)}; expected the same number, at least one"
            )
        boxes = [_boxes(part) for part in xyxy]
        crops = [self._backend.crops(image, part, color=color) for image, part in zip(images, boxes)]
        batch, step = self._backend.joined(crops), self.batch_size
        found = self._run(batch[start : start + step] for start in range(0, len(batch), step))
        return np.split(found, np.cumsum([len(part) for part in boxes])[:-1])

    def embed(self, crops: Picture | Sequence[Picture], *, color: str = "bgr") -> Float32Array:
        """Embeds pictures that show one person each, whole.

        Args:
            crops: N pictures, each the path of an image file, a Pillow image or an array (h, w, 3) uint8 of any size;
                or one of them, or one array (N, h, w, 3). Files are decoded batch by batch.
            color: order of the channels of arrays, "bgr" or "rgb"; files and Pillow images say their own.

        Returns:
            (N, D) float32, each row of unit length; of a single picture (1, D).

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If a crop is empty or no (h, w, 3) uint8, a file is no image, or the colour is unknown.
        """
        pictures = as_pictures(crops, color=color)
        chunks = (pictures[start : start + self.batch_size] for start in range(0, len(pictures), self.batch_size))
        return self._run(self._backend.prepared([to_rgb(one, color=color) for one in chunk]) for chunk in chunks)

    def same(self, a: FloatArray, b: FloatArray, *, threshold: float | None = None) -> BoolArray:
        """Whether embeddings show the same person.

        Args:
            a: (D,) or (N, D) unit-length embeddings.
            b: As `a`; compared row by row, a single one with every row.
            threshold: The least cosine similarity of the same person; the calibrated one if None.

        Returns:
            Booleans of shape () or (N,).

        Raises:
            ValueError: If there is no threshold, neither given nor calibrated.
        """
        least = self.threshold if threshold is None else threshold
        if least is None:
            raise ValueError(
                "threshold: got None, and the model has no calibrated one; expected a cosine similarity from -1 to 1"
            )
        return np.asarray((np.asarray(a) * np.asarray(b)).sum(axis=-1) >= least)

    def _run(self, batches: Iterator[Any]) -> Float32Array:
        """Returns the embeddings of all batches."""
        found = [self._backend.embedded(batch) for batch in batches if len(batch)]
        return np.concatenate(found) if found else np.zeros((0, self.embedding_dim), dtype=np.float32)


def _opened(path: Path, device: str, precision: str, runtime: str) -> Any:
    """Returns what runs a file: torch its own checkpoints, another runtime what is written for it."""
    if path.suffix in (".onnx", ".xml"):
        if precision != "auto":
            raise ValueError(f"precision: got {precision!r}; expected 'auto', since an ONNX file has its own")
        from mot_reid.reid.file_backend import FileBackend

        return FileBackend(path, device=device)
    if runtime == "auto" and precision == "auto":
        from mot_reid.reid.fastest import automatic

        quicker = automatic(path, device=device)
        if quicker is not None:
            return quicker
    try:
        from mot_reid.reid.torch_backend import TorchBackend
    except ImportError as error:
        if error.name != "torch":
            raise
        raise ImportError(_without_torch(path)) from None
    if runtime in ("torch", "auto"):
        return TorchBackend(path, device=device, precision=precision)
    if precision != "auto":
        raise ValueError(f"precision: got {precision!r} with runtime={runtime}; expected 'auto', or runtime='torch'")
    from mot_reid.reid.fastest import fastest, open_exported
    from mot_reid.reid.file_backend import FileBackend

    if runtime == "fastest":
        return fastest(path, TorchBackend(path, device=device, precision=precision), device=device)
    return open_exported(path, runtime, device=device)


def _boxes(xyxy: FloatArray) -> FloatArray:
    """Returns (N, 4) boxes; of no boxes, in any shape, (0, 4)."""
    return np.asarray(xyxy, dtype=np.float64).reshape(-1, 4) if np.size(xyxy) == 0 else np.asarray(xyxy)


def _without_torch(path: Path) -> str:
    """Returns the sentence for a checkpoint that is asked for where torch is not installed."""
    travels = path.parent == bundled.WEIGHTS
    name = path.stem if travels else path.name
    others = [name for name in bundled.names() if bundled.twin(bundled.WEIGHTS / f"{name}.safetensors")]
    instead = f", take {' or '.join(others)}, which does without," if travels and others else ","
    return (
        f"checkpoint: '{name}' needs PyTorch, which is not installed; {install('reid')}{instead} or make an ONNX file "
        f"of it where PyTorch is: mot-reid export checkpoint={name} format=onnx"
    )
