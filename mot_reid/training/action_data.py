"""Clips of actions as batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from mot_reid.actions.model_file import ClipFormat
from mot_reid.data.action_clips import ClipSplits, ClipTable, read_frames
from mot_reid.data.images import in_threads
from mot_reid.training.dataset import Batch

Asked: TypeAlias = tuple[int, int | None]
"""The row of a clip, and a random number that chooses which part of it; None: its middle."""


class ClipDataset(Dataset[Batch]):
    """The clips of a table, each a part as long as the network's clips.

    Args:
        table: N clips.
        clip: What a clip must be.
        cached: Whether all are decoded now and kept.
    """

    def __init__(self, table: ClipTable, *, clip: ClipFormat, cached: bool) -> None:
        self.table, self.clip = table, clip
        self._kept: list[NDArray[np.uint8]] | None = None
        if cached:
            self._kept = list(in_threads(self._read, range(len(table)), None, "decoding clips"))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, asked: Asked) -> Batch:
        """Returns one clip, (T, H, W, 3) uint8 RGB."""
        row, draw = asked
        frames = self._read(row) if self._kept is None else self._kept[row]
        places = len(frames) - self.clip.frames + 1
        start = places // 2 if draw is None else draw % places
        image = torch.from_numpy(frames[start : start + self.clip.frames].copy())
        return Batch(image, torch.tensor(int(self.table.label[row])), torch.tensor(row))

    def _read(self, row: int) -> NDArray[np.uint8]:
        clip = self.clip
        return read_frames(str(self.table.path[row]), seconds=clip.seconds, frames=clip.frames, size=clip.size)


def _stacked(clips: Sequence[Batch]) -> Batch:
    """Returns clips as a batch."""
    image, label, row = (torch.stack([getattr(one, name) for one in clips]) for name in ("image", "label", "row"))
    return Batch(image, label, row)


class EpochSampler(Sampler[list[Asked]]):
    """Batches of an epoch: every clip at most once, in an order that the seed and the epoch decide.

    The clips that fill no batch are left out, others in each epoch.

    Args:
        clips: N.
        batch_size: Clips in a batch, over all processes.
        seed: Of the run.
        rank: Of this process.
        world_size: Processes.

    Raises:
        ValueError: A batch cannot be shared out evenly.
    """

    def __init__(self, clips: int, *, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        if batch_size % world_size:
            raise ValueError(
                f"data.batch_size: got {batch_size} for {world_size} processes; expected a multiple of them"
            )
        self._clips, self._size, self._seed = clips, min(batch_size, clips), seed
        self._rank, self._world = rank, world_size
        self.batches = max(1, clips // self._size)
        self._epoch, self._skip = 0, 0

    def set_epoch(self, epoch: int, *, skip: int = 0) -> None:
        """Chooses the batches of an epoch, without the first `skip`."""
        self._epoch, self._skip = epoch, skip

    def __len__(self) -> int:
        """As long as a whole epoch, by which Lightning counts, also when it starts inside one."""
        return self.batches

    def __iter__(self) -> Iterator[list[Asked]]:
        generator = np.random.default_rng((self._seed, self._epoch))
        order = generator.permutation(self._clips).tolist()
        draws = generator.integers(2**31, size=self._clips).tolist()
        for batch in range(self._skip, self.batches):
            rows = order[batch * self._size : (batch + 1) * self._size]
            yield [(row, draws[row]) for row in rows[self._rank :: self._world]]


class _Middles(Sampler[Asked]):
    """Every clip once, its middle."""

    def __init__(self, rows: range) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Asked]:
        return iter([(row, None) for row in self._rows])


class ActionDataModule(LightningDataModule):
    """Batches of training clips; validation and test clips, the middle of each.

    Attributes:
        splits: The clips.
        train: Those to learn from.
    """

    def __init__(
        self,
        splits: ClipSplits,
        *,
        clip: ClipFormat,
        batch_size: int,
        eval_batch_size: int,
        cache: str,
        workers: int,
        seed: int,
    ) -> None:
        """Keeps what batches are made of; clips are decoded when they are asked for first.

        Args:
            splits: The clips.
            clip: What the network takes.
            batch_size: Clips in a training batch.
            eval_batch_size: Clips in a batch of validation or test.
            cache: "memory" keeps decoded clips, "none" decodes them in every epoch.
            workers: Processes that decode clips which are not cached.
            seed: Decides the batches.
        """
        super().__init__()
        self.splits, self.train, self.clip = splits, splits.train, clip
        self._eval_batch_size, self._cached = eval_batch_size, cache == "memory"
        self._workers, self._batch_size, self._seed = 0 if self._cached else workers, batch_size, seed
        self._datasets: dict[str, ClipDataset] = {}
        self.sampler = self._sampler()

    @property
    def batches_per_epoch(self) -> int:
        """Training batches in an epoch, on every process."""
        return self.sampler.batches

    def start_epoch(self, epoch: int) -> None:
        """Chooses the batches of an epoch, from its first; Lightning's `overfit_batches` keeps those of the first."""
        kept = self.trainer is not None and self.trainer.overfit_batches  # type: ignore[attr-defined]
        self.sampler.set_epoch(0 if kept else epoch)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Returns training batches; inside an interrupted epoch, those that are left of it."""
        epoch = done = 0
        if self.trainer is not None:
            epoch = self.trainer.current_epoch
            done = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        self.sampler = self._sampler()
        self.sampler.set_epoch(epoch, skip=done if done < self.sampler.batches else 0)
        return self._loader("train", self.train, batch_sampler=self.sampler)

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Returns the validation clips; nothing where there are none."""
        return self._eval_loader("validation", self.splits.validation)

    def test_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Returns the test clips; nothing where there are none."""
        return self._eval_loader("test", self.splits.test)

    def _eval_loader(self, name: str, table: ClipTable) -> DataLoader[Batch] | list[Any]:
        if not len(table):
            return []
        rank, world = self._place()
        middles = _Middles(range(rank, len(table), world))
        return self._loader(name, table, sampler=middles, batch_size=self._eval_batch_size)

    def _loader(self, name: str, table: ClipTable, **batching: Any) -> DataLoader[Batch]:
        if name not in self._datasets:
            self._datasets[name] = ClipDataset(table, clip=self.clip, cached=self._cached)
        return DataLoader(self._datasets[name], num_workers=self._workers, collate_fn=_stacked, **batching)

    def _sampler(self) -> EpochSampler:
        rank, world = self._place()
        return EpochSampler(len(self.train), batch_size=self._batch_size, seed=self._seed, rank=rank, world_size=world)

    def _place(self) -> tuple[int, int]:
        """Returns which process this is, and of how many."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
