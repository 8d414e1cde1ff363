"""Which weights a server may load: files of numbers, not those that can run code when they are read. And their name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def check_weights(weights: str | None, *, pickled: bool) -> None:
    """Refuses weights of a detector that can run code when they are read, unless the operator trusts them.

    Args:
        weights: `detector.weights`; None is the model that Ultralytics publishes.
        pickled: whether pickled weights are trusted.

    Raises:
        ValueError: the weights are neither an ONNX file nor an OpenVINO folder.
    """
    if weights is None or pickled:
        return
    path = Path(weights)
    if path.suffix.lower() == ".onnx" or (path.is_dir() and any(path.glob("*.xml"))):
        return
    if not path.exists() and not path.suffix:
        return  # which is told when it is loaded
    raise ValueError(
        f"detector.weights: got '{path.name}', a kind of file that can run code when it is read; expected an ONNX file "
        "or an OpenVINO folder; export it (yolo export model=FILE format=onnx), or set pickled_weights=true if you "
        "trust whoever made it"
    )


def model_name(facts: Mapping[str, Any]) -> str:
    """Returns what embeddings of a worker come from, by which those of another model are told apart.

    Args:
        facts: what the worker tells of its models.
    """
    return f"{facts['reid']}@{facts['reid_digest']}"
