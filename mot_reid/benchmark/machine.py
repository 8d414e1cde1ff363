"""The machine that is measured: what it is, and what it can do at best."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("torch", "torchvision", "lightning", "timm", "numpy", "scipy", "onnxruntime", "openvino", "ultralytics")
ARITHMETIC = "its arithmetic at the speed of a matrix product"
"""The bound that `matmul_peak` gives."""
_SMALL_SIDE, _SIDE = 256, 2048
_PRODUCT_SECONDS = 0.1
_COPIED_BYTES = 1 << 28


def describe() -> dict[str, Any]:
    """Returns processor, cores, threads, system, accelerator and versions."""
    found = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    return found | {"versions": {name: version for name in _PACKAGES if (version := _version(name))}}


def median_seconds(
    function: Callable[[], Any], *, budget_seconds: float = 2.0, least: int = 5, most: int = 1000, warm_up: int = 2
) -> float:
    """Returns the median time of a call.

    Args:
        function: what is timed; on an accelerator its work is waited for.
        budget_seconds: how long calls are repeated.
        least: calls at least, however long they take.
        most: calls at most.
        warm_up: calls before, which do not count.
    """
    for _ in range(warm_up):
        function()
    spent: list[float] = []
    while len(spent) < least or (sum(spent) < budget_seconds and len(spent) < most):
        _wait()
        start = time.perf_counter()
        function()
        _wait()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Returns the floating-point operations per second of a large matrix product.

    The matrices grow until one product takes a tenth of a second or they are as large as `_SIDE`: where a processor has
    no instructions for a type, such as bfloat16, the largest ones would take minutes.
    """
    side = _SMALL_SIDE
    while True:
        left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        seconds = median_seconds(partial(torch.matmul, left, right), budget_seconds=0.0, least=1, warm_up=1)
        if seconds >= _PRODUCT_SECONDS or side >= _SIDE:
            break
        side *= 2
    return 2 * side**3 / median_seconds(partial(torch.matmul, left, right), budget_seconds=1.0)


def bandwidth(device: torch.device) -> float:
    """Returns the bytes per second that are read and written while a large tensor is copied."""
    source = torch.empty(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED_BYTES / median_seconds(lambda: target.copy_(source), budget_seconds=0.5)


def peak_megabytes() -> float | None:
    """Returns the most memory that this process has held so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
