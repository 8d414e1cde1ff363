"""A checkpoint that torch runs, on any of its devices: pixels in, embeddings out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mot_reid.arrays import Float32Array, FloatArray, Image
from mot_reid.reid import checkpoint
from mot_reid.reid.inference import InferenceNetwork
from mot_reid.reid.preprocess import Preprocess

_FEW_CROPS = 4
_SMALL_NETWORK = 1_000_000  # parameters; OSNet at width 0.5 has half of that
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TorchBackend:
    """What an `Embedder` does with a checkpoint.

    Args:
        path: of the checkpoint.
        device: as for the embedder.
        precision: as for the embedder.

    Attributes:
        metadata: the description stored in the file.
        preprocess: turns pixels into the network's input.
        device: the name of where it runs.
        runtime: "torch".

    Raises:
        CheckpointError, ValueError: as for the embedder.
    """

    runtime = "torch"

    def __init__(self, path: Path, *, device: str, precision: str) -> None:
        self._device = find_device(device)
        dtype = _dtype(precision, self._device)
        artifact = checkpoint.load(path)
        self.metadata: dict[str, Any] = artifact.metadata
        self.preprocess = Preprocess.from_dict(self.metadata["preprocess"])
        self.device = str(self._device)
        network = InferenceNetwork(artifact.network, dtype=dtype).to(self._device).eval()
        self._alone = self._device.type == "cpu" and _size(network) < _SMALL_NETWORK
        self._forward: Callable[[Tensor], Tensor] = network

    def crops(self, image: Image, xyxy: FloatArray, *, color: str) -> Tensor:
        """Returns the network's input for the boxes of an image, which is cut on the device."""
        pixels: Any = _tensor(image).to(self._device) if isinstance(image, np.ndarray) else image
        return self.preprocess.crops(pixels, xyxy, color=color)

    def prepared(self, crops: Sequence[Image]) -> Tensor:
        """Returns the network's input for one batch of RGB crops; crops of one size are resized together."""
        if len({crop.shape for crop in crops}) == 1:
            return self.preprocess(_planes(np.stack(crops), self._device))
        resized = [self.preprocess.resize(_planes(crop[None], self._device)) for crop in crops]
        return self.preprocess.normalise(torch.cat(resized))

    def joined(self, batches: Sequence[Tensor]) -> Tensor:
        """Returns several batches as one."""
        return torch.cat(tuple(batches))

    @torch.inference_mode()
    def embedded(self, batch: Tensor) -> Float32Array:
        """Returns the embeddings of one batch, on the host."""
        if not self._alone or len(batch) > _FEW_CROPS:
            return self._forward(batch).cpu().numpy()
        # To wake a second thread for each of the network's layers takes longer than the work that it would share.
        with _one_thread():
            return self._forward(batch).cpu().numpy()


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


def _planes(images: Image, device: torch.device) -> Tensor:
    """Returns (B, h, w, 3) pixels as a (B, 3, h, w) tensor on the device."""
    return _tensor(images).to(device).permute(0, 3, 1, 2)


def _tensor(array: NDArray[Any]) -> Tensor:
    """Returns a tensor; torch warns of arrays that cannot be written to, so of these it gets a copy."""
    return torch.from_numpy(np.require(array, requirements=("C", "W")))


def find_device(name: str) -> torch.device:
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
