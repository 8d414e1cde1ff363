"""Which images make a batch: P identities x K images, or plain shuffling; the same batches for any number of processes.

Both samplers yield whole batches (lists of image indices), so they go to ``DataLoader(batch_sampler=...)``; with
Lightning set ``use_distributed_sampler=False`` and call `set_epoch` before each epoch. A batch depends on the seed and
the epoch alone. Rank r of W gets the r-th of W equal consecutive parts of every global batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from mot_reid.arrays import IntArray


class _EpochSampler(Sampler[list[int]]):
    """Yields the rows of one epoch's plan, which depends on (seed, epoch) alone."""

    def __init__(self, *, batches: int, seed: int, rank: int, world_size: int) -> None:
        if batches < 1:
            raise ValueError(f"data.batches_per_epoch: got {batches}; expected at least 1 batch per epoch")
        if not 0 <= rank < world_size:
            raise ValueError(f"sampler.rank: got {rank} of world_size {world_size}; expected 0 <= rank < world_size")
        self.batches, self.seed, self.rank, self.world_size = batches, seed, rank, world_size
        self.epoch, self.skip = 0, 0

    def set_epoch(self, epoch: int, *, skip: int = 0) -> None:
        """Chooses the epoch that the next iteration yields, without its first `skip` batches (to resume inside it)."""
        if epoch < 0 or not 0 <= skip <= self.batches:
            raise ValueError(
                f"sampler epoch: got {epoch}, skip {skip}; expected epoch >= 0 and 0 <= skip <= {self.batches} batches"
            )
        self.epoch, self.skip = epoch, skip

    def __len__(self) -> int:
        return self.batches - self.skip

    def __iter__(self) -> Iterator[list[int]]:
        mine = np.split(self.plan(), self.world_size, axis=1)[self.rank]
        for row in mine[self.skip :]:
            yield row.reshape(-1).tolist()

    def plan(self) -> IntArray:
        """Returns the epoch's global batches as image indices, (batches, parts, ...); ranks share axis 1."""
        raise NotImplementedError

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch])


class PKSampler(_EpochSampler):
    """Batches of exactly P identities x K images: image indices grouped by identity, K in a row.

    An epoch has `batches` batches, by default ``max(1, len(labels) // (P * K))``, in every epoch and on every rank.
    With several sources, each has its share of every batch, to within one identity, and the batch goes round the
    sources in turn, so that every rank sees its part of each. What follows holds for the identities of each source.

    Within an epoch, identities are visited in shuffled rounds: visits per identity differ by at most one, and a batch
    holds P different ones. The visits to an identity go through its images in shuffled rounds as well: their uses
    differ by at most one, and none is twice in a batch while the identity has K images or more. An identity with n < K
    images gives all of them K // n times, and K % n of them, in rounds, to fill up.

    Unlike BoT's RandomIdentitySampler no tail is dropped and the length never changes; unlike fast-reid's it ends.
    """

    def __init__(
        self,
        labels: Sequence[int] | NDArray[np.integer],
        *,
        identities: int,
        images: int,
        batches: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        source: NDArray[np.integer] | None = None,
        share: Sequence[float] | None = None,
    ) -> None:
        """Plans batches over labels.

        Args:
            labels: (N,) the identity of each image.
            identities: P, identities in a global batch.
            images: K, images of each.
            batches: batches per epoch; None for ``max(1, N // (P * K))``.
            seed: with the epoch, decides everything; not negative.
            rank: which part of each global batch to yield.
            world_size: number of parts, each of P / world_size whole identities.
            source: (N,) which source each image is of, from 0; None for one source. No identity is in two.
            share: for each source, its identities in a batch relative to those of the others; None for equal shares.

        Raises:
            ValueError: P larger than the identities there are, more of a source in a batch than it has, P not divisible
                by world_size, or a number out of range.
        """
        self.labels = np.asarray(labels, dtype=np.int64)
        if self.labels.ndim != 1 or identities < 1 or images < 1:
            raise ValueError(
                f"PK sampler: got labels {self.labels.shape}, identities={identities}, images={images}; "
                "expected labels (N,) and at least 1 identity and 1 image"
            )
        people, inverse = np.unique(self.labels, return_inverse=True)
        if identities > len(people):
            raise ValueError(
                f"data.identities: got {identities}; expected at most {len(people)}, the identities in the training "
                "set; lower data.identities or add people"
            )
        if identities % world_size:
            raise ValueError(
                f"data.identities: got {identities} for {world_size} processes; expected a multiple, "
                "so that each gets whole identities"
            )
        if batches is None:
            batches = max(1, len(self.labels) // (identities * images))
        super().__init__(batches=batches, seed=seed, rank=rank, world_size=world_size)
        self.identities, self.images = identities, images
        order = np.argsort(inverse, kind="stable")
        self.members = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
        of = np.zeros(len(people), dtype=np.int64)
        if source is not None:
            of[inverse] = source
        self.sources = [np.flatnonzero(of == number) for number in range(int(of.max()) + 1)]
        self.turns = _turns(share or [1.0] * len(self.sources), batches, identities)
        self._check_sources()

    def plan(self) -> IntArray:
        """Returns the epoch's global batches as image indices, (batches, P, K)."""
        generator = self._generator()
        people = np.empty(self.turns.size, dtype=np.int64)
        for number, persons in enumerate(self.sources):
            sizes = (self.turns == number).sum(axis=1)
            people[self.turns.reshape(-1) == number] = persons[_even_groups(generator, len(persons), sizes)]
        plan = np.empty((len(people), self.images), dtype=np.int64)
        visits = np.split(
            np.argsort(people, kind="stable"), np.cumsum(np.bincount(people, minlength=len(self.members)))[:-1]
        )
        for members, slots in zip(self.members, visits):
            plan[slots] = members[_visit_images(generator, len(members), visits=len(slots), size=self.images)]
        return plan.reshape(self.batches, self.identities, self.images)

    def in_a_batch(self) -> list[int]:
        """Returns the most identities that a batch holds of each source."""
        return [int((self.turns == number).sum(axis=1).max()) for number in range(len(self.sources))]

    def _check_sources(self) -> None:
        for number, (most, persons) in enumerate(zip(self.in_a_batch(), self.sources), start=1):
            if most > len(persons):
                raise ValueError(
                    f"data.share: got batches with {most} identities of data set {number}; expected at most its "
                    f"{len(persons)}; lower its number in data.share, or data.identities"
                )


class ShuffleSampler(_EpochSampler):
    """Shuffled batches of images of any identity, for recipes with cross-entropy alone.

    An epoch has ``count // batch_size`` batches by default: the last incomplete one is dropped. With more `batches`
    the images come in shuffled rounds, and none is twice in a batch.
    """

    def __init__(
        self,
        count: int,
        *,
        batch_size: int,
        batches: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Plans batches over count images.

        Args:
            count: N, the number of images.
            batch_size: images in a global batch.
            batches: batches per epoch; None for ``N // batch_size``.
            seed: with the epoch, decides everything; not negative.
            rank: which part of each global batch to yield.
            world_size: number of parts.

        Raises:
            ValueError: a batch larger than the images there are, not divisible by world_size, or a number out of range.
        """
        if not 1 <= batch_size <= count:
            raise ValueError(f"batch size: got {batch_size}; expected 1 to {count}, the images in the training set")
        if batch_size % world_size:
            raise ValueError(f"batch size: got {batch_size} for {world_size} processes; expected a multiple of them")
        super().__init__(
            batches=count // batch_size if batches is None else batches, seed=seed, rank=rank, world_size=world_size
        )
        self.count, self.batch_size = count, batch_size

    def plan(self) -> IntArray:
        """Returns the epoch's global batches as image indices, (batches, batch size)."""
        sizes = np.full(self.batches, self.batch_size)
        return _even_groups(self._generator(), self.count, sizes).reshape(self.batches, self.batch_size)


def _turns(share: Sequence[float], batches: int, size: int) -> NDArray[np.int64]:
    """Returns (batches, size) which source each place of a batch is of: whoever has had least of its share so far."""
    weight = np.asarray(share, dtype=np.float64) / np.sum(share)
    if len(weight) == 1:
        return np.zeros((batches, size), dtype=np.int64)
    turns = np.empty(batches * size, dtype=np.int64)
    given = np.zeros(len(weight))
    for place in range(len(turns)):
        turns[place] = np.argmax(np.round(weight * (place + 1) - given, 9))
        given[turns[place]] += 1
    return turns.reshape(batches, size)


def _even_groups(generator: np.random.Generator, population: int, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns numbers below population, (sum of sizes,), as groups of the given sizes: shuffled rounds cut into groups.

    Uses of a number differ by at most one over all groups, and no group, none larger than the population, holds a
    number twice: a group that straddles two rounds is completed by the first numbers of the new round that it lacks.
    """
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    plan = np.empty(total, dtype=np.int64)
    filled = 0
    while filled < total:
        order = generator.permutation(population)
        group = np.searchsorted(ends, filled, side="right")
        start = ends[group] - sizes[group]
        if filled > start:
            taken = np.zeros(population, dtype=bool)
            taken[plan[start:filled]] = True
            head = np.flatnonzero(~taken[order])[: ends[group] - filled]
            order = np.concatenate([order[head], np.delete(order, head)])
        part = order[: total - filled]
        plan[filled : filled + len(part)] = part
        filled += len(part)
    return plan


def _visit_images(generator: np.random.Generator, count: int, *, visits: int, size: int) -> NDArray[np.int64]:
    """Returns (visits, size) numbers below count: all of them size // count times per visit, the rest in rounds."""
    whole = np.tile(np.arange(count), (visits, size // count))
    rest = _even_groups(generator, count, np.full(visits, size % count)).reshape(visits, size % count)
    return np.concatenate([whole, rest], axis=1)
