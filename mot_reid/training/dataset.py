"""Crops as batches: decoded once, into the memory of the device that trains or of the host, or else in workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mot_reid.data.identities import IdentityTable
from mot_reid.data.images import decode, decode_many
from mot_reid.reid.preprocess import Preprocess

_SHARE_OF_MEMORY = 0.5


class Batch(NamedTuple):
    """B crops of one split.

    Attributes:
        image: (B, 3, h, w) uint8 RGB as stored; where sizes differ, (B, 3, H, W) float32 in [0, 255] at network size.
        label: (B,) int64 class of each crop; zeros where there are no classes.
        row: (B,) int64 place of each crop in its table.
        target: (B, E) float32 embedding of a teacher, where a student learns it.
    """

    image: Tensor
    label: Tensor
    row: Tensor
    target: Tensor | None = None


class CropDataset(Dataset[Batch]):
    """The crops of an identity table, fetched a whole batch at a time."""

    def __init__(
        self,
        table: IdentityTable,
        *,
        preprocess: Preprocess,
        labels: Sequence[int] | np.ndarray | None = None,
        cache: str = "auto",
        progress: bool = True,
    ) -> None:
        """Keeps the table, and its decoded images where `cache` says so.

        Args:
            table: N crops.
            preprocess: Resizes crops whose sizes differ within a batch.
            labels: (N,) class of each crop; None for none.
            cache: "device" and "memory" decode everything now, "none" decodes on demand, "auto" chooses "memory" while
                the decoded crops take at most half of the free memory. With "device" or "auto" `to` takes them along.
            progress: Show a progress bar while decoding.

        Raises:
            FileNotFoundError: A crop is missing.
            ValueError: A crop is no whole image.
        """
        self.table, self.preprocess, self.cache = table, preprocess, cache
        self.labels = torch.zeros(len(table), dtype=torch.int64) if labels is None else torch.as_tensor(labels)
        self._images: Tensor | list[Tensor] | None = None
        if cache in ("device", "memory") or (cache == "auto" and fits_in_memory(table)):
            self._images = _decode_all(table, progress=progress)

    @property
    def cached(self) -> bool:
        """Whether the images are in memory, so that worker processes would only cost time."""
        return self._images is not None

    @property
    def indexed(self) -> bool:
        """Whether the images are one tensor, from which a batch is gathered by its rows alone."""
        return isinstance(self._images, Tensor)

    def to(self, device: torch.device) -> None:
        """Moves the images to the device that trains, so that no batch comes from the host.

        With "auto" they go where they take at most half of the memory that is free there, with "device" in any case,
        with "memory" and "none" they stay.

        Raises:
            ValueError: "device" with crops of several sizes, which cannot be one tensor.
        """
        if self.cache == "device" and not self.indexed:
            raise ValueError(
                "data.cache: got 'device' for crops of several sizes; expected one; resize the files, or set memory"
            )
        if self.cache not in ("device", "auto") or not isinstance(self._images, Tensor) or device.type == "cpu":
            return
        if self.cache == "device" or self._images.nbytes <= _SHARE_OF_MEMORY * _free_on(device):
            self._images, self.labels = self._images.to(device), self.labels.to(device)

    def gather(self, rows: Tensor, *, pinned: bool = False) -> Batch:
        """Returns the batch of the given rows (B,), on the device of the images, where `indexed`.

        Args:
            rows: On that device.
            pinned: Put the batch into page-locked memory of the host, from which an accelerator copies it while the
                host goes on.
        """
        images = self._images
        assert isinstance(images, Tensor)
        if not pinned:
            return Batch(images[rows], self.labels[rows], rows)
        room = torch.empty((len(rows), *images.shape[1:]), dtype=images.dtype, pin_memory=True)
        torch.index_select(images, 0, rows, out=room)
        return Batch(room, self.labels[rows].pin_memory(), rows.pin_memory())

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Batch:
        """Returns the batch of the given rows."""
        row = torch.as_tensor(indices, dtype=torch.int64, device=self.labels.device)
        return self.gather(row) if self.indexed else Batch(self._fetch(indices), self.labels[row], row)

    def _fetch(self, indices: list[int]) -> Tensor:
        if self._images is not None:
            images = [self._images[i] for i in indices]
        else:
            images = [_as_tensor(decode(self.table.path[i])) for i in indices]
        if len({image.shape for image in images}) == 1:
            return torch.stack(images)
        return torch.cat([self.preprocess.resize(image[None]) for image in images])


class GatheringLoader:
    """Batches gathered by their rows from a dataset that is `indexed`, on its device: no worker, no host in between.

    The rows of an epoch go to the device together when it starts, so that no step waits for a copy.
    """

    def __init__(
        self, dataset: CropDataset, *, batches: Iterable[Sequence[int]], length: int, device: torch.device | None = None
    ) -> None:
        """Keeps the dataset and what says which rows make a batch.

        Args:
            dataset: Whose images are one tensor.
            batches: The rows of each batch; gone through anew in every epoch.
            length: What the loader says is its length; a first epoch that is resumed inside has fewer batches.
            device: Where the batches go; from the host's memory to a GPU they are pinned. None: where the images are.
        """
        self.dataset, self._batches, self._length = dataset, batches, length
        on_host = dataset.labels.device.type == "cpu"
        self._gather = partial(dataset.gather, pinned=on_host and device is not None and device.type == "cuda")

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Batch]:
        batches = [torch.as_tensor(rows, dtype=torch.int64) for rows in self._batches]
        sizes = [len(rows) for rows in batches]
        together = torch.cat(batches) if batches else torch.empty(0, dtype=torch.int64)
        yield from map(self._gather, together.to(self.dataset.labels.device).split(sizes))


def whole_batch(batch: Any) -> Batch:
    """Returns the batch as it is: the collate function of a dataset that fetches whole batches."""
    return batch


def fits_in_memory(table: IdentityTable) -> bool:
    """Whether all crops, if as large as the largest of a few, take at most half of the free memory."""
    if not len(table):
        return True
    probes = table.path[np.linspace(0, len(table) - 1, num=min(8, len(table)), dtype=int)]
    largest = max(decode(path).nbytes for path in probes)
    return largest * len(table) <= _SHARE_OF_MEMORY * _free_memory()


def _free_memory() -> float:
    """Bytes of memory not in use; infinite where the system does not tell."""
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_AVPHYS_PAGES" not in names:
        return float("inf")
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _free_on(device: torch.device) -> float:
    """Bytes of a device that are not in use; 0 where it cannot tell."""
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0.0


def _decode_all(table: IdentityTable, *, progress: bool) -> Tensor | list[Tensor]:
    """One (N, 3, h, w) tensor where all crops have one size, else a list."""
    images = decode_many(table.path.tolist(), progress=progress)
    if len({image.shape for image in images}) != 1:
        return [_as_tensor(image) for image in images]
    stacked = torch.empty((len(images), 3, *images[0].shape[:2]), dtype=torch.uint8)
    for row, image in zip(stacked, images):
        row.copy_(_as_tensor(image))
    return stacked


def _as_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)
