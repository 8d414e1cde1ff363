"""What a run keeps: its latest state, its best, and one more state when it is asked to stop."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import Checkpoint

from mot_reid.training.checkpoint_io import AtomicCheckpointIO, read

log = logging.getLogger(__name__)

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""Ctrl-C, the system's request to end, and the warning that Slurm and its kind send before they end a job."""
_ASK_EVERY = 20
"""Steps after which processes on accelerators ask each other whether to stop, since they wait for the answer."""


class Interrupted(Exception):
    """A run was asked to stop, and did so between two batches."""


@dataclass(frozen=True)
class Best:
    """The best validation of a run.

    Attributes:
        score: Of the monitored metric.
        epoch: From 1.
        step: Optimiser steps that were taken before.
    """

    score: float
    epoch: int
    step: int


class KeepCheckpoints(Checkpoint):
    """Saves `last.ckpt` after every epoch, and `best.ckpt` after every validation that is better than all before.

    The best comes first, so that `last.ckpt` knows of it and a resumed run goes on with it. The last epoch of a run is
    always validated, however long the run is, so that it can be the best.

    Attributes:
        best: None before the first validation, and without a metric.
    """

    def __init__(self, folder: Path, *, monitor: str | None) -> None:
        """Keeps where to save.

        Args:
            folder: Where the two files go.
            monitor: The metric of which more is better; None saves no best.
        """
        self.folder, self.monitor = folder, monitor
        self.best: Best | None = None

    @property
    def best_path(self) -> Path:
        """Where the best is saved."""
        return self.folder / "best.ckpt"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forgets a best that a resumed checkpoint tells of, but whose file is not there."""
        self.check_best(trainer)

    def check_best(self, trainer: Trainer) -> Best | None:
        """Returns the best, if its file is there; else says so and forgets it."""
        there = self.best is None or not trainer.is_global_zero or _tells(self.best_path, self.best)
        if not trainer.strategy.broadcast(there):
            assert self.best is not None
            if trainer.is_global_zero:
                log.warning(
                    "checkpoints: '%s' does not hold epoch %d, the best so far; the model is chosen without it",
                    self.best_path,
                    self.best.epoch,
                )
            self.best = None
        return self.best

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Has Lightning validate after the last batch of the run."""
        if self.monitor is not None and _is_over(trainer):
            trainer.check_val_every_n_epoch, trainer.should_stop = 1, True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the best so far."""
        if self.monitor is None or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        score = float(trainer.strategy.broadcast(float(trainer.callback_metrics[self.monitor])))
        score = -math.inf if math.isnan(score) else score
        if self.best is None or score > self.best.score:
            self.best = Best(score, trainer.current_epoch + 1, trainer.global_step)
            trainer.save_checkpoint(self.best_path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the latest state."""
        trainer.save_checkpoint(self.folder / "last.ckpt")

    def state_dict(self) -> dict[str, Any]:
        """Returns the best, for a checkpoint."""
        return {} if self.best is None else asdict(self.best)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the best from a checkpoint."""
        self.best = Best(**state_dict) if state_dict else None


class SaveOnInterrupt(Callback):
    """Ends a run between two batches, saved, when a person (Ctrl-C) or the system (see `SIGNALS`) asks it to stop.

    So the weights are never those of half a step, and a resumed run repeats the one that was not stopped bit for bit.
    Between two epochs nothing is saved, since the epoch's own checkpoint is there already. A second Ctrl-C stops at
    once and leaves the last good checkpoint, as any failure does; other signals may come more than once.
    """

    def __init__(self, path: Path) -> None:
        """Keeps where to save."""
        self.path = path
        self._asked = False
        self._handlers: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens to the signals that are not ignored, as Ctrl-C is in a script's background, in the main thread."""
        self._asked = False
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._handlers = {number: signal.signal(number, self._ask) for number in heard}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops between two epochs."""
        if self._agreed(trainer):
            raise Interrupted

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stops between two batches, but not between those that share an optimiser step."""
        step, inside = divmod(batch_idx, trainer.accumulate_grad_batches)
        if batch_idx == 0 or inside or (_is_waited_for(trainer) and step % _ASK_EVERY) or not self._agreed(trainer):
            return
        progress = trainer.fit_loop.epoch_loop.batch_progress
        for counts in (progress.total, progress.current):  # the batch at hand is for the next run
            counts.reset_on_restart()
        trainer.save_checkpoint(self.path)
        raise Interrupted

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the signals to others again; stops if asked to after the last batch."""
        self._restore()
        if self._agreed(trainer):
            raise Interrupted

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leaves the signals to others again."""
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self._asked and int(os.environ.get("LOCAL_RANK", "0")) == 0:
            os.write(2, b"\nstopping after this batch; Ctrl-C stops at once, unsaved\n")  # no print in a handler
        self._asked = True

    def _agreed(self, trainer: Trainer) -> bool:
        """Whether any process was asked: all of them stop at the same batch."""
        if trainer.world_size == 1:
            return self._asked
        return bool(trainer.strategy.reduce_boolean_decision(self._asked, all=False))

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}


@contextmanager
def listening() -> Iterator[None]:
    """Turns the exit that Lightning makes of a Ctrl-C back into KeyboardInterrupt, and listens to Ctrl-C as before."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error


def trainer_plugins() -> list[Any]:
    """Returns what the Trainer needs so that this module alone saves and loads its checkpoints.

    Under Slurm, Lightning would save on its own in the middle of a step when the job is about to end, and would load
    that file whenever it validates or tests from then on.
    """
    under_slurm = SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()
    return [AtomicCheckpointIO(), *([SLURMEnvironment(auto_requeue=False)] if under_slurm else [])]


def _is_waited_for(trainer: Trainer) -> bool:
    """Whether an accelerator waits for the host when processes ask each other something."""
    return trainer.world_size > 1 and trainer.strategy.root_device.type != "cpu"


def _is_over(trainer: Trainer) -> bool:
    """Whether the run ends with the batch at hand: by its number of epochs, of steps, or by its time."""
    loop = trainer.fit_loop
    if trainer.should_stop:
        return loop._can_stop_early
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return True
    epochs = trainer.max_epochs if trainer.max_epochs is not None else -1
    return loop.epoch_loop.batch_progress.is_last_batch and 0 <= epochs <= trainer.current_epoch + 1


def _tells(path: Path, best: Best) -> bool:
    """Whether a file is the checkpoint of that best."""
    state = read(path).get("callbacks", {}).get(KeepCheckpoints.__qualname__, {}) if path.is_file() else {}
    return bool(state == asdict(best))
