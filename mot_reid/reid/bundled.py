"""The models that travel with the package."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""Where they are."""
_ENDINGS = (".safetensors", ".ckpt", ".onnx", ".xml")


def names() -> list[str]:
    """Returns their names, sorted."""
    return sorted(file.stem for file in WEIGHTS.glob("*.safetensors"))


def beside(model: Path) -> Path:
    """Returns the path that files next to a model are named after: its own, or of a bundled one the bare name."""
    return Path(model.name) if WEIGHTS in model.parents else model


def resolve(path_or_name: str | os.PathLike[str]) -> Path:
    """Returns the file of a bundled model for its name, unless a file of that name exists; any other path as it is.

    Where torch is not installed, a model that has an ONNX twin is that twin, which ONNX Runtime runs.
    """
    path = Path(path_or_name)
    if path.is_file() or str(path_or_name) not in names():
        return path
    weights = WEIGHTS / f"{path_or_name}.safetensors"
    other = twin(weights)
    return other if other is not None and find_spec("torch") is None else weights


def twin(weights: Path) -> Path | None:
    """Returns the ONNX file of a bundled model that comes with its weights; None where there is none."""
    other = weights.with_suffix(".onnx")
    return other if weights.parent == WEIGHTS and other.is_file() else None


def title(path_or_name: str | os.PathLike[str]) -> str:
    """Returns what a model is called in tables: a bundled one by its name, a file by its own or that of its folder."""
    path = Path(path_or_name)
    if str(path_or_name) in names() or path.suffix not in _ENDINGS:
        return str(path_or_name)
    return path.resolve().parent.name if path.stem in ("model", "best", "last") else path.stem
