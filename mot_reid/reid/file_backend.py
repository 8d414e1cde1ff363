"""An ONNX or OpenVINO file that its own runtime runs: pixels in, embeddings out, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, Image
from mot_reid.reid import array_crops
from mot_reid.reid.foreign import is_foreign, open_foreign
from mot_reid.reid.own_files import open_own
from mot_reid.reid.preprocess import Preprocess


class FileBackend:
    """What an `Embedder` does with an exported file, ours or of others.

    Args:
        path: of the file.
        device: as for the embedder.

    Attributes:
        metadata: the description stored in the file, or next to it.
        preprocess: turns pixels into the network's input.
        device: the name of where it runs.
        runtime: what runs it, "onnx" or "openvino".

    Raises:
        FileNotFoundError, CheckpointError, ValueError, ImportError: as for the embedder.
    """

    def __init__(self, path: Path, *, device: str) -> None:
        self.metadata, runtime = (open_foreign if is_foreign(path) else open_own)(path, device=device)
        self.preprocess = Preprocess.from_dict(self.metadata["preprocess"])
        self.device, self._run = runtime.device, runtime.run
        self.runtime = "openvino" if path.suffix == ".xml" else "onnx"

    def crops(self, image: Image, xyxy: FloatArray, *, color: str) -> Float32Array:
        """Returns the network's input for the boxes of an image."""
        return array_crops.crops(self.preprocess, image, xyxy, color=color)

    def prepared(self, crops: Sequence[Image]) -> Float32Array:
        """Returns the network's input for one batch of RGB crops."""
        return array_crops.prepare(self.preprocess, crops)

    def joined(self, batches: Sequence[Float32Array]) -> Float32Array:
        """Returns several batches as one."""
        return np.concatenate(batches)

    def embedded(self, batch: Float32Array) -> Float32Array:
        """Returns the embeddings of one batch."""
        return self._run(batch)
