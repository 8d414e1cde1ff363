"""Train, validation and test crops as batches: Market-1501, one's own people, or synthetic ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from mot_reid.data.cameras import check_cameras, seen_by
from mot_reid.data.identities import IdentitySplits, IdentityTable, labels, split_identities
from mot_reid.data.sources import join
from mot_reid.data.splits import SPLIT_SEED, ask
from mot_reid.reid.preprocess import Preprocess
from mot_reid.training.dataset import Batch, CropDataset, GatheringLoader, whole_batch
from mot_reid.training.sampler import PKSampler

_DEAD_WORKER = re.compile(r"DataLoader worker \(pid.*(killed by signal|exited unexpectedly)", re.DOTALL)
Loader: TypeAlias = DataLoader[Batch] | GatheringLoader


class _EpochLoader(DataLoader[Batch]):
    """As long as a whole epoch, by which Lightning counts, also when it starts inside one."""

    def __len__(self) -> int:
        assert isinstance(self.batch_sampler, PKSampler)
        return self.batch_sampler.batches


@contextmanager
def telling_of_dead_workers() -> Iterator[None]:
    """Says in a sentence that a process that decodes images has died, which torch notices anywhere in a run.

    Raises:
        RuntimeError: One has.
    """
    try:
        yield
    except RuntimeError as error:
        if not _DEAD_WORKER.match(str(error)):
            raise
        raise RuntimeError(
            f"data.workers: a process that decodes images has died ({_first_sentence(error)}); expected it to keep "
            "running; most often memory ran out on the machine or in its container; lower data.workers, or set "
            "data.workers=0"
        ) from None


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")


class ReIDDataModule(LightningDataModule):
    """PK batches of the training persons; query and gallery of the validation persons and of the test split.

    Validation persons are held out of the training persons of each data set, the same as if it were alone; the data
    set's own query and gallery are the test. Those of several data sets are no test, since together they are another
    question than each by itself.
    """

    def __init__(
        self,
        splits: IdentitySplits | Sequence[IdentitySplits],
        *,
        preprocess: Preprocess,
        share: Sequence[float] | None = None,
        validation: float = 0.0,
        validation_cameras: Sequence[int] = (),
        identities: int = 16,
        images: int = 4,
        batches_per_epoch: int | None = None,
        cache: str = "auto",
        workers: int = 4,
        eval_batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        """Splits the persons; images are read in `setup`.

        Args:
            splits: Training crops, query and gallery of the data set, or of several; the latter two may be empty.
            preprocess: Makes batches of crops of different sizes.
            share: As in `PKSampler`.
            validation: Share of the training persons held out to choose a model; 0 for none.
            validation_cameras: Nobody is trained on in these, and the held-out persons are asked for from these alone.
            identities: P persons per batch.
            images: K images of each.
            batches_per_epoch: None for training images // (P * K).
            cache: See `CropDataset`.
            workers: Processes that decode crops which are not cached.
            eval_batch_size: Crops per batch in validation and test.
            seed: With the epoch, decides every batch.

        Raises:
            ValueError: No training crops, or nobody to hold out.
        """
        super().__init__()
        sets = [splits] if isinstance(splits, IdentitySplits) else list(splits)
        if not all(len(one.train) for one in sets):
            raise ValueError("data: got no training images; expected at least one person with two; check data.root")
        if share is not None and len(share) != len(sets):
            raise ValueError(
                f"data.share: got {len(share)} number(s) for {len(sets)} data set(s); expected one for each"
            )
        parted = [split_identities(one.train, validation, SPLIT_SEED) for one in sets]
        if validation_cameras:
            check_cameras(validation_cameras, [one.train for one in sets], validation=validation)
            parted = [(train[~seen_by(train, validation_cameras)], held_out) for train, held_out in parted]
        ((self.train, self.train_source),) = join([(train,) for train, _ in parted])
        self.share = share
        if images > 1 and np.unique(self.train.person_id).size == len(self.train):
            raise ValueError(
                f"data: got {len(self.train)} training persons with one image each; expected persons with two or more, "
                "because the metric losses compare images of one person; add images"
            )
        self.validation, self.validation_source = _asked([held_out for _, held_out in parted], validation_cameras)
        self.test = (sets[0].query, sets[0].gallery) if len(sets) == 1 and len(sets[0].query) else None
        self.classes = int(np.unique(self.train.person_id).size)
        self.preprocess, self.cache, self.workers, self.seed = preprocess, cache, workers, seed
        self.identities, self.images, self.eval_batch_size = identities, images, eval_batch_size
        self.sampler = self._sampler(batches_per_epoch)
        self._datasets: dict[str, CropDataset] = {}

    @property
    def batches_per_epoch(self) -> int:
        """Training batches in an epoch, on every process."""
        return self.sampler.batches

    def train_dataloader(self) -> Loader:
        """Returns PK batches; inside an interrupted epoch, those that are left of it.

        Later epochs begin with `start_epoch`: Lightning sets the epoch of a sampler, but not of a batch sampler.
        """
        rank, world_size, epoch, done = 0, 1, 0, 0
        if self.trainer is not None:
            rank, world_size, epoch = self.trainer.global_rank, self.trainer.world_size, self.trainer.current_epoch
            done = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        self.sampler = self._sampler(self.sampler.batches, rank=rank, world_size=world_size)
        self.sampler.set_epoch(epoch, skip=done if done < self.sampler.batches else 0)
        dataset = self._dataset("train", self.train, labels(self.train.person_id))
        if dataset.indexed:
            return GatheringLoader(dataset, batches=self.sampler, length=self.sampler.batches, device=self._device())
        return self._loader(_EpochLoader, dataset, batch_sampler=self.sampler)

    def start_epoch(self, epoch: int) -> None:
        """Chooses the batches of an epoch, from its first; Lightning's `overfit_batches` keeps those of the first."""
        kept = self.trainer is not None and self.trainer.overfit_batches  # type: ignore[attr-defined]
        self.sampler.set_epoch(0 if kept else epoch)

    def val_dataloader(self) -> Loader | list[Any]:
        """Returns query then gallery of the validation persons; nothing where nobody is held out."""
        return self._eval_loader("validation", self.validation)

    def test_dataloader(self) -> Loader | list[Any]:
        """Returns query then gallery of the test split; nothing where there is none."""
        return self._eval_loader("test", self.test)

    def _eval_loader(self, name: str, tables: tuple[IdentityTable, IdentityTable] | None) -> Loader | list[Any]:
        if tables is None:
            return []
        query, gallery = tables
        if (query.camera_id is None) != (gallery.camera_id is None):
            raise ValueError("data: got cameras for only one of query and gallery; expected both or neither")
        dataset = self._dataset(name, IdentityTable.concatenate([query, gallery]), None)
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)
        rows = range(rank, len(dataset), world_size)
        if dataset.indexed:
            batches = [
                rows[start : start + self.eval_batch_size] for start in range(0, len(rows), self.eval_batch_size)
            ]
            return GatheringLoader(dataset, batches=batches, length=len(batches), device=self._device())
        return self._loader(DataLoader, dataset, sampler=rows, batch_size=self.eval_batch_size)

    def _dataset(self, name: str, table: IdentityTable, classes: np.ndarray | None) -> CropDataset:
        if name not in self._datasets:
            self._datasets[name] = CropDataset(table, preprocess=self.preprocess, labels=classes, cache=self.cache)
            self._datasets[name].to(self._device())
        return self._datasets[name]

    def _device(self) -> torch.device:
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def _loader(self, kind: type[DataLoader[Batch]], dataset: CropDataset, **batching: Any) -> DataLoader[Batch]:
        workers = 0 if dataset.cached else self.workers
        return kind(
            dataset,
            collate_fn=whole_batch,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self._device().type == "cuda",
            **batching,
        )

    def _sampler(self, batches: int | None, *, rank: int = 0, world_size: int = 1) -> PKSampler:
        return PKSampler(
            self.train.person_id,
            identities=self.identities,
            images=self.images,
            batches=batches,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            source=self.train_source,
            share=self.share,
        )


def _asked(
    held_out: Sequence[IdentityTable], cameras: Sequence[int]
) -> tuple[tuple[IdentityTable, IdentityTable] | None, np.ndarray | None]:
    """Query and gallery of the persons held out of each data set, and of which one the rows of both are; or nothing."""
    if not all(len(table) for table in held_out):
        return None, None
    query, gallery = join([ask(table, cameras=cameras) for table in held_out])
    return (query.table, gallery.table), np.concatenate([query.source, gallery.source])
