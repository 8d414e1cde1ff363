"""The keys of `mot-reid export`: types, rules and meanings; the values are in `configs/export.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import OneOf


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Which model is written, and how."""

    checkpoint: Annotated[str, "a model.safetensors, a Lightning .ckpt of a run, or the name of a bundled model"]
    format: Annotated[
        str,
        OneOf(("safetensors", "onnx", "openvino", "tensorrt")),
        "onnx needs the extra 'onnx'; openvino the extras 'onnx' and 'openvino'; tensorrt 'onnx', TensorRT and its GPU",
    ]
    output: Annotated[str | None, "file to write; null: next to the checkpoint, with the format's ending"]
    half: Annotated[bool, "store float16 where that is possible; the file has half the size"]
    int8: Annotated[
        str | None,
        "folder with crops of people, on which the ranges of an onnx or openvino file in 8 bits are measured; null: no",
    ]
