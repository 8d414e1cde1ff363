"""Weights and images drawn by a seed, so that a recorded embedding needs no file of weights beside it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def draw_weights(shapes: Mapping[str, tuple[int, ...]], *, seed: int) -> dict[str, Tensor]:
    """Returns tensors of these names and shapes, sized so that a deep network neither dies nor explodes."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return {name: torch.from_numpy(_tensor(name, shape, rng)) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.array(7, dtype=np.int64)
    values = rng.standard_normal(shape).astype(np.float32)
    if name.endswith("running_var"):
        return np.abs(values) + np.float32(0.5)
    if len(shape) > 1:
        return values * np.float32((2 / np.prod(shape[1:])) ** 0.5)
    scale = np.float32(0.2) * values
    return 1 + scale if name.endswith("weight") else scale


def draw_inputs(count: int, size: tuple[int, int], *, seed: int) -> Tensor:
    """Returns (count, 3, H, W) float32 network inputs of different contrast and colour."""
    rng = np.random.Generator(np.random.PCG64(seed))
    contrast = rng.uniform(0.3, 2, (count, 1, 1, 1))
    colour = rng.uniform(-2, 2, (count, 3, 1, 1))
    return torch.from_numpy((rng.standard_normal((count, 3, *size)) * contrast + colour).astype(np.float32))
