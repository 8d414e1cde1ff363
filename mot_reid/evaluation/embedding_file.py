"""Embeddings of image files in a file of their own, which says what gave them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mot_reid.files import whole

SUFFIX = ".npz"


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingFile:
    """N image files and their embeddings.

    Attributes:
        path: the image files.
        embedding: (N, D) float32, each row of unit length.
        model: file name and SHA-256 of the model that gave them, see `reid.checkpoint.identify`.
    """

    path: list[str]
    embedding: NDArray[np.float32]
    model: dict[str, str]

    def save(self, path: str | Path) -> Path:
        """Writes `path`, `embedding` and `model` (as JSON) for `numpy.load`, whole or not at all; returns the path.

        Args:
            path: a name ending in .npz.

        Raises:
            ValueError: the name ends otherwise.
            OSError: the file cannot be written.
        """
        check_ending(path)
        with whole(path) as partial, partial.open("wb") as file:
            names = np.array(self.path, dtype=np.str_)
            np.savez(file, path=names, embedding=self.embedding, model=np.array(json.dumps(self.model)))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> EmbeddingFile:
        """Returns what `save` wrote; nothing in the file can run code.

        Args:
            path: of the file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no such file.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                names, embedding = [str(name) for name in content["path"]], content["embedding"]
                model = json.loads(str(content["model"]))
        except FileNotFoundError:
            raise FileNotFoundError(f"embeddings: got '{path}'; expected an existing file; check the path") from None
        except (OSError, ValueError, KeyError, EOFError, AttributeError, BadZipFile) as error:
            raise ValueError(
                f"embeddings: got '{path}' ({error}); expected a file that mot-reid embed wrote; write it again"
            ) from None
        if embedding.ndim != 2 or len(embedding) != len(names) or embedding.dtype != np.float32:
            raise ValueError(
                f"embeddings: got '{path}' with {len(names)} paths and {embedding.dtype} {embedding.shape}; expected a "
                "float32 row for each path; write it again with mot-reid embed"
            )
        return cls(names, embedding, model)


def check_ending(path: str | Path) -> None:
    """Refuses a name that does not say what is in the file.

    Raises:
        ValueError: it does not end in .npz.
    """
    if Path(path).suffix != SUFFIX:
        raise ValueError(f"output: got '{path}'; expected a name ending in {SUFFIX}")
