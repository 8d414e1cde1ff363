"""The embeddings of many image files, kept on disk where asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.data.images import decode, in_threads
from mot_reid.files import whole
from mot_reid.reid.embedder import Embedder

Item = TypeVar("Item")


def cached_embeddings(
    folder: str | Path, embedder: Embedder, crops: Sequence[str], *, model: Path, precision: str, flip: bool = False
) -> Float32Array:
    """Returns (N, D) embeddings as `embed_crops`, from the cache where they are already there.

    Args:
        folder: The cache.
        embedder: Computes what is not there.
        crops: N image files; those that changed since are computed again.
        model: The embedder's own file, by which the cache is recognised.
        precision: The precision of the embedder.
        flip: As in `embed_crops`.

    Raises:
        OSError: The cache cannot be written to.
    """
    key = hashlib.sha256(model.read_bytes())
    key.update(repr((flip, precision, str(embedder.device), embedder.batch_size)).encode())
    for crop in map(Path, crops):
        key.update(repr((str(crop.resolve()), crop.stat().st_size, crop.stat().st_mtime_ns)).encode())
    file = Path(folder) / f"{key.hexdigest()[:24]}.npy"
    if not file.is_file():
        with whole(file) as partial:
            np.save(partial, embed_crops(embedder, crops, flip=flip))
    found: Float32Array = np.load(file)
    return found


def embed_crops(embedder: Embedder, crops: Sequence[str], *, flip: bool = False) -> Float32Array:
    """Returns (N, D) float32 unit embeddings of image files.

    Args:
        embedder: Gives them.
        crops: N image files.
        flip: Average the embedding of each with that of its mirror image.
    """
    parts = []
    for images in _batches(in_threads(decode, crops, None, "embedding"), embedder.batch_size):
        part = embedder.embed(images, color="rgb")
        if flip:
            part = part + embedder.embed([image[:, ::-1] for image in images], color="rgb")
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        parts.append(part)
    return np.concatenate(parts)


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
