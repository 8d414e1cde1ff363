"""Networks in whole numbers of 8 bits: ranges measured on pictures of people, and how far the embeddings move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.extras import install
from mot_reid.reid.array_crops import prepare
from mot_reid.reid.pictures import to_rgb
from mot_reid.reid.preprocess import Preprocess

CALIBRATED, CHECKED = 256, 64
"""How many pictures give the ranges, and how many others are embedded to see what was lost."""
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_BATCH = 16


@dataclass(frozen=True, slots=True)
class CalibrationCrops:
    """Pictures of people as input of a network.

    Attributes:
        folder: the name of where they come from.
        ranges: (N, 3, H, W), which the ranges are measured on.
        check: (M, 3, H, W) of others.
    """

    folder: str
    ranges: Float32Array
    check: Float32Array


def read_crops(folder: Path, preprocess: Preprocess) -> CalibrationCrops:
    """Returns pictures spread evenly over a folder.

    Args:
        folder: holds image files of one person each; its folders are looked into.
        preprocess: of the network.

    Raises:
        ValueError: there are too few pictures.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
    least = 2 * _BATCH
    if len(files) < least:
        raise ValueError(
            f"int8: got '{folder}' with {len(files)} pictures; expected a folder with {least} or more crops of people"
        )
    rows = np.linspace(0, len(files) - 1, min(CALIBRATED + CHECKED, len(files))).astype(int)
    check = np.zeros(len(rows), dtype=bool)
    check[:: (CALIBRATED + CHECKED) // CHECKED] = True
    inputs = prepare(preprocess, [to_rgb(files[row], color="rgb") for row in rows])
    return CalibrationCrops(folder.name, inputs[~check], inputs[check])


def quantise(source: Path, path: Path, inputs: Float32Array) -> None:
    """Writes an ONNX file whose convolutions and matrix products work on 8-bit whole numbers.

    Weights have 7 bits, so that sums of products fit into 16 bits also on processors without VNNI.

    Args:
        source: the ONNX file in float32.
        path: of the new one.
        inputs: (N, 3, H, W), on which the ranges of the activations are measured.

    Raises:
        ImportError: the packages of the extra `onnx` are not installed.
    """
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ImportError(f"int8 needs {error.name}; {install('onnx')}") from error

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out the pictures in batches."""

        def __init__(self) -> None:
            self._batches: Iterator[Float32Array] = iter(_batches(inputs))

        def get_next(self) -> dict[str, Float32Array] | None:
            """Returns the next batch, None after the last."""
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch}

    shaped = path.with_name(f"shaped-{path.name}")
    quant_pre_process(str(source), str(shaped), skip_symbolic_shape=True)
    quantize_static(
        str(shaped),
        str(path),
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Gemm", "MatMul"],
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    shaped.unlink()


def _batches(inputs: Float32Array) -> Sequence[Float32Array]:
    return [inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH)]
