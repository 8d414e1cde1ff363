"""Networks of ours as ONNX or OpenVINO files, which describe themselves and carry a probe; run without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mot_reid.reid import checkpoint
from mot_reid.reid.array_crops import prepare
from mot_reid.reid.preprocess import Preprocess
from mot_reid.reid.runtimes import Forward, Runtime, open_runtime

PROBE_KEY = "mot_reid_probe"
"""Where such a file keeps the embedding that its probe must give."""
_INT8_AGREEMENT = 0.99
"""As `checkpoint.PROBE_AGREEMENT`, for files in 8 bits, whose sums are rounded differently by different processors."""


def open_own(path: Path, *, device: str = "cpu") -> tuple[dict[str, Any], Runtime]:
    """Opens a file that `mot-reid export` wrote and lets it embed its probe.

    Args:
        path: an `.onnx` file, or an OpenVINO `.xml` file with its `.bin`.
        device: "cuda" or "cuda:1" runs an ONNX file on a GPU; anything else on the CPU.

    Returns:
        The metadata, and the forward pass from (B, 3, H, W) float32 to (B, D) float32.

    Raises:
        CheckpointError: the file is foreign, newer than this version, changed, or fails its probe.
        ImportError: what runs the file is not installed.
        ValueError: the device is not to be had.
    """
    runtime = open_runtime(path, device, what="checkpoint", damaged=checkpoint.CheckpointError)
    stored = said_by(path) if path.suffix == ".xml" else runtime.said
    metadata = checkpoint.parse_metadata(stored.get(checkpoint.METADATA_KEY), path)
    _check_probe(path, metadata, stored.get(PROBE_KEY, "[]"), runtime.run)
    return metadata, runtime


def said_by(path: Path) -> dict[str, str]:
    """Returns the run-time information of an OpenVINO `.xml` file by its keys; of a file without any, nothing."""
    try:
        found = ElementTree.parse(path).getroot().find("rt_info")
    except (ElementTree.ParseError, UnicodeDecodeError):
        return {}
    return {} if found is None else {entry.tag: entry.get("value", "") for entry in found}


def _check_probe(path: Path, metadata: dict[str, Any], stored: str, run: Forward) -> None:
    expected = np.array(json.loads(stored), dtype=np.float32)
    found = run(prepare(Preprocess.from_dict(metadata["preprocess"]), [checkpoint.probe_pixels()]))[0]
    least = _INT8_AGREEMENT if "int8" in metadata["provenance"] else checkpoint.PROBE_AGREEMENT
    if expected.shape != found.shape or not float(expected @ found) > least:
        raise checkpoint.CheckpointError(f"'{path}': its probe does not give the stored embedding; get the file again")
