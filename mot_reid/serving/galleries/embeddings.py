"""Embeddings as they are stored: the float32 numbers of one person after each other, checked when they are read."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.serving.refusal import Refusal

_STORED = np.dtype("<f4")
BYTES = _STORED.itemsize
"""Of one number."""


def to_bytes(embedding: Float32Array) -> bytes:
    """Returns `(K, D)` embeddings as they are stored."""
    return embedding.astype(_STORED).tobytes()


def from_bytes(stored: bytes, *, crops: int, dimension: int) -> Float32Array | None:
    """Returns the `(crops, dimension)` embeddings that were stored; None where the bytes are damaged."""
    if len(stored) != crops * dimension * BYTES:
        return None
    try:
        return unit_vectors(np.frombuffer(stored, _STORED).reshape(crops, dimension))
    except Refusal:
        return None


def unit_vectors(embedding: Any) -> Float32Array:
    """Returns `(K, D)` embeddings, checked.

    Raises:
        Refusal: they are not vectors of unit length.
    """
    rows = np.asarray(embedding, dtype=np.float32)
    if rows.ndim != 2 or not rows.size or not np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-3):
        raise Refusal("invalid", "embedding: expected (K, D) vectors of unit length, K and D at least 1")
    return rows


def read_file(path: Path) -> bytes:
    """Returns what a file of embeddings holds, as it is stored now; nothing where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return to_bytes(unit_vectors(stored["embedding"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, Refusal):
        return b""
