"""Training: a step as it is trained, compared with the same step on one fixed batch and with the arithmetic in it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mot_reid.benchmark.machine import ARITHMETIC, bandwidth, matmul_peak, median_seconds, peak_megabytes
from mot_reid.benchmark.results import Figure
from mot_reid.settings.load import Config, load_config
from mot_reid.training.builders import (
    build_data,
    build_module,
    build_preprocess,
    build_trainer,
    prepare_host,
    read_sources,
)
from mot_reid.training.datamodule import ReIDDataModule
from mot_reid.training.dataset import Batch, CropDataset
from mot_reid.training.host import quieten
from mot_reid.training.module import ReIDModule

CROP = (128, 64)
_WARM_UP = 6
_BATCHES = (16, 32, 64, 128, 256)
_SHORT_SECONDS = 1.0


def measure(keys: Sequence[str], *, steps: int, device: str) -> Iterator[Figure]:
    """Yields the figures of training.

    Args:
        keys: of `mot-reid fit`: whose network, loss, augmentation, precision and batch are used, on noise of 128x64.
        steps: how many are trained, and as many again on one batch that is prepared already.
        device: "auto", "cpu" or "cuda".
    """
    quieten()
    with tempfile.TemporaryDirectory() as folder:
        config = _config(keys, Path(folder), steps, device)
        prepare_host(config)
        _draw_noise(Path(folder) / "people", config)
        preprocess = build_preprocess(config)
        data = build_data(config, [source.splits for source in read_sources(config)], preprocess)
        module = build_module(config, preprocess, classes=data.classes)
        clock = _StepClock()
        trainer = build_trainer(config, Path(folder), callbacks=[clock])
        alternate(module, data)
        trainer.fit(module, datamodule=data)
        yield from _steps(config, module, data, *clock.median_seconds())


def alternate(module: ReIDModule, data: ReIDDataModule) -> None:
    """Has every other step train on one batch that is prepared already, so that both kinds see the same machine."""
    build_loader, prepare = data.train_dataloader, module.on_after_batch_transfer
    prepared: list[Batch] = []

    def prepare_once(batch: Batch, dataloader_idx: int) -> Batch:
        if batch.image.is_floating_point():
            return batch
        prepared[:] = [prepare(batch, dataloader_idx)]
        return prepared[0]

    class Alternating:
        def __init__(self) -> None:
            self._real = build_loader()
            self.dataset = self._real.dataset

        def __len__(self) -> int:
            return 2 * len(self._real)

        def __iter__(self) -> Iterator[Batch]:
            for batch in self._real:
                yield batch
                yield prepared[0]

    data.train_dataloader = Alternating  # type: ignore[method-assign, assignment]
    module.on_after_batch_transfer = prepare_once  # type: ignore[method-assign]


def _steps(
    config: Config, module: ReIDModule, data: ReIDDataModule, trained: float, trained_on_fixed: float
) -> Iterator[Figure]:
    device = torch.device("cuda" if torch.cuda.is_available() and config.trainer.accelerator != "cpu" else "cpu")
    module.to(device).train()
    size, dtype = config.data.batch_size, precision(config)
    dataset = data.train_dataloader().dataset
    assert isinstance(dataset, CropDataset)
    rows = torch.as_tensor(next(iter(data.sampler)), device=dataset.labels.device)
    image, label, row, _ = dataset.gather(rows)
    batch = Batch(image.to(device), label.to(device), row.to(device))
    step = bare_step(module, batch, dtype)
    with FlopCounterMode(display=False) as counted:
        step()
    bare = median_seconds(step, budget_seconds=5)
    peak = matmul_peak(device, dtype)
    arithmetic = counted.get_total_flops() / peak
    yield Figure("train/images", size / trained, "images/s", size / trained_on_fixed, "the same on one fixed batch")
    yield Figure("train/step", 1e3 * trained, "ms", 1e3 * trained_on_fixed, "the same on one fixed batch")
    yield Figure("train/step_fixed", 1e3 * trained_on_fixed, "ms", 1e3 * bare, "the network, loss and optimiser alone")
    yield Figure("train/step_bare", 1e3 * bare, "ms", 1e3 * arithmetic, ARITHMETIC)
    yield Figure("train/fetch", 1e3 * median_seconds(lambda: dataset.gather(rows), budget_seconds=1), "ms")
    augmented = partial(module.augmented, batch.image, 0)
    yield Figure("train/augment", 1e3 * median_seconds(augmented, budget_seconds=1), "ms")
    yield Figure("train/matrix_product", peak / 1e9, "GFLOP/s")
    yield Figure("train/copy", bandwidth(device) / 1e9, "GB/s")
    yield from _growth(module, batch, dtype)


def _growth(module: ReIDModule, batch: Batch, dtype: torch.dtype) -> Iterator[Figure]:
    """Speed on a fixed batch as it grows, and what each further image takes of memory."""
    held = []
    for size in _BATCHES:
        times = -(-size // len(batch.label))
        image, label, row = (torch.cat([part] * times)[:size] for part in (batch.image, batch.label, batch.row))
        repeated = Batch(image, label, row)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        seconds = median_seconds(bare_step(module, repeated, dtype), budget_seconds=_SHORT_SECONDS, least=3)
        yield Figure(f"train/images_by_{size}", size / seconds, "images/s")
        held.append(torch.cuda.max_memory_allocated() / 1e6 if repeated.image.is_cuda else peak_megabytes())
    if held[-2] is not None and held[-1] is not None:  # of a process only the largest so far is known
        yield Figure("train/memory_per_image", (held[-1] - held[-2]) / (_BATCHES[-1] - _BATCHES[-2]), "MB")


def bare_step(
    module: ReIDModule, batch: Batch, dtype: torch.dtype, *, network: nn.Module | None = None
) -> Callable[[], None]:
    """Returns forward, backward and optimiser on one batch that is prepared already: the network alone.

    Args:
        module: with the network, its loss and its optimiser.
        batch: stored crops.
        dtype: of the arithmetic.
        network: what is called in place of the module's own network, such as one that averages gradients.

    Raises:
        ValueError: the module learns from a teacher alone.
    """
    objective = module.objective
    if objective is None:
        raise ValueError("experiment: got one that learns from a teacher alone; expected one with a loss of its own")
    called = module.network if network is None else network
    image = module.augmented(batch.image, 0).contiguous(memory_format=module.memory_format)
    optimizer = module.build_optimizer(list(module.network.named_parameters()))
    weight = module.network.classifier.weight  # type: ignore[union-attr]

    def step() -> None:
        with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
            loss = objective.total(objective(called(image), batch.label, weight))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


class _StepClock(Callback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        self._ends: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._ends.append(time.perf_counter())

    def median_seconds(self) -> tuple[float, float]:
        """Of steps on fetched batches and of those on the prepared one, Lightning's own work included."""
        spent = [later - earlier for earlier, later in pairwise(self._ends)]  # the first is the second step's
        return statistics.median(spent[_WARM_UP + 1 :: 2]), statistics.median(spent[_WARM_UP::2])


def _config(keys: Sequence[str], folder: Path, steps: int, device: str) -> Config:
    return load_config(
        [
            *keys, "data=folders", f"data.root={folder / 'people'}", f"run.dir={folder / 'run'}",
            "data.validation=0", f"data.batches_per_epoch={steps}", "model.weights=none", "trainer.max_epochs=1",
            "trainer.enable_progress_bar=false", "trainer.enable_checkpointing=false", "optim.warmup_epochs=0",
            "optim.freeze_epochs=0", f"trainer.accelerator={device}", "optim.schedule=constant", "run.score_test=false",
        ]
    )  # fmt: skip


def _draw_noise(folder: Path, config: Config) -> None:
    """Writes JPEG files of noise: enough persons and images for batches that differ."""
    rng = np.random.default_rng(0)
    for person in range(1, 4 * config.data.identities + 1):
        (folder / f"{person:04d}").mkdir(parents=True)
        for number in range(2 * config.data.images):
            pixels = rng.integers(0, 256, (*CROP, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{person:04d}" / f"{number}.jpg")


def precision(config: Config) -> torch.dtype:
    """Returns the type of the arithmetic in training."""
    named = str(config.trainer.precision)
    if named.startswith("bf16"):
        return torch.bfloat16
    return torch.float16 if named.startswith("16") else torch.float32
