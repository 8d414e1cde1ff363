"""Networks in files that ONNX Runtime or OpenVINO runs: arrays in, arrays out, no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.extras import install

Forward = Callable[[Float32Array], Float32Array]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A network that is ready to run.

    Attributes:
        run: maps (B, 3, H, W) float32 to the network's first output.
        device: where it runs, "cpu" or "cuda".
        said: what an ONNX file says of itself, by key.
    """

    run: Forward
    device: str
    said: dict[str, str] = field(default_factory=dict)


def open_runtime(
    path: Path,
    device: str,
    *,
    what: str,
    size: tuple[int, int] | None = None,
    damaged: type[ValueError] = ValueError,
) -> Runtime:
    """Opens an ONNX or OpenVINO file.

    Args:
        path: of the file; an `.xml` is run by OpenVINO, on the CPU.
        device: "auto", "cpu", "cuda" or "cuda:1".
        what: the key that names the file in messages.
        size: height and width of the input of an OpenVINO network; None is what the file says.
        damaged: what is raised where the file cannot be opened.

    Raises:
        ValueError: the file cannot be opened for images of that size, or the device is not to be had.
        ImportError: what runs the file is not installed.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise ValueError(f"device: got {device!r}; expected 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'")
    return _openvino(path, device, what, size, damaged) if path.suffix == ".xml" else _onnx(path, device, what, damaged)


def threads() -> int:
    """Returns how many threads a network may use: OMP_NUM_THREADS where it is set, else one for each core."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _onnx(path: Path, device: str, what: str, damaged: type[ValueError]) -> Runtime:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"{what}: '{path}' needs ONNX Runtime; {install('onnx')}") from error
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        # Idle threads otherwise spin on the cores that the detector works on.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        said = session.get_modelmeta().custom_metadata_map
    except Exception as error:  # ONNX Runtime's own kinds
        raise damaged(f"{what}: '{path}' cannot be opened by ONNX Runtime; get the file again") from error
    name, fixed = session.get_inputs()[0].name, session.get_inputs()[0].shape[0] == 1

    def run(images: Float32Array) -> Float32Array:
        parts = np.split(images, len(images)) if fixed else [images]
        return np.concatenate([session.run(None, {name: part})[0] for part in parts])

    return Runtime(run, "cuda" if len(providers) > 1 else "cpu", said)


def _providers(device: str, there: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Returns where ONNX Runtime is to run a network, best first."""
    cpu: tuple[str, dict[str, str]] = ("CPUExecutionProvider", {})
    cuda = "CUDAExecutionProvider" in there
    if device.startswith("cuda") and not cuda:
        raise ValueError(
            f"device: got {device!r}; expected 'auto' or 'cpu', since this ONNX Runtime has no CUDA; "
            "pip install onnxruntime-gpu"
        )
    if not cuda or device in ("cpu", "mps"):
        return [cpu]
    return [("CUDAExecutionProvider", {"device_id": device.partition(":")[2] or "0"}), cpu]


def _openvino(path: Path, device: str, what: str, size: tuple[int, int] | None, damaged: type[ValueError]) -> Runtime:
    if device.startswith("cuda"):
        raise ValueError(f"device: got {device!r} for '{path}'; expected 'auto' or 'cpu', where OpenVINO runs it")
    try:
        import openvino
    except ImportError:
        raise ImportError(f"{what}: '{path}' needs OpenVINO; {install('openvino')}") from None
    try:
        core = openvino.Core()
        model = core.read_model(path)
        if size is not None:
            model.reshape([-1, 3, *size])
        network = core.compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": threads(), "INFERENCE_PRECISION_HINT": "f32"}
        )
    except RuntimeError:
        of_size = "" if size is None else f" for images of {size}"
        remedy = "get the file again" if size is None else "check height and width of its input"
        raise damaged(
            f"{what}: '{path}' cannot be opened{of_size}; expected an OpenVINO network of one image input; {remedy}"
        ) from None
    return Runtime(lambda images: network(images)[0].copy(), "cpu")
