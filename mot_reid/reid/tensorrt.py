"""The artifact as an engine of TensorRT, built on the GPU that it will run on."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mot_reid.files import writing
from mot_reid.reid.checkpoint import Artifact
from mot_reid.reid.export import export_onnx

_BATCHES = (1, 16, 64)
"""The least, the usual and the largest batch that an engine takes."""


def export_tensorrt(artifact: Artifact, path: str | Path, *, half: bool = False) -> None:
    """Writes the artifact as an engine, with its description next to it in a JSON file of the same name.

    The engine takes "images" (B, 3, H, W) float32 with B from 1 to 64, and gives "embedding" (B, D) float32. It runs
    on GPUs of the kind that it was built on, by the TensorRT that built it.

    Args:
        artifact: What is exported, by way of ONNX, whose agreement with torch is required.
        path: Usually ending in `.engine`; replaced if it exists.
        half: Let TensorRT compute in float16.

    Raises:
        ImportError: If TensorRT or the packages of the extra `onnx` are not installed.
        ValueError: If TensorRT cannot build the engine here.
        DisagreementError: As `export_onnx`.
    """
    try:
        import tensorrt
    except ImportError:
        raise ImportError(
            "format: got tensorrt, but TensorRT is not installed; pip install tensorrt on a machine with an NVIDIA "
            "GPU, or take format=onnx"
        ) from None
    path = Path(path)
    with writing(path), tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        source, written = Path(folder) / "model.onnx", Path(folder) / path.name
        export_onnx(artifact, source)
        written.write_bytes(_built(tensorrt, source, artifact, half))
        path.with_suffix(".json").write_text(json.dumps(artifact.metadata, indent=1), encoding="utf-8")
        os.replace(written, path)


def _built(tensorrt: Any, source: Path, artifact: Artifact, half: bool) -> bytes:
    """Returns the engine of an ONNX file."""
    log = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(log)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    parser = tensorrt.OnnxParser(network, log)
    if not parser.parse(source.read_bytes()):
        reasons = "; ".join(str(parser.get_error(number)) for number in range(parser.num_errors))
        raise ValueError(f"format: TensorRT cannot read the network ({reasons}); take format=onnx")
    config = builder.create_builder_config()
    if half:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    profile = builder.create_optimization_profile()
    profile.set_shape("images", *((batch, 3, *artifact.preprocess.size) for batch in _BATCHES))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ValueError("format: TensorRT cannot build the engine here; expected an NVIDIA GPU and its driver")
    return bytes(engine)
