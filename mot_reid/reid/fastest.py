"""Other runtimes for a checkpoint: exported once, kept for the next time, and the fastest one of them.

On a CPU a small network spends more time in torch's calls than in arithmetic; ONNX Runtime and OpenVINO do without.
"""

from __future__ import annotations

import logging
import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.extras import install
from mot_reid.files import check_writable
from mot_reid.reid import checkpoint
from mot_reid.reid.bundled import twin
from mot_reid.reid.file_backend import FileBackend

CACHE = "MOT_REID_CACHE"
"""Environment variable that names the folder of exported files."""
_RUN_BY = {"onnx": "onnxruntime", "openvino": "openvino"}
_ENDINGS = {"onnx": ".onnx", "openvino": ".xml"}
_EXPORTED_BY = ("torch", "onnx", "onnxscript")
_CROPS, _TIMES = 8, 3

_log = logging.getLogger(__name__)


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
    target = _place(path, runtime)
    if not target.is_file():
        _export(path, runtime, target)
    return target


def _export(path: Path, runtime: str, target: Path) -> None:
    from mot_reid.reid.export import export_onnx, export_openvino

    check_writable(target, CACHE)
    artifact = checkpoint.load(path)  # refuses what is no such model, before anything is said
    _log.info("reid: exporting %s for %s, once, to %s", path.name, _RUN_BY[runtime], target)
    (export_onnx if runtime == "onnx" else export_openvino)(artifact, target, quick=True)


def open_exported(path: Path, runtime: str, *, device: str) -> FileBackend:
    """Returns what runs the checkpoint's exported file. A file in the cache that is damaged is exported again.

    Args:
        path: of the checkpoint.
        runtime: "onnx" or "openvino".
        device: as for the embedder.

    Raises:
        CheckpointError: the ONNX file that comes with a bundled model is damaged.
        DisagreementError, ImportError, OSError: as `exported`.
    """
    target = exported(path, runtime)
    try:
        return FileBackend(target, device=device)
    except checkpoint.CheckpointError as error:
        if target == twin(path):
            raise
        _log.warning("reid: the exported file in the cache cannot be used and is made again: %s", error)
    _export(path, runtime, target)
    return FileBackend(target, device=device)


def at_hand(path: Path) -> list[str]:
    """Returns the runtimes besides torch that can run a checkpoint here: installed, and so is what exports for them."""
    exports = all(find_spec(package) for package in _EXPORTED_BY)
    return [name for name, by in _RUN_BY.items() if find_spec(by) and (exports or _place(path, name).is_file())]


def automatic(path: Path, *, device: str) -> FileBackend | None:
    """Returns the checkpoint in the first other runtime at hand, which on a CPU is faster; `None`: torch runs it.

    Nothing is timed here, so that the same installation gives the same embeddings every time.

    Args:
        path: of the checkpoint.
        device: as for the embedder; on a GPU torch is faster.

    Raises:
        OSError: the folder that MOT_REID_CACHE names cannot be written to.
    """
    if not _on_cpu(device):
        return None
    names = at_hand(path)
    for name in names:
        try:
            return open_exported(path, name, device="cpu")
        except (ImportError, OSError, RuntimeError) as error:
            if isinstance(error, OSError) and os.environ.get(CACHE):
                raise
            _log.warning("reid: %s cannot be made ready for %s: %s", path.name, _RUN_BY[name], error)
    if not names and find_spec("torch"):
        _log.info("reid: torch runs %s; %s for a faster runtime on a CPU", path.name, install("onnx"))
    return None


def _on_cpu(device: str) -> bool:
    if device != "auto" or find_spec("torch") is None:
        return device in ("auto", "cpu")
    import torch

    return not torch.cuda.is_available()


def _place(path: Path, runtime: str) -> Path:
    """Returns where the exported file of a checkpoint is, or will be."""
    if runtime == "onnx" and (own := twin(path)) is not None:
        return own
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mot_reid"
    digest = checkpoint.identify(path)["sha256"][:16]
    return Path(os.environ.get(CACHE) or default) / f"{path.stem}-{digest}{_ENDINGS[runtime]}"


def fastest(path: Path, own: Any, *, device: str) -> Any:
    """Returns the backend that embeds a few crops in the least time: `own`, or that of a runtime at hand.

    Args:
        path: of the checkpoint.
        own: torch's backend of it.
        device: as for the embedder; on a GPU torch is the fastest without being asked.
    """
    if not str(own.device).startswith("cpu"):
        return own
    found = [own, *(open_exported(path, name, device=device) for name in at_hand(path))]
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
