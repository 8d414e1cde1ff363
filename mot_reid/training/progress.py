"""What a run says while it trains: a line per epoch, a line every few seconds, and a picture of its curves."""

from __future__ import annotations

import logging
import math
import threading
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer, TQDMProgressBar

from mot_reid.training.length import run_epochs
from mot_reid.training.run_log import note
from mot_reid.viewing.plots import plot_training

log = logging.getLogger(__name__)

SCORES = {"mAP": "mAP", "rank1": "Rank-1", "idf1": "IDF1", "hota": "HOTA", "accuracy": "accuracy"}
LINE_SECONDS = 20.0
"""Between two lines within an epoch: well below the 30 seconds after which a silent log worries people."""


class EpochReport(Callback):
    """Reports every epoch in one line, and logs `train/images_per_second`, validation not counted."""

    def __init__(self) -> None:
        """Starts with nothing to report."""
        self._scores: dict[str, float] = {}
        self._countdown = Countdown()
        self._start_clock()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock of an epoch that is resumed in its middle."""
        self._countdown = Countdown()
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
        self._countdown.count(trainer, batch_idx)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock again, and keeps the scores."""
        self._started += time.perf_counter() - self._paused
        found = trainer.callback_metrics
        self._scores = {title: float(found[key]) for name, title in SCORES.items() if (key := f"val/{name}") in found}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the speed and reports the epoch."""
        speed = self._images / max(time.perf_counter() - self._started, 1e-9)
        pl_module.log("train/images_per_second", speed, rank_zero_only=True)
        loss = float(torch.stack(self._losses).mean()) if self._losses else math.nan
        scores = "".join(f"   {title} {100 * value:.1f}" for title, value in self._scores.items())
        self._scores = {}
        line = f"{_epoch(trainer)}   loss {loss:.3f}   {speed:.0f} images/s{self._countdown.text()}"
        _tell(trainer, line + (f"   validation{scores}" if scores else ""))

    def _start_clock(self) -> None:
        self._started, self._paused, self._images = time.perf_counter(), 0.0, 0
        self._losses: list[torch.Tensor] = []


class Heartbeat(Callback):
    """Writes a line every few seconds, also while a batch, a validation or a test takes long.

    Lines go to the run's log file, and to the screen too where no bar shows the same. A thread of its own writes them;
    it only reads numbers that training has left for it, so that nothing waits for it.
    """

    def __init__(self, seconds: float = LINE_SECONDS) -> None:
        """Keeps the time between two lines."""
        self.seconds = seconds
        self._stop: threading.Event | None = None
        self._countdown = Countdown()
        self._place, self._images, self._loss = "", 0, math.nan

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts writing."""
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._countdown, self._place, self._images, self._loss = Countdown(), "", 0, math.nan
            self._end()
            self._stop = threading.Event()
            threading.Thread(target=self._write, args=(trainer, self._stop), daemon=True).start()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Ends writing."""
        self._end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Ends writing."""
        self._end()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Leaves the numbers of training; the loss of an accelerator, which waits for that, once per line."""
        self._images += len(batch.label) * trainer.world_size
        self._countdown.count(trainer, batch_idx)
        self._place = f"{_epoch(trainer)}   batch {batch_idx + 1}/{trainer.num_training_batches}"
        if math.isnan(self._loss) or outputs["loss"].device.type == "cpu":
            self._loss = float(outputs["loss"])

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Leaves where validation is."""
        self._place = f"{_epoch(trainer)}   validation, batch {batch_idx + 1}"

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Leaves where testing is."""
        self._place = f"test, batch {batch_idx + 1}"

    def _write(self, trainer: Trainer, stop: threading.Event) -> None:
        """Writes lines until it is told to stop."""
        before, images = time.perf_counter(), self._images
        while not stop.wait(self.seconds):
            now, seen = time.perf_counter(), self._images
            loss = "" if math.isnan(self._loss) else f"   loss {self._loss:.3f}"
            speed = f"   {(seen - images) / (now - before):.0f} images/s" if seen > images else ""
            _tell(trainer, f"{self._place or 'starting'}{loss}{speed}{self._countdown.text()}", bars_show_it=True)
            before, images, self._loss = now, seen, math.nan

    def _end(self) -> None:
        if self._stop is not None:
            self._stop.set()
            self._stop = None


class Countdown:
    """How long a run still takes, by what it took so far, validations included."""

    def __init__(self) -> None:
        """Starts now."""
        self._began, self._batches, self._left = time.perf_counter(), 0, math.inf

    def count(self, trainer: Trainer, batch_idx: int) -> None:
        """Takes note that a batch of the present epoch is done."""
        self._batches += 1
        batches = int(trainer.num_training_batches)
        steps = max(1, math.ceil(batches / trainer.accumulate_grad_batches))
        epochs = run_epochs(max_epochs=trainer.max_epochs, max_steps=trainer.max_steps, steps_per_epoch=steps)
        left = epochs * batches - trainer.current_epoch * batches - batch_idx - 1
        self._left = left * (time.perf_counter() - self._began) / self._batches
        timer = next((callback for callback in trainer.callbacks if isinstance(callback, Timer)), None)  # type: ignore[attr-defined]
        if timer is not None and (remaining := timer.time_remaining()) is not None:
            self._left = min(self._left, remaining)

    def text(self) -> str:
        """Returns the end of a line; empty where the end is not known or reached."""
        return f"   {duration(self._left)} left" if 0 < self._left < math.inf else ""


class Curves(Callback):
    """Draws the curves of a run after every validation."""

    def __init__(self, folder: Path) -> None:
        """Keeps the run's folder."""
        self.folder = folder

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws `curves.png` from `metrics.csv`."""
        metrics = self.folder / "metrics.csv"
        if trainer.is_global_zero and trainer.state.fn == "fit" and not trainer.sanity_checking and metrics.is_file():
            plot_training(metrics, self.folder / "curves.png")


def duration(seconds: float) -> str:
    """Returns a length of time as people say it: `40 s`, `12 min`, `3 h 5 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _epoch(trainer: Trainer) -> str:
    total = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
    return f"epoch {trainer.current_epoch + 1:>3}{total}"


def _tell(trainer: Trainer, line: str, *, bars_show_it: bool = False) -> None:
    """Writes a line above the bars, or where messages go if there are none; into the log file either way."""
    if not trainer.is_global_zero:
        return
    bar = trainer.progress_bar_callback
    if not (isinstance(bar, TQDMProgressBar) and bar.is_enabled):
        log.info(line)
        return
    note(line)
    if not bars_show_it:
        bar.print(line)
