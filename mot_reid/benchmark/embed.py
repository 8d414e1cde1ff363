"""Embedding: the crops of one frame, of few people and of many, compared with the arithmetic in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mot_reid.benchmark.machine import ARITHMETIC, matmul_peak, median_seconds
from mot_reid.benchmark.results import Figure
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.fastest import at_hand

_PEOPLE = (1, 8, 20, 32)
_FRAME = (1080, 1920)
_FILES = {".onnx": "onnx", ".xml": "openvino"}


def measure(model: str, *, device: str) -> Iterator[Figure]:
    """Yields the milliseconds that the boxes of one frame of 1920x1080 take, cutting and resizing included.

    Args:
        model: file or name of an exported checkpoint, which each runtime at hand is measured with. Of an ONNX or
            OpenVINO file, whose arithmetic nobody counts, the times alone.
        device: "auto", "cpu" or "cuda".
    """
    embedder = Embedder(model, device=device)
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (*_FRAME, 3), dtype=np.uint8)
    corner = rng.uniform((0, 0), (_FRAME[1] - 130, _FRAME[0] - 320), (max(_PEOPLE), 2))
    boxes = np.hstack([corner, corner + rng.uniform((50, 120), (120, 310), (max(_PEOPLE), 2))])
    path = checkpoint.find(model)
    if path.suffix in _FILES:
        yield from _by_people(_FILES[path.suffix], embedder, frame, boxes, None)
        return
    with FlopCounterMode(display=False) as counted:
        embedder(frame, boxes[:1])
    where = torch.device(embedder.device)
    dtype = torch.float32 if where.type == "cpu" else torch.bfloat16
    floor = 1e3 * counted.get_total_flops() / matmul_peak(where, dtype)
    yield from _by_people("torch", embedder, frame, boxes, floor)
    for runtime in at_hand(path):
        yield from _by_people(runtime, Embedder(model, device="cpu", runtime=runtime), frame, boxes, floor)


def _by_people(
    form: str, embedder: Embedder, frame: np.ndarray, boxes: np.ndarray, floor: float | None
) -> Iterator[Figure]:
    for people in _PEOPLE:
        seconds = median_seconds(partial(embedder, frame, boxes[:people]))
        bound = (None, None) if floor is None else (people * floor, ARITHMETIC)
        yield Figure(f"embed/{form}_{people}", 1e3 * seconds, "ms", *bound)
