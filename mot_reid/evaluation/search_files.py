"""Who in a folder of crops, or in a file of embeddings, looks like the person on a picture?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.data.image_files import find_images
from mot_reid.evaluation.embed_files import embed_crops
from mot_reid.evaluation.embedding_file import SUFFIX, EmbeddingFile
from mot_reid.files import given_by
from mot_reid.metrics.search import nearest
from mot_reid.reid.checkpoint import identify
from mot_reid.reid.embedder import Embedder


@dataclass(frozen=True, slots=True)
class Answers:
    """The K most similar crops to one query, the most similar first.

    Attributes:
        query: path of the query.
        path: K paths of crops.
        similarity: K cosine similarities, falling.
        same: K times whether the similarity reaches the calibrated threshold; None without one.
    """

    query: str
    path: list[str]
    similarity: list[float]
    same: list[bool] | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the answers as JSON can hold them."""
        unknown: list[bool | None] = [None] * len(self.path)
        rows = zip(self.path, self.similarity, self.same or unknown)
        return {"query": self.query, "answers": [{"path": p, "similarity": s, "same": same} for p, s, same in rows]}


def read_gallery(gallery: str, embedder: Embedder, *, model: Path) -> EmbeddingFile:
    """Returns the crops to look among, embedded now, or before by the same model.

    Args:
        gallery: a folder of crops, or a file that `EmbeddingFile.save` wrote.
        embedder: embeds the crops of a folder.
        model: the file of the embedder.

    Raises:
        FileNotFoundError: there is neither such a folder nor such a file.
        ValueError: the embeddings are those of another model, or the folder holds no images.
    """
    own = identify(model)
    if Path(gallery).suffix != SUFFIX:
        paths = find_images([gallery], what="gallery")
        return EmbeddingFile(paths, embed_crops(embedder, paths), own)
    with given_by("gallery", instead_of="embeddings"):
        found = EmbeddingFile.load(gallery)
    if found.model.get("sha256") != own["sha256"]:
        raise ValueError(
            f"gallery: got '{gallery}', embedded by {found.model.get('file')}; expected embeddings of the model that "
            f"embeds the query, {own['file']}; name that model with checkpoint=, or embed the gallery again"
        )
    return found


def search(query: Sequence[str], gallery: EmbeddingFile, embedder: Embedder, *, count: int) -> list[Answers]:
    """Returns the most similar crops to each query; a query that is itself in the gallery is no answer to itself.

    Args:
        query: paths of crops.
        gallery: where to look.
        embedder: the one that embedded the gallery.
        count: answers to each query.
    """
    places = [Path(path).resolve() for path in gallery.path]
    similar, kept = embed_crops(embedder, query), min(count + 1, len(places))
    rows, values = nearest(similar, gallery.embedding, count=kept)
    found = []
    for path, order, similarity in zip(query, rows, values):
        others = np.array([places[row] != Path(path).resolve() for row in order], dtype=bool)
        found.append(_answers(path, gallery, order[others][:count], similarity[others][:count], embedder.threshold))
    return found


def _answers(
    query: str,
    gallery: EmbeddingFile,
    order: NDArray[np.int64],
    similarity: NDArray[np.float32],
    threshold: float | None,
) -> Answers:
    same = None if threshold is None else (similarity >= threshold).tolist()
    return Answers(query, [gallery.path[row] for row in order], [float(value) for value in similarity], same)
