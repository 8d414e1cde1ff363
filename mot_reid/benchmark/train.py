"""Training: a step as it is trained, beside the same step on one fixed batch, beside the arithmetic in it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from mot_reid.benchmark.figures import Figure
from mot_reid.benchmark.machine import bandwidth, matmul_peak, median_seconds, peak_megabytes
from mot_reid.config import Config, load_config
from mot_reid.training.builders import (
    build_data,
    build_module,
    build_preprocess,
    build_trainer,
    prepare_host,
    read_splits,
)
from mot_reid.training.datamodule import ReIDDataModule
from mot_reid.training.dataset import Batch
from mot_reid.training.module import ReIDModule

_CROP = (128, 64)
_WARM_UP = 6
_ARITHMETIC = "its arithmetic at the speed of a matrix product"
_BATCHES = (16, 32, 64, 128, 256)
_SHORT_SECONDS = 1.0


def measure(experiment: str, *, steps: int, device: str) -> list[Figure]:
    """Returns the figures of training.

    Args:
        experiment: whose network, loss, augmentation, optimiser, precision and batch are used, on noise of 128x64.
        steps: how many are trained.
        device: "auto", "cpu" or "cuda".
    """
    with tempfile.TemporaryDirectory() as folder:
        config = _config(experiment, Path(folder), steps, device)
        prepare_host(config)
        _draw_noise(Path(folder) / "people", config)
        preprocess = build_preprocess(config)
        data = build_data(config, read_splits(config), preprocess)
        module = build_module(config, preprocess, classes=data.classes)
        clock = _StepClock()
        trainer = build_trainer(config, Path(folder), callbacks=[clock])
        trainer.fit(module, datamodule=data)
        return _figures(config, module, data, trained=clock.median_seconds())


def _figures(config: Config, module: ReIDModule, data: ReIDDataModule, *, trained: float) -> list[Figure]:
    device = torch.device("cuda" if torch.cuda.is_available() and config.trainer.accelerator != "cpu" else "cpu")
    module.to(device).train()
    size, dtype = config.data.batch_size, _dtype(config)
    loader = data.train_dataloader()
    rows = next(iter(data.sampler))
    batch = Batch(*(part.to(device) for part in next(iter(loader))))
    step = _bare_step(module, batch, dtype)
    with FlopCounterMode(display=False) as counted:
        step()
    fixed = median_seconds(step, budget_seconds=5)
    arithmetic = counted.get_total_flops() / matmul_peak(device, dtype)
    milliseconds = [
        Figure("train/step", 1e3 * trained, "ms", 1e3 * fixed, "fixed batch"),
        Figure("train/fixed_batch", 1e3 * fixed, "ms", 1e3 * arithmetic, _ARITHMETIC),
        Figure("train/fetch", 1e3 * median_seconds(lambda: loader.dataset[rows], budget_seconds=1), "ms"),
        Figure(
            "train/augment", 1e3 * median_seconds(partial(module.augmented, batch.image, 0), budget_seconds=1), "ms"
        ),
    ]
    speed = Figure("train/images", size / trained, "images/s", size / fixed, "fixed batch")
    machine = [
        Figure("train/matrix_product", matmul_peak(device, dtype) / 1e9, "GFLOP/s"),
        Figure("train/copy", bandwidth(device) / 1e9, "GB/s"),
    ]
    return [speed, *milliseconds, *machine, *_growth(module, batch, dtype)]


def _growth(module: ReIDModule, batch: Batch, dtype: torch.dtype) -> list[Figure]:
    """Speed on a fixed batch as it grows, and what each further image takes of memory."""
    figures, held = [], []
    for size in _BATCHES:
        repeated = Batch(*(torch.cat([part] * -(-size // len(part)))[:size] for part in batch))
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        seconds = median_seconds(_bare_step(module, repeated, dtype), budget_seconds=_SHORT_SECONDS, least=3)
        figures.append(Figure(f"train/images_by_{size}", size / seconds, "images/s"))
        held.append(torch.cuda.max_memory_allocated() / 1e6 if repeated.image.is_cuda else peak_megabytes())
    if held[0] is not None and held[-1] is not None:
        figures.append(Figure("train/memory_per_image", (held[-1] - held[0]) / (_BATCHES[-1] - _BATCHES[0]), "MB"))
    return figures


def _bare_step(module: ReIDModule, batch: Batch, dtype: torch.dtype) -> Callable[[], None]:
    """Returns forward, backward and optimiser on one batch that is prepared already: the network alone."""
    image = module.augmented(batch.image, 0).contiguous(memory_format=module.memory_format)
    optimizer = module.build_optimizer(module.network)
    weight = module.network.classifier.weight  # type: ignore[union-attr]

    def step() -> None:
        with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
            loss = module.objective.total(module.objective(module.network(image), batch.label, weight))
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

    def median_seconds(self) -> float:
        """Of the steps after the warm-up, from end to end: fetching, augmenting and Lightning's own work included."""
        ends = self._ends[_WARM_UP:]
        return statistics.median(later - earlier for earlier, later in pairwise(ends))


def _config(experiment: str, folder: Path, steps: int, device: str) -> Config:
    return load_config(
        [
            f"experiment={experiment}", "data=folders", f"data.root={folder / 'people'}", f"run.dir={folder / 'run'}",
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
            pixels = rng.integers(0, 256, (*_CROP, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{person:04d}" / f"{number}.jpg")


def _dtype(config: Config) -> torch.dtype:
    precision = str(config.trainer.precision)
    if precision.startswith("bf16"):
        return torch.bfloat16
    return torch.float16 if precision.startswith("16") else torch.float32
