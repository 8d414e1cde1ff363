"""The embeddings of galleries in memory, so that a search reads nothing from disk."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from mot_reid.arrays import IntArray
from mot_reid.serving.database import Rows
from mot_reid.serving.galleries.embeddings import Float32Array, from_bytes

log = logging.getLogger(__name__)

_Key = tuple[int, int]
"""The number of a person and of the crops, which changes whenever the embeddings do."""


@dataclass(frozen=True, slots=True)
class Index:
    """The embeddings of one gallery.

    Attributes:
        embedding: `(M, D)`, those of one person together.
        first: the row at which each person begins.
        number: of each person in the database.
    """

    embedding: Float32Array
    first: IntArray
    number: tuple[int, ...]


class GalleryIndices:
    """The index of each gallery that was searched, read again only after somebody wrote, and then what is new."""

    def __init__(self) -> None:
        self._indices: dict[str, Index] = {}
        self._parts: dict[str, dict[_Key, Float32Array]] = {}
        self._version = -1

    def clear(self) -> None:
        """Notes that somebody wrote; to be called under the write lock."""
        self._indices.clear()

    def forget(self, gallery: str) -> None:
        """Drops what is known of a gallery, for good."""
        self._indices.pop(gallery, None)
        self._parts.pop(gallery, None)

    def of(self, gallery: str, rows: Rows, *, version: int) -> Index:
        """Returns the index of a gallery as the database has it now.

        Args:
            gallery: its name.
            rows: of the database.
            version: a number that changes with what other processes write.
        """
        if version != self._version:
            self._indices.clear()
            self._version = version
        if gallery not in self._indices:
            self._indices[gallery] = self._read(gallery, rows)
        return self._indices[gallery]

    def _read(self, gallery: str, rows: Rows) -> Index:
        known, parts = self._parts.get(gallery, {}), {}
        for number, crops in rows.execute("SELECT number, crops FROM persons WHERE gallery = ?", (gallery,)).fetchall():
            key = (number, crops)
            part = known[key] if key in known else _load(rows, number)
            if part is not None:
                parts[key] = part
        first = np.cumsum([0, *(len(part) for part in parts.values())])
        matrix = np.concatenate(list(parts.values())) if parts else np.zeros((0, 0), np.float32)
        self._parts[gallery] = {
            key: matrix[start:stop] for key, start, stop in zip(parts, first, first[1:], strict=False)
        }
        return Index(matrix, first[:-1], tuple(number for number, _ in parts))


def _load(rows: Rows, number: int) -> Float32Array | None:
    """Returns the embeddings of a person; None where they are damaged: all others can still be found."""
    id, crops, dimension, stored = rows.execute(
        "SELECT id, crops, dimension, embedding FROM persons JOIN galleries ON gallery = galleries.name "
        "WHERE number = ?",
        (number,),
    ).fetchone()
    found = from_bytes(stored, crops=crops, dimension=dimension)
    if found is None:
        log.error("embeddings damaged; delete the person and enrol again", extra={"person": id})
    return found
