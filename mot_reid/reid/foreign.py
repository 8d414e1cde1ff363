"""Re-ID networks of others as ONNX or OpenVINO files, whose preprocessing stands in a JSON file of the same name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mot_reid.reid.preprocess import Preprocess

Forward = Callable[[Tensor], Tensor]
_OWN = ("height", "width", "mean", "std", "color")
"""What the JSON file must say; `interpolation`, `threshold` and `licence` are optional."""
_EXAMPLE = '{"height": 256, "width": 128, "color": "rgb", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'


def sidecar(path: Path) -> Path:
    """Returns where the preprocessing of a network of others stands."""
    return path.with_suffix(".json")


def is_foreign(path: Path) -> bool:
    """Whether a file is a network of others: an OpenVINO file, or an ONNX file with a JSON file of the same name."""
    return path.suffix == ".xml" or (path.suffix == ".onnx" and sidecar(path).is_file())


def open_foreign(path: Path) -> tuple[dict[str, Any], Forward]:
    """Opens a network of others, which runs on the CPU.

    Args:
        path: an `.onnx` or OpenVINO `.xml` file with one input (B, 3, H, W) and one output (B, D).

    Returns:
        What a checkpoint would say of itself, and the forward pass to (B, D) float32 rows of unit length.

    Raises:
        FileNotFoundError: there is no JSON file of the same name.
        ValueError: the JSON file or the network is not as it should be.
        ImportError: what runs the file is not installed.
    """
    preprocess, own = _described(sidecar(path), path)
    run = open_network(path, preprocess, what="checkpoint")
    dim = run(torch.zeros(1, 3, *preprocess.size)).shape
    if len(dim) != 2:
        raise ValueError(f"checkpoint: got '{path}' with an output of shape {tuple(dim)}; expected (B, D), embeddings")
    threshold = own.get("threshold")
    metadata = {
        "network": {"backbone": path.name, "embedding_dim": int(dim[1])},
        "preprocess": preprocess.to_dict(),
        "embedding": {"taken": "output", "unit_length": True, "metric": "cosine"},
        "calibration": None if threshold is None else {"threshold": float(threshold)},
        "provenance": {"file": path.name},
        "licence": str(own.get("licence", "unknown: that of the file's authors")),
    }
    return metadata, lambda images: F.normalize(run(images.cpu().contiguous()))


def open_network(path: Path, preprocess: Preprocess, *, what: str) -> Forward:
    """Returns the forward pass of an ONNX or OpenVINO file, (B, 3, H, W) float32 to its first output.

    Args:
        path: of the file.
        preprocess: what the network takes.
        what: the key that names it in messages.

    Raises:
        ValueError: the file cannot be opened for images of that size.
        ImportError: what runs the file is not installed.
    """
    return _openvino(path, preprocess, what) if path.suffix == ".xml" else _onnx(path, what)


def _described(path: Path, network: Path) -> tuple[Preprocess, dict[str, Any]]:
    """Returns the preprocessing in a JSON file, and all that the file says."""
    if not path.is_file():
        raise FileNotFoundError(
            f"checkpoint: got '{network}' without its preprocessing; expected it in '{path}', such as {_EXAMPLE}"
        )
    try:
        own = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}': not valid JSON ({error}); expected such as {_EXAMPLE}") from None
    allowed = {*_OWN, "interpolation", "threshold", "licence"}
    if not isinstance(own, dict) or set(own) - allowed or set(_OWN) - set(own):
        found = sorted(own) if isinstance(own, dict) else type(own).__name__
        raise ValueError(
            f"'{path}': got {found}; expected {', '.join(_OWN)}, and if known interpolation, threshold, licence"
        )
    fields = {key: value for key, value in own.items() if key not in ("threshold", "licence")}
    try:
        return Preprocess(**fields), own
    except (TypeError, ValueError) as error:
        raise ValueError(f"'{path}': {error}") from None


def _openvino(path: Path, preprocess: Preprocess, what: str) -> Forward:
    try:
        import openvino
    except ImportError:
        raise ImportError(f"{what}: '{path}' needs OpenVINO; pip install openvino") from None
    core = openvino.Core()
    try:
        model = core.read_model(path)
        model.reshape([-1, 3, *preprocess.size])
        threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
        network = core.compile_model(model, "CPU", threads)
    except RuntimeError:
        raise ValueError(
            f"{what}: '{path}' cannot be opened for images of {preprocess.size}; expected an OpenVINO network of one "
            "image input; check height and width of its input"
        ) from None
    return lambda inputs: torch.from_numpy(network(inputs.numpy())[0].copy())


def _onnx(path: Path, what: str) -> Forward:
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(f"{what}: '{path}' needs ONNX Runtime; pip install 'mot-reid[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own kinds
        raise ValueError(f"{what}: '{path}' cannot be opened by ONNX Runtime; get the file again") from error
    name, fixed = session.get_inputs()[0].name, session.get_inputs()[0].shape[0] == 1

    def run(inputs: Tensor) -> Tensor:
        parts = inputs.split(1) if fixed else [inputs]
        return torch.cat([torch.from_numpy(session.run(None, {name: part.numpy()})[0]) for part in parts])

    return run
