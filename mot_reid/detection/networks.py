"""A network in ONNX or OpenVINO format as a function of arrays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.extras import missing

Feed = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a network.

    Attributes:
        name: how it is called.
        shape: None where any size is taken.
        dtype: of its numbers.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: Any


@dataclass(frozen=True, slots=True)
class Network:
    """A network as a function.

    Attributes:
        inputs: what it takes.
        run: arrays by name in, arrays by name out, valid until the thread's next call; safe to call from threads.
        workers: calls that are worth making at the same time.
    """

    inputs: list[Input]
    run: Callable[[Feed], dict[str, NDArray[Any]]]
    workers: int


def open_network(path: Path, device: str) -> Network:
    """Returns the network of a file.

    Args:
        path: an `.onnx` file, run by ONNX Runtime; else an `.xml` file or a folder with one, run by OpenVINO.
        device: `auto`, `cpu`, `cuda` or `cuda:1`; OpenVINO runs on the CPU.

    Raises:
        FileNotFoundError: no such file.
        ImportError: the package that runs it is not installed.
        ValueError: the file is no network that can be run, or made for something else than detection.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"detector: got '{path}', which is not there; expected an .onnx file, or an OpenVINO folder; check the path"
        )
    return _onnx(path, device) if path.suffix == ".onnx" else _openvino(path)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _onnx(path: Path, device: str) -> Network:
    """Returns a network run by ONNX Runtime: on CPUs by one thread for each image, so that images go side by side."""
    try:
        import onnxruntime
    except ImportError:
        raise missing("onnxruntime", f"detector: '{path}'") from None
    options, providers = onnxruntime.SessionOptions(), _providers(device, onnxruntime.get_available_providers())
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)
    except Exception as error:  # of ONNX Runtime's own classes
        reason = " ".join(str(error).split())
        raise ValueError(f"detector: '{path}' cannot be run as an ONNX network: {reason}") from None
    task = session.get_modelmeta().custom_metadata_map.get("task", "detect")
    if task != "detect":
        raise ValueError(f"detector: got '{path}', made for task '{task}'; expected a detector; export a plain one")
    names = [one.name for one in session.get_outputs()]
    inputs = [
        Input(one.name, tuple(side if isinstance(side, int) else None for side in one.shape), _dtype(one.type))
        for one in session.get_inputs()
    ]
    workers = 1 if len(providers) > 1 else _cores()
    return Network(inputs, lambda feed: dict(zip(names, session.run(names, dict(feed)))), workers)


def _dtype(name: str) -> Any:
    """Returns the type that ONNX Runtime calls, for one, tensor(float16)."""
    return {"float": np.float32, "double": np.float64}.get(name[7:-1]) or np.dtype(name[7:-1])


def _providers(device: str, available: Sequence[str]) -> list[Any]:
    """Returns what ONNX Runtime is to run on."""
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or not (number.isdecimal() or not number):
        raise ValueError(f"device: got '{device}'; expected auto, cpu, cuda or cuda:1 for an ONNX detector")
    has_gpu = "CUDAExecutionProvider" in available
    if kind == "cuda" and not has_gpu:
        raise ValueError(
            f"device: got '{device}' without CUDA in ONNX Runtime; pip install onnxruntime-gpu, or use cpu"
        )
    gpu = [("CUDAExecutionProvider", {"device_id": int(number or 0)})] if has_gpu and kind != "cpu" else []
    return [*gpu, "CPUExecutionProvider"]


def _openvino(path: Path) -> Network:
    """Returns a network run by OpenVINO, with a stream for each core."""
    from mot_reid.detection.openvino import read_model

    model = read_model(path)
    import openvino

    cores = _cores()
    compiled = openvino.Core().compile_model(model, "CPU", {"NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores})
    inputs = [
        Input(
            one.any_name,
            tuple(None if side.is_dynamic else side.get_length() for side in one.partial_shape),
            one.element_type.to_dtype(),
        )
        for one in compiled.inputs
    ]
    names = [one.any_name if one.names else f"output{n}" for n, one in enumerate(compiled.outputs)]
    own = threading.local()

    def run(feed: Feed) -> dict[str, NDArray[Any]]:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        own.request.infer(dict(feed))
        return {name: own.request.get_output_tensor(n).data for n, name in enumerate(names)}

    return Network(inputs, run, cores)
