"""Embedder: boxes in an image to unit-length embeddings, from a checkpoint, an ONNX file or a bundled model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, Image
from mot_reid.reid import checkpoint
from mot_reid.reid.foreign import is_foreign, open_foreign
from mot_reid.reid.inference import InferenceNetwork, open_onnx
from mot_reid.reid.pictures import Picture, as_pictures, to_rgb
from mot_reid.reid.preprocess import Preprocess

_FEW_CROPS = 4
_SMALL_NETWORK = 1_000_000  # parameters; OSNet at width 0.5 has half of that
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Embedder:
    """Embeds people: `embedder(image, xyxy) -> (N, D)` float32 rows of unit length.

    The checkpoint is checked when it is opened. Crops are cut, resized and normalised exactly as in validation; see
    `Preprocess.crops` for boxes that are partly outside the image.

    Args:
        path_or_name: A `model.safetensors`, a Lightning `.ckpt`, an exported `.onnx` (run by ONNX Runtime); an `.onnx`
            or OpenVINO `.xml` file of others, with a JSON file of the same name that says its preprocessing; or the
            name of a model that travels with the package, such as "osnet_x0_25_market1501"; or
            "hf://user/name[@revision]", a model on the Hugging Face Hub.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", "mps".
        batch_size: Crops that go through the network at once.
        precision: Of the backbone: "float32", "bfloat16", "float16", or "auto", half precision on a CUDA device and
            float32 elsewhere. The embedding is float32 in any case. An ONNX file has its own.

    Attributes:
        metadata: The description stored in the file.
        preprocess: Turns pixels into the network's input.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        CheckpointError: If the file is damaged or not a checkpoint of mot_reid.
        ValueError: If an argument is out of its range.
        ImportError: If an ONNX file is given and ONNX Runtime is not installed.
    """

    def __init__(
        self,
        path_or_name: str | os.PathLike[str],
        *,
        device: str = "auto",
        batch_size: int = 64,
        precision: str = "auto",
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size: got {batch_size}; expected at least 1")
        path = checkpoint.find(path_or_name)
        self.device = _device(device)
        self.batch_size = batch_size
        self._alone = False
        self._forward: Callable[[Tensor], Tensor]
        if is_foreign(path) or path.suffix == ".onnx":
            if precision != "auto":
                raise ValueError(f"precision: got {precision!r}; expected 'auto', since an ONNX file has its own")
            opened = open_foreign(path) if is_foreign(path) else open_onnx(path, device=self.device.type)
            self.metadata, self._forward = opened
        else:
            dtype = _dtype(precision, self.device)
            artifact = checkpoint.load(path)
            self.metadata = artifact.metadata
            network = InferenceNetwork(artifact.network, dtype=dtype).to(self.device).eval()
            self._alone = self.device.type == "cpu" and _size(network) < _SMALL_NETWORK
            self._forward = network
        self.preprocess = Preprocess.from_dict(self.metadata["preprocess"])

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
        pixels, boxes = self._pixels(image), _boxes(xyxy)
        chunks = (boxes[start : start + self.batch_size] for start in range(0, max(len(boxes), 1), self.batch_size))
        return self._run(self.preprocess.crops(pixels, chunk, color=color) for chunk in chunks)

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
        crops = [self.preprocess.crops(self._pixels(image), part, color=color) for image, part in zip(images, boxes)]
        found = self._run(iter(torch.cat(crops).split(self.batch_size)))
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
        return self._run(self._prepared([to_rgb(one, color=color) for one in chunk]) for chunk in chunks)

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

    def _pixels(self, image: Image) -> Any:
        """Returns an image on the device, where its crops are cut; what is no array is refused there."""
        return _tensor(image).to(self.device) if isinstance(image, np.ndarray) else image

    def _prepared(self, crops: Sequence[Image]) -> Tensor:
        """Returns the network's input for one batch of RGB crops; crops of one size are resized together."""
        if len({crop.shape for crop in crops}) == 1:
            return self.preprocess(_planes(np.stack(crops), self.device))
        resized = [self.preprocess.resize(_planes(crop[None], self.device)) for crop in crops]
        return self.preprocess.normalise(torch.cat(resized))

    def _embedded(self, batch: Tensor) -> Tensor:
        """Returns the embeddings of one batch."""
        if not self._alone or len(batch) > _FEW_CROPS:
            return self._forward(batch)
        # To wake a second thread for each of the network's layers takes longer than the work that it would share.
        with _one_thread():
            return self._forward(batch)

    @torch.inference_mode()
    def _run(self, batches: Iterator[Tensor]) -> Float32Array:
        """Returns the embeddings of all batches, on the host."""
        found = [self._embedded(batch).cpu() for batch in batches if len(batch)]
        if not found:
            return np.zeros((0, self.embedding_dim), dtype=np.float32)
        return torch.cat(found).numpy()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps torch's work of the block in the thread that asks."""
    threads = torch.get_num_threads()
    if threads == 1:  # also in a thread that is born while another is in here; to put its 1 back would spread it
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _size(network: nn.Module) -> int:
    """Returns the number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def _boxes(xyxy: FloatArray) -> FloatArray:
    """Returns (N, 4) boxes; of no boxes, in any shape, (0, 4)."""
    return np.asarray(xyxy, dtype=np.float64).reshape(-1, 4) if np.size(xyxy) == 0 else np.asarray(xyxy)


def _planes(images: Image, device: torch.device) -> Tensor:
    """Returns (B, h, w, 3) pixels as a (B, 3, h, w) tensor on the device."""
    return _tensor(images).to(device).permute(0, 3, 1, 2)


def _tensor(array: NDArray[Any]) -> Tensor:
    """Returns a tensor; torch warns of arrays that cannot be written to, so of these it gets a copy."""
    return torch.from_numpy(np.require(array, requirements=("C", "W")))


def _device(name: str) -> torch.device:
    """Returns the device of that name, or for "auto" the best there is."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device: got {name!r}; expected 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: got {name!r}; expected 'auto' or 'cpu', since torch finds no CUDA device here")
    return device


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    """Returns the type the backbone computes in."""
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision not in _DTYPES:
        raise ValueError(f"precision: got {precision!r}; expected 'auto', {', '.join(map(repr, _DTYPES))}")
    return _DTYPES[precision]
