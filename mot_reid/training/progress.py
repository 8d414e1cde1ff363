"""What a person sees of a run: a line per epoch, and bars on a terminal."""

from __future__ import annotations

import logging
import math
import sys
import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

log = logging.getLogger(__name__)

SCORES = {"mAP": "mAP", "rank1": "Rank-1", "idf1": "IDF1", "hota": "HOTA"}


class EpochReport(Callback):
    """Tells of every epoch in one line, and logs `train/images_per_second`, validation not counted."""

    def __init__(self) -> None:
        """Starts with nothing to tell."""
        self._scores: dict[str, float] = {}
        self._start_clock()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock of an epoch that is resumed in its middle."""
        self._start_clock()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._start_clock()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts images and adds up the loss, without making an accelerator wait."""
        self._images += len(batch.label) * trainer.world_size
        self._losses.append(outputs["loss"].detach())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock again, and keeps the scores."""
        self._started += time.perf_counter() - self._paused
        found = trainer.callback_metrics
        self._scores = {title: float(found[key]) for name, title in SCORES.items() if (key := f"val/{name}") in found}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the speed and tells of the epoch."""
        speed = self._images / max(time.perf_counter() - self._started, 1e-9)
        pl_module.log("train/images_per_second", speed, rank_zero_only=True)
        loss = float(torch.stack(self._losses).mean()) if self._losses else math.nan
        scores = "".join(f"   {title} {100 * value:.1f}" for title, value in self._scores.items())
        self._scores = {}
        epochs = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        line = f"epoch {trainer.current_epoch + 1:>3}{epochs}   loss {loss:.3f}   {speed:.0f} images/s"
        _tell(trainer, line + (f"   validation{scores}" if scores else ""))

    def _start_clock(self) -> None:
        self._started, self._paused, self._images = time.perf_counter(), 0.0, 0
        self._losses: list[torch.Tensor] = []


class Bars(TQDMProgressBar):
    """Lightning's bars in few words; they leave no trace, since `EpochReport` does."""

    def init_train_tqdm(self) -> Tqdm:
        """Returns the bar of an epoch."""
        return self._quiet(super().init_train_tqdm())

    def init_validation_tqdm(self) -> Tqdm:
        """Returns the bar of a validation."""
        return self._quiet(super().init_validation_tqdm())

    def init_test_tqdm(self) -> Tqdm:
        """Returns the bar of a test."""
        return self._quiet(super().init_test_tqdm())

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Names the epoch as a person counts."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}")

    def on_validation_batch_start(self, *arguments: Any, **named: Any) -> None:
        """Says what is going on."""
        super().on_validation_batch_start(*arguments, **named)
        self.val_progress_bar.set_description("validation")

    def on_test_batch_start(self, *arguments: Any, **named: Any) -> None:
        """Says what is going on."""
        super().on_test_batch_start(*arguments, **named)
        self.test_progress_bar.set_description("test")

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Returns the loss under its short name."""
        return {
            name.rpartition("/")[2]: value
            for name, value in super().get_metrics(trainer, pl_module).items()
            if name != "v_num"
        }

    @staticmethod
    def _quiet(bar: Tqdm) -> Tqdm:
        bar.leave = False
        return bar


def bars_can_be_seen() -> bool:
    """Whether somebody watches: a terminal or a notebook. A file would fill with every state of a bar."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def _tell(trainer: Trainer, line: str) -> None:
    """Writes a line above the bars, or where messages go if there are none."""
    if not trainer.is_global_zero:
        return
    bar = trainer.progress_bar_callback
    if isinstance(bar, TQDMProgressBar) and bar.is_enabled:
        bar.print(line)
    else:
        log.info(line)
