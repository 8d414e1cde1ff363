"""What a teacher says of views of the training crops: computed once, kept in a folder, looked up in training."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mot_reid.data.identities import IdentityTable
from mot_reid.data.images import decode
from mot_reid.files import whole
from mot_reid.reid.teacher import Teacher
from mot_reid.training.views import View, draw_view

log = logging.getLogger(__name__)

_BATCH = 32


class TeacherViews(nn.Module):
    """V views of N crops and the teacher's embeddings of them, on the device that trains; nothing here is trained."""

    def __init__(self, embeddings: Tensor) -> None:
        """Draws the views again that the teacher has seen.

        Args:
            embeddings: (V, N, E) of views 0 to V - 1 of the crops, in the order of the training table.
        """
        super().__init__()
        self.count, self.embedding_dim = embeddings.shape[1], embeddings.shape[2]
        self.number = len(embeddings)
        parts: dict[str, list[Tensor]] = {name: [] for name in View.__slots__}
        for view in (draw_view(self.count, number) for number in range(self.number)):
            for name, values in parts.items():
                values.append(getattr(view, name))
        for name, values in parts.items():
            self.register_buffer(name, torch.cat(values), persistent=False)
        self.register_buffer("embeddings", embeddings.flatten(0, 1), persistent=False)

    def choose(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Returns a view for each of the crops (B,), as a place among all V x N."""
        number = torch.randint(self.number, rows.shape, generator=generator, device=rows.device)
        return number * self.count + rows

    def images(self, images: Tensor, chosen: Tensor) -> Tensor:
        """Returns the chosen views, (B, 3, h, w) uint8, of crops (B, 3, h, w)."""
        return View(**{name: self.get_buffer(name)[chosen] for name in View.__slots__})(images)

    def targets(self, chosen: Tensor) -> Tensor:
        """Returns what the teacher said of the chosen views, (B, E) float32."""
        return self.get_buffer("embeddings")[chosen].float()


def read_or_embed(
    teacher: Teacher, crops: IdentityTable, *, views: int, crops_name: str, folder: str | Path | None
) -> Tensor:
    """Returns the (V, N, E) float16 embeddings of the views of crops, computed where the folder does not hold them.

    Args:
        teacher: what embeds.
        crops: N training crops.
        views: V.
        crops_name: the crops' fingerprint, by which the folder's files are recognised.
        folder: holds one file a view, `view_0.npz` and so on, each written once it is complete; None keeps nothing.

    Raises:
        ValueError: A file of the folder is of another teacher or of other crops.
    """
    found = []
    for number in range(views):
        path = None if folder is None else Path(folder) / f"view_{number}.npz"
        if path is not None and path.is_file():
            found.append(_read(path, teacher=teacher.sha256, crops=crops_name))
            continue
        log.info("distill: embedding view %d of %d with the teacher, %d crops", number + 1, views, len(crops))
        embedding = embed_view(teacher, crops, draw_view(len(crops), number))
        if path is not None:
            with whole(path) as partial:
                np.savez(partial, embedding=embedding, teacher=teacher.sha256, crops=crops_name)
        found.append(embedding)
    return torch.from_numpy(np.stack(found))


def embed_view(teacher: Teacher, crops: IdentityTable, view: View) -> NDArray[np.float16]:
    """Returns the (N, E) embeddings that a teacher gives one view of N crops."""
    found = []
    for rows in torch.arange(len(crops)).split(_BATCH):
        images = [torch.from_numpy(decode(crops.path[row])).permute(2, 0, 1)[None] for row in rows.tolist()]
        found += [teacher(view[part](batch)) for part, batch in _of_one_size(rows, images)]
    return torch.cat(found).numpy().astype(np.float16)


def _of_one_size(rows: Tensor, images: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields rows with their images together where all have one size, else one by one."""
    if len({image.shape for image in images}) == 1:
        yield rows, torch.cat(images)
        return
    yield from zip(rows.split(1), images)


def _read(path: Path, *, teacher: str, crops: str) -> NDArray[np.float16]:
    """Returns the embeddings of a file, checked to be those of the teacher and the crops."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            embedding, of = stored["embedding"], (str(stored["teacher"]), str(stored["crops"]))
    except (OSError, ValueError, KeyError):
        raise ValueError(f"distill.cache: got '{path}', which is no file of views; remove it") from None
    for what, found, expected in zip(("teacher", "crops"), of, (teacher, crops)):
        if found != expected:
            raise ValueError(
                f"distill.cache: got '{path}', made with other {what} ({found[:12]}); expected {expected[:12]}; "
                "name another folder"
            )
    return embedding
