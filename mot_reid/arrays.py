"""The types of arrays that annotations name, and what is asked of arrays in every frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
StrArray = NDArray[np.str_]
Image = NDArray[np.uint8]
"""Rows, columns, and channels if any."""


def filled(count: int, value: float | bool) -> NDArray[Any]:
    """Returns `count` times a value, of the value's type; for a few elements in half the time of `np.full`."""
    array: NDArray[Any] = np.empty(count, type(value))
    array.fill(value)
    return array


def all_true(array: BoolArray) -> bool:
    """Returns whether no element is False; for a few elements ten times as fast as `array.all()`."""
    return 0 not in array.tobytes()
