"""The embeddings of galleries in memory, so that a search reads no file."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mot_reid.serving.galleries.embedding_files import Embedding, EmbeddingFiles


@dataclass(frozen=True, slots=True)
class Index:
    """The embeddings of one gallery.

    Attributes:
        embedding: `(M, D)`, those of one person together.
        first: the row at which each person begins.
        number: of each person in the database.
    """

    embedding: Embedding
    first: NDArray[np.int64]
    number: tuple[int, ...]


class GalleryIndices:
    """The index of each gallery that was searched, read again only after somebody wrote.

    Args:
        files: of the embeddings. A file never changes, so one that is known is not read again.
    """

    def __init__(self, files: EmbeddingFiles) -> None:
        self._files = files
        self._indices: dict[str, Index] = {}
        self._parts: dict[str, dict[str, Embedding]] = {}
        self._version = -1

    def clear(self) -> None:
        """Notes that somebody wrote; to be called under the write lock."""
        self._indices.clear()

    def forget(self, gallery: str) -> None:
        """Drops what is known of a gallery, for good."""
        self._indices.pop(gallery, None)
        self._parts.pop(gallery, None)

    def of(self, gallery: str, rows: sqlite3.Connection) -> Index:
        """Returns the index of a gallery as the database has it now."""
        version = rows.execute("PRAGMA data_version").fetchone()[0]  # changes by what other processes write
        if version != self._version:
            self._indices.clear()
            self._version = version
        if gallery not in self._indices:
            self._indices[gallery] = self._read(gallery, rows)
        return self._indices[gallery]

    def _read(self, gallery: str, rows: sqlite3.Connection) -> Index:
        found = rows.execute("SELECT number, file FROM persons WHERE gallery = ?", (gallery,)).fetchall()
        known = self._parts.get(gallery, {})
        parts = [known[file] if file in known else self._files.load(file) for _, file in found]
        first = np.cumsum([0, *(len(part) for part in parts)])
        matrix = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
        self._parts[gallery] = {
            file: matrix[start:stop] for (_, file), start, stop in zip(found, first, first[1:], strict=False)
        }
        return Index(matrix, first[:-1], tuple(number for number, _ in found))
