"""Other runtimes for a checkpoint: exported once, kept for the next time, and the fastest one of them.

On a CPU a small network spends more time in torch's calls than in arithmetic; ONNX Runtime and OpenVINO do without.
"""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.reid import checkpoint
from mot_reid.reid.bundled import twin
from mot_reid.reid.file_backend import FileBackend

CACHE = "MOT_REID_CACHE"
"""Environment variable that names the folder of exported files."""
_NEEDS = {"onnx": ("onnxruntime", "onnx", "onnxscript"), "openvino": ("openvino", "onnx", "onnxscript")}
_ENDINGS = {"onnx": ".onnx", "openvino": ".xml"}
_CROPS, _TIMES = 8, 3


def exported(path: Path, runtime: str) -> Path:
    """Returns the checkpoint's exported file, which is written at the first time, if its embeddings agree with torch's.

    The ONNX file that comes with a bundled model is taken as it is.

    Args:
        path: of the checkpoint; other weights, or another name, make another file.
        runtime: "onnx" or "openvino".

    Raises:
        DisagreementError: the file does not give torch's embeddings.
        ImportError: a package for the export is not installed.
        OSError: the file cannot be written.
    """
    if runtime == "onnx" and (own := twin(path)) is not None:
        return own
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mot_reid"
    folder = Path(os.environ.get(CACHE) or default)
    digest = checkpoint.identify(path)["sha256"][:16]
    target = folder / f"{path.stem}-{digest}{_ENDINGS[runtime]}"
    if not target.is_file():
        from mot_reid.reid.export import export_onnx, export_openvino

        folder.mkdir(parents=True, exist_ok=True)
        (export_onnx if runtime == "onnx" else export_openvino)(checkpoint.load(path), target)
    return target


def at_hand() -> list[str]:
    """Returns the runtimes besides torch whose packages are installed."""
    return [name for name, packages in _NEEDS.items() if all(find_spec(package) for package in packages)]


def fastest(path: Path, own: Any, *, device: str) -> Any:
    """Returns the backend that embeds a few crops in the least time: `own`, or that of a runtime at hand.

    Args:
        path: of the checkpoint.
        own: torch's backend of it.
        device: as for the embedder; on a GPU torch is the fastest without being asked.
    """
    if not str(own.device).startswith("cpu"):
        return own
    found = [own, *(FileBackend(exported(path, name), device=device) for name in at_hand())]
    return min(found, key=_seconds)


def _seconds(backend: Any) -> float:
    """Returns the least time of a few rounds, after one that does not count."""
    crops = backend.prepared([np.full((256, 128, 3), 128, np.uint8)] * _CROPS)
    backend.embedded(crops)
    times = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        backend.embedded(crops)
        times.append(time.perf_counter() - start)
    return min(times)
