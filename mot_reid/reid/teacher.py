"""Teacher: a frozen network, of ours or of others, whose embeddings a student learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from mot_reid.files import given_by
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.preprocess import Preprocess
from mot_reid.reid.runtimes import open_runtime


class Teacher:
    """Maps crops to the embeddings of a frozen network; it runs on the CPU.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str | Path, *, preprocess: Preprocess | None = None) -> None:
        """Opens the network.

        Args:
            path: a `model.safetensors` or `.onnx` of ours, or the name of a bundled model; with `preprocess`, an
                `.onnx` or OpenVINO `.xml` file of others with one input (B, 3, H, W) and one output (B, D).
            preprocess: what turns pixels into the input of a network of others; None for ours, which carry theirs.

        Raises:
            FileNotFoundError: There is no such file.
            CheckpointError: A file that should be ours is not.
            ValueError: A network of others comes without its preprocessing, or one of ours with it.
            ImportError: What runs the file is not installed.
        """
        with given_by("distill.teacher"):
            self.path = checkpoint.find(path)
        foreign = self.path.suffix in (".onnx", ".xml")
        if preprocess is None and self.path.suffix == ".xml":
            raise ValueError(
                f"distill.teacher: got '{path}', which does not describe its preprocessing; set "
                "distill.teacher_size, and distill.teacher_color, teacher_mean and teacher_std"
            )
        if preprocess is not None and not foreign:
            raise ValueError(
                f"distill.teacher_size: got {preprocess.size} for '{path}', which carries its own preprocessing; "
                "expected null; leave it out"
            )
        with given_by("distill.teacher"):
            self._embed = _ours(self.path) if preprocess is None else _of_others(self.path, preprocess)

    @property
    def sha256(self) -> str:
        """The checksum of the file, see `checkpoint.identify`."""
        return checkpoint.identify(self.path)["sha256"]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Maps (B, 3, h, w) uint8 RGB images to (B, D) float32 rows of unit length."""
        return F.normalize(self._embed(images))


def _ours(path: Path) -> Callable[[Tensor], Tensor]:
    """Returns the forward pass of a network that describes itself."""
    embedder = Embedder(path, device="cpu")
    return lambda images: torch.from_numpy(embedder.embed(list(images.permute(0, 2, 3, 1).numpy()), color="rgb"))


def _of_others(path: Path, preprocess: Preprocess) -> Callable[[Tensor], Tensor]:
    """Returns the forward pass of a network that takes what `preprocess` gives."""
    run = open_runtime(path, "cpu", what="distill.teacher", size=preprocess.size).run
    return lambda images: torch.from_numpy(run(preprocess(images).contiguous().numpy()))
