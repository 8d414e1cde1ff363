"""Embeddings of one person in a file each: written whole or not at all, never read as a pickle."""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.serving.folder import random_id
from mot_reid.serving.refusal import Refusal, disk_refusal

Embedding = NDArray[np.float32]


class EmbeddingFiles:
    """The npz files of a folder.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, embedding: Embedding) -> str:
        """Writes `(K, D)` embeddings under a name that nobody has, and returns it.

        Raises:
            Refusal: the disk is full or cannot be written to.
        """
        buffer = io.BytesIO()
        np.savez(buffer, embedding=embedding)
        name = f"{random_id()}.npz"
        partial = self._folder / f"{name}.part"
        try:
            with partial.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self._folder / name)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise disk_refusal(error) from error
        return name

    def load(self, name: str) -> Embedding:
        """Returns the `(K, D)` embeddings of a file.

        Raises:
            Refusal: it is missing or damaged.
        """
        try:
            with np.load(self._folder / name, allow_pickle=False) as stored:
                return unit_vectors(stored["embedding"])
        except (OSError, ValueError, KeyError, EOFError, Refusal):
            raise Refusal("internal", "gallery: a file of it is damaged; delete the person and enrol again") from None

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        (self._folder / name).unlink(missing_ok=True)

    def keep_only(self, names: Collection[str]) -> None:
        """Removes all other files, half-written ones included."""
        for path in self._folder.glob("*.npz*"):
            if path.name not in names:
                path.unlink(missing_ok=True)


def unit_vectors(embedding: Any) -> Embedding:
    """Returns `(K, D)` embeddings, checked.

    Raises:
        Refusal: they are not vectors of unit length.
    """
    rows = np.asarray(embedding, dtype=np.float32)
    if rows.ndim != 2 or not rows.size or not np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-3):
        raise Refusal("invalid", "embedding: expected (K, D) vectors of unit length, K and D at least 1")
    return rows
