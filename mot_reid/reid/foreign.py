"""Re-ID networks of others as ONNX or OpenVINO files, whose preprocessing stands in a JSON file of the same name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.reid import checkpoint
from mot_reid.reid.own_files import said_by
from mot_reid.reid.preprocess import Preprocess
from mot_reid.reid.runtimes import Runtime, open_runtime

_OWN = ("height", "width", "mean", "std", "color")
"""What the JSON file must say; `interpolation`, `threshold` and `licence` are optional."""
_EXAMPLE = '{"height": 256, "width": 128, "color": "rgb", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'


def sidecar(path: Path) -> Path:
    """Returns where the preprocessing of a network of others stands."""
    return path.with_suffix(".json")


def is_foreign(path: Path) -> bool:
    """Whether a file is a network of others: it has a JSON file of the same name, or is an `.xml` not written by us."""
    if path.suffix not in (".onnx", ".xml"):
        return False
    return sidecar(path).is_file() or (path.suffix == ".xml" and checkpoint.METADATA_KEY not in said_by(path))


def open_foreign(path: Path, *, device: str = "cpu") -> tuple[dict[str, Any], Runtime]:
    """Opens a network of others.

    Args:
        path: an `.onnx` or OpenVINO `.xml` file with one input (B, 3, H, W) and one output (B, D).
        device: "cuda" or "cuda:1" runs an ONNX file on a GPU; anything else on the CPU.

    Returns:
        What a checkpoint would say of itself, and the forward pass to (B, D) float32 rows of unit length.

    Raises:
        FileNotFoundError: there is no JSON file of the same name.
        ValueError: the JSON file or the network is not as it should be.
        ImportError: what runs the file is not installed.
    """
    preprocess, own = _described(sidecar(path), path)
    runtime = open_runtime(path, device, what="checkpoint", size=preprocess.size)
    dim = runtime.run(np.zeros((1, 3, *preprocess.size), dtype=np.float32)).shape
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
    return metadata, Runtime(lambda images: _unit(runtime.run(images)), runtime.device)


def _unit(rows: Float32Array) -> Float32Array:
    """Returns rows of unit length; a row of zeros stays one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


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
